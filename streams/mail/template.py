"""Templates of mails: ``templates/<name>.subject.j2``, ``.txt.j2`` and ``.html.j2``."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape


@dataclass(frozen=True)
class Template:
    """A kind of mail. ``in_doubt`` is its policy for a mail that an earlier attempt may have sent: send it
    again with the same Message-ID, or hold it and tell.
    """

    name: str
    in_doubt: Literal["resend", "hold"]


WELCOME = Template("welcome", in_doubt="resend")


@dataclass(frozen=True)
class Mail:
    """One mail to one user. At most one is sent for each (template, user_id, cause), for ever."""

    template: Template
    user_id: str
    cause: str
    recipient: str
    values: Mapping[str, Any]

    @property
    def key(self) -> dict[str, str]:
        return {"template": self.template.name, "user_id": self.user_id, "cause": self.cause}


@dataclass(frozen=True)
class Text:
    """A mail's words."""

    subject: str
    plain: str
    html: str


class Templates:
    """Every template of this package, read once. HTML is escaped; a value that a template misses is an error."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=PackageLoader("streams.mail"),
            autoescape=select_autoescape(enabled_extensions=("html.j2",)),
            undefined=StrictUndefined,
            # Else each mail asks the disk, on the event loop, whether a template has changed.
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def text(self, mail: Mail) -> Text:
        """The mail's words with its values in them."""
        subject, plain, html = (
            self._environment.get_template(f"{mail.template.name}.{part}.j2").render(mail.values)
            for part in ("subject", "txt", "html")
        )
        return Text(subject.strip(" \n"), plain, html)
