"""The options of `tailrace schedule`, and how their values are written."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import click

from schemas.topics import QUEUE_BY_NAME
from streams.durations import parse_duration
from streams.instants import parse_instant, parse_past

OWN = "own"
"""As a queue: the task's own."""


class Said(click.ParamType):
    """A value that a function makes of a text, or refuses with a ``ValueError``."""

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return self._parse(value) if isinstance(value, str) else value
        except ValueError as error:
            self.fail(str(error), param, ctx)
        except OverflowError:
            self.fail(f"{value!r} is beyond the calendar", param, ctx)


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if isinstance(found, dict):
        return found
    raise ValueError(f"{text[:80]!r} is no JSON object; write arguments by name, e.g. '{{\"user_id\": 7}}'")


def _past(text: str) -> datetime:
    return parse_past(text, datetime.now(UTC))


INSTANT, PAST = Said("instant", parse_instant), Said("instant or duration", _past)
DURATION, OBJECT = Said("duration", parse_duration), Said("JSON", _object)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


def schedule_fields(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say what a schedule is; those that are not given are None."""
    queues = [*QUEUE_BY_NAME, OWN]
    options = (
        click.option("--task", help="What runs."),
        click.option("--cron", help="Minute, hour, day of month, month, day of week (0 is Sunday): '30 2 * * *'."),
        click.option("--zone", help="Time zone of --cron, e.g. Europe/Berlin.  [default: UTC]"),
        click.option("--every", type=DURATION, help="Interval from --starts-at on: 90s, 15m, 6h."),
        click.option("--at", type=INSTANT, help="Once, e.g. 2027-03-04T12:00:00Z."),
        click.option("--starts-at", type=INSTANT, help="Nothing is due before.  [default: now]"),
        click.option("--args", type=OBJECT, help="Arguments of the task, a JSON object by name."),
        click.option("--queue", type=click.Choice(queues), help=f"Queue of the runs; '{OWN}': the task's own."),
        click.option("--misfire", type=click.Choice(["run_once", "skip", "run_all"]), help="What missed instants get."),
        click.option("--overlap", type=click.Choice(["skip", "allow"]), help="While an earlier run has not ended."),
        click.option("--jitter", type=DURATION, help="Start each run up to so much later: 30s."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def given(chosen: dict[str, Any]) -> dict[str, Any]:
    """The fields that were given, as a schedule has them."""
    found = {name: value for name, value in chosen.items() if value is not None}
    return {**found, "queue": None} if found.get("queue") == OWN else found
