"""``tailrace up`` and ``tailrace env``. What they need is imported when they run: ``--help`` stays fast."""

import asyncio
import shlex
import shutil
import sys
from datetime import timedelta
from pathlib import Path

import click

from streams.durations import parse_duration
from streams.settings import Settings, SettingsError


class DurationType(click.ParamType):
    """A duration such as 30s or 5m."""

    name = "duration"

    def convert(self, value: str | timedelta, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        try:
            return parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


DATA = click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder of the stack's data.  [default: the user's data folder]",
)


@click.command()
@DATA
@click.option("--reset", is_flag=True, help="Forget all data of earlier runs first.")
@click.option("--traffic/--no-traffic", default=True, help="Let the sample backend live, or only exist.")
@click.option("--worker/--no-worker", default=True, help="Start a worker, or leave that to you.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port of the page.  [default: 8000, else a free one]")
@click.option("--for", "run_for", type=DurationType(), help="Stop after this long, with a summary: 30s, 5m.")
def up(
    data: Path | None, reset: bool, traffic: bool, worker: bool, port: int | None, run_for: timedelta | None
) -> None:
    """Run everything here: Kafka, PostgreSQL, mail, worker, server and a sample backend.

    With --for the exit code is 1 if an event was left undone or mails, renditions or trends did not happen.
    """
    from streams.devstack.stack import default_data
    from streams.devstack.up import UpOptions
    from streams.devstack.up import up as run_up

    try:
        # What the stack does not set itself comes from this environment, and the worker would refuse it late.
        Settings.load()
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    options = UpOptions(data or default_data(), reset, traffic, worker, port, run_for)
    sys.exit(asyncio.run(run_up(options)))


@click.command()
@DATA
def env(data: Path | None) -> None:
    """Print the settings of the stack that runs, and put `tailrace` on the path: eval "$(python3 run.py env)"."""
    from streams.devstack.errors import DevStackError
    from streams.devstack.stack import default_data
    from streams.devstack.state import read_state

    try:
        environment = read_state(data or default_data())
    except DevStackError as error:
        raise click.ClickException(str(error)) from error
    for name, value in environment.items():
        click.echo(f"export {name}={shlex.quote(value)}")
    if shutil.which("tailrace") is None:
        # At the end of the path, where it hides no other program.
        click.echo(f'export PATH="$PATH":{shlex.quote(str(Path(sys.executable).parent))}')
