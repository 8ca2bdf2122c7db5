"""Commands in the test's own process, for tests that need many of them."""

import asyncio
from collections.abc import Mapping

from click.testing import CliRunner

from streams.cli import cli
from tests.operations import Said


async def typed(environment: Mapping[str, str], *arguments: str) -> Said:
    """``tailrace ARGUMENTS`` to its end, with these variables beside those of the test's process."""
    found = await asyncio.to_thread(CliRunner().invoke, cli, list(arguments), env=dict(environment))
    end = found.exception
    if isinstance(end, SystemExit) and isinstance(end.code, str):
        # The runner shows as output what Python writes to the errors.
        return Said(1, found.stdout.removesuffix(f"{end.code}\n"), f"{found.stderr}{end.code}\n")
    if end is not None and not isinstance(end, SystemExit):
        raise end
    return Said(found.exit_code, found.stdout, found.stderr)
