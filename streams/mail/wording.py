"""Words for mails: ``templates/<language>/<name>.subject.j2``, ``.txt.j2`` and ``.html.j2``.

A folder of one's own goes before ours, file by file: what it lacks is taken from here. A language is a folder.
"""

import re
from collections.abc import Iterator

import css_inline
from jinja2 import (
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    PackageLoader,
    StrictUndefined,
    TemplateError,
    TemplateNotFound,
    TemplateSyntaxError,
    select_autoescape,
)

from streams.mail.template import TEMPLATES, Mail, Template, Text
from streams.task_settings import Mails

PARTS = ("subject", "txt", "html")
LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8})*")
ANYWHERE = "en"
"""The language that every template of ours has."""


class WrongTemplate(Exception):
    """A template cannot be used; the message names its file and says what is wrong."""


class Wording:
    """Every template in every language, read once. HTML is escaped; a value that a template misses is an error.

    Raises ``WrongTemplate``, when it is made, for a template that is no Jinja or lacks one of its three files.
    """

    def __init__(self, mails: Mails) -> None:
        own = [FileSystemLoader(mails.templates)] if mails.templates else []
        self._environment = Environment(
            loader=ChoiceLoader([*own, PackageLoader("streams.mail")]),
            autoescape=select_autoescape(enabled_extensions=("html.j2",)),
            undefined=StrictUndefined,
            # Else each mail asks the disk, on the event loop, whether a template has changed.
            auto_reload=False,
            cache_size=-1,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._inliner = css_inline.CSSInliner(keep_at_rules=True, load_remote_stylesheets=False)
        self._default = mails.locale.lower()
        self.languages = {template.name: tuple(self._read(template)) for template in TEMPLATES}

    def text(self, mail: Mail) -> Text:
        """The mail's words with its values in them, in the user's language where there is such a template."""
        language = self.language(mail.template, mail.locale)
        subject, plain, html = (self._render(language, mail, part) for part in PARTS)
        return Text(subject.strip(" \n"), plain, self._inliner.inline(html), language)

    def language(self, template: Template, locale: str | None) -> str:
        """``fr-CA`` is answered by ``fr-ca``, else by ``fr``, else by the language of the settings, else by English."""
        known = self.languages[template.name]
        return next(name for name in (*_wider(locale), *_wider(self._default), ANYWHERE) if name in known)

    def _render(self, language: str, mail: Mail, part: str) -> str:
        template = self._environment.get_template(f"{language}/{mail.template.name}.{part}.j2")
        return template.render({**mail.values, "locale": language})

    def _read(self, template: Template) -> Iterator[str]:
        """The languages of this template, each part compiled."""
        names = [name for name in self._environment.list_templates() if name.count("/") == 1]
        folders = {name.partition("/")[0] for name in names if name.partition("/")[2].startswith(f"{template.name}.")}
        for language in sorted(folders):
            if LANGUAGE.fullmatch(language):
                for part in PARTS:
                    self._compile(f"{language}/{template.name}.{part}.j2")
                yield language

    def _compile(self, name: str) -> None:
        try:
            self._environment.get_template(name)
        except TemplateNotFound as error:
            raise WrongTemplate(
                f"the mail template {name} is missing; a language has the parts {', '.join(PARTS)} of a template"
            ) from error
        except TemplateSyntaxError as error:
            place = f"{error.filename or name}:{error.lineno}"
            raise WrongTemplate(f"{place}: {error.message}; mend the template") from error
        except TemplateError as error:
            raise WrongTemplate(f"the mail template {name} cannot be used: {error}; mend it") from error


def _wider(locale: str | None) -> Iterator[str]:
    """``fr_CA.UTF-8`` -> ``fr-ca``, ``fr``."""
    name = (locale or "").partition(".")[0].replace("_", "-").lower()
    while name:
        yield name
        name = name.rpartition("-")[0]
