"""Commands of an operator as processes of their own, and runs to try them on."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.backend import backend_tables
from schemas.commands import Command, command_id
from schemas.envelope import Identity
from streams.claims import Claim, Ending, Order
from streams.ledger import Ledger
from streams.run_ids import RunId
from streams.settings import Settings
from tests.events import runs
from tests.processes import run

Environment = Mapping[str, str]
WELCOME = ("send_welcome_email", "--args", '{"user_id": 7}')


@dataclass(frozen=True)
class Said:
    """What a command said, and its exit code."""

    code: int
    out: str
    errors: str

    @property
    def run(self) -> str:
        """The run that ``enqueue`` prints."""
        return self.out.strip()


async def say(environment: Environment, *arguments: str, within: float = 60) -> Said:
    """``tailrace ARGUMENTS`` to its end."""
    return Said(*await run(*arguments, environment=environment, within=within))


async def outbox(engine: AsyncEngine) -> list[tuple[str, str]]:
    """Topic and dedupe key of what waits to be published."""
    async with engine.connect() as connection:
        rows = await connection.execute(text("SELECT topic, dedupe_key FROM tailrace.outbox ORDER BY id"))
        return [tuple(row) for row in rows]


def welcome_command(user_id: int) -> Command:
    """A command as the router makes it of a fact."""
    cause = Identity("/test", "test", str(user_id))
    name, now = "send_welcome_email", datetime.now(UTC)
    return Command(id=command_id(cause, name), task=name, args={"user_id": user_id}, caused_at=now, cause=cause)


async def claimed(engine: AsyncEngine, settings: Settings, user_id: int) -> Claim:
    """A run that some worker has begun."""
    order = Order(welcome_command(user_id), "emails", datetime.now(UTC))
    (answer,) = await Ledger(engine, "w1", settings.worker.lease).claim([order])
    assert isinstance(answer, Claim)
    return answer


async def dead(engine: AsyncEngine, settings: Settings, user_id: int) -> str:
    """A run that has died, as the command line names it."""
    claim = await claimed(engine, settings, user_id)
    async with engine.begin() as connection:
        await Ledger(engine, "w1", settings.worker.lease).record(connection, claim, Ending("dead", error="550 no"))
    return str(RunId(claim.id, claim.caused_at))


async def add_user(engine: AsyncEngine, user_id: int) -> None:
    """A user of the backend who joined just now."""
    users = backend_tables().users
    row = {"username": f"u{user_id}", "email": f"u{user_id}@example.org", "date_joined": datetime.now(UTC)}
    async with engine.begin() as connection:
        await connection.execute(users.insert().values(id=user_id, **row))


async def is_in(engine: AsyncEngine, state: str) -> bool:
    """Whether all runs are in this state, and there are some."""
    return {row.state for row in await runs(engine)} == {state}
