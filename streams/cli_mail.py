"""``tailrace mail``: what mails look like."""

import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from streams.mail.template import Text
    from streams.settings import Settings


@click.group()
def mail() -> None:
    """What mails look like."""


@mail.command()
@click.argument("template", type=click.Choice(["welcome", "digest"]))
@click.option("--user", "user_id", required=True, metavar="ID", help="Whose mail.")
@click.option("--locale", metavar="LOCALE", help="Another language than the user's, e.g. fr.")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Write the HTML to this file.")
@click.option("--browser", is_flag=True, help="Show the file of --html in a browser.")
def preview(template: str, user_id: str, locale: str | None, html: Path | None, browser: bool) -> None:
    """Print what a user's mail would say now. Nothing is sent and nothing is kept."""
    from streams.cli_database import with_database
    from streams.clock import Clock
    from streams.mail.preview import NoPreview
    from streams.mail.preview import preview as words_of
    from streams.mail.wording import WrongTemplate

    if browser and html is None:
        raise click.UsageError("--browser shows the file of --html; name one, e.g. --html mail.html")

    async def read(settings: "Settings", engine: "AsyncEngine") -> "Text":
        return await words_of(settings, engine, template, user_id, locale, Clock().now())

    text = with_database("mail preview", read, refusals=(NoPreview, WrongTemplate))
    click.echo(f"Subject: {text.subject}\nContent-Language: {text.locale}\n\n{text.plain}")
    if html:
        try:
            html.write_text(text.html, encoding="utf-8")
        except OSError as error:
            raise click.ClickException(f"{html} cannot be written ({error.strerror}); name another file") from error
        click.echo(f"the HTML is in {html}", err=True)
        if browser:
            webbrowser.open(html.resolve().as_uri())
