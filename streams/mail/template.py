"""What a mail is before it has words: its template, to whom it goes, and what stands in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Template:
    """A kind of mail. ``in_doubt`` is its policy for a mail that an earlier attempt may have sent: send it
    again with the same Message-ID, or hold it and tell.

    ``mailing_list``: one can unsubscribe from it under this name; None for a mail that somebody's own act causes.
    """

    name: str
    in_doubt: Literal["resend", "hold"]
    mailing_list: str | None = None


WELCOME = Template("welcome", in_doubt="resend")
DIGEST = Template("digest", in_doubt="hold", mailing_list="digest")
TEMPLATES = (WELCOME, DIGEST)


@dataclass(frozen=True)
class Mail:
    """One mail to one user. At most one is sent for each (template, user_id, cause), for ever.

    ``locale``: the user's, e.g. ``fr-CA``, where it is known.
    """

    template: Template
    user_id: str
    cause: str
    recipient: str
    values: Mapping[str, Any]
    locale: str | None = None

    @property
    def key(self) -> dict[str, str]:
        return {"template": self.template.name, "user_id": self.user_id, "cause": self.cause}


@dataclass(frozen=True)
class Text:
    """A mail's words, in the language of ``locale``."""

    subject: str
    plain: str
    html: str
    locale: str = "en"
