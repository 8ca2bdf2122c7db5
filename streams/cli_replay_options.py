"""The options that say what a replay is about."""

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from streams.replay.request import Request

Command = Callable[..., Any]

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object for programs.")

OPTIONS = (
    click.argument("topic"),
    click.option("--from", "start", metavar="WHEN", help="2026-03-04T12:00:00Z, 24h ago as 24h, or offset:1200."),
    click.option("--to", "end", metavar="WHEN", help="Before this; by default all that lies there now."),
    click.option("--partition", "partitions", type=int, multiple=True, help="Only this one. Repeatable."),
    click.option("--key", "keys", multiple=True, help="Only records with this key. Repeatable."),
    click.option("--type", "type", help="Only events of this type, by their header ce_type."),
    click.option("--where", help="Only events whose fields say so: \"author_id == 7 and 'cat' in hashtags\"."),
    click.option("--task", "tasks", multiple=True, help="Not all tasks that the event causes, but this. Repeatable."),
    click.option("--mode", type=click.Choice(["missing", "redo", "shadow"]), default="missing", show_default=True),
    click.option("--table", "tables", multiple=True, help="With --mode shadow: a table that tasks write. Repeatable."),
    click.option("--rate", type=click.IntRange(1, 1_000_000), help="At most so many commands a second."),
    click.option("--dead", is_flag=True, help="Those too whose run is dead or cancelled, as its next attempt."),
    click.option("--send-mail", is_flag=True, help="Let tasks run that send mail, each mail once for ever."),
    click.option(
        "--mail-cap", type=click.IntRange(1, 1_000_000), default=100, show_default=True, help="At most so many."
    ),
    click.option("--note", help="Why; shown by `tailrace replay status`."),
)


def with_request(command: Command) -> Command:
    """All of them."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def request_of(command: str, options: Mapping[str, Any]) -> "Request":
    """What the options ask for; ends the program where one is wrong."""
    import msgspec

    from streams.replay.request import Request

    given = {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()}
    names = {field.name: field.encode_name for field in msgspec.structs.fields(Request)}
    try:
        return msgspec.convert({names[name]: value for name, value in given.items()}, Request)
    except msgspec.ValidationError as error:
        sys.exit(f"tailrace replay {command}: {error}")
