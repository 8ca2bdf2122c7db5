"""``tailrace.mail_deliveries``: one row for each mail that there is or ever was to be, and the steps of its life.

``intent`` -> ``sending`` -> ``sent``; back to ``intent`` when the server certainly has no mail; ``refused``
when it never will, ``bounced`` when the mailbox is not there; ``suppressed`` when nobody wants it; ``uncertain`` when
the server may have one and nobody goes on: the template's policy is to hold, or the last attempt has ended.

Rows are written for many mails at once. Whoever locks a row of the ledger as well locks that first, so that no two
wait for each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import TextClause
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from streams.claims import Claim, LostClaim
from streams.db import autocommit
from streams.ledger import Ledger
from streams.mail import deliveries_sql as sql
from streams.mail import suppressions
from streams.mail.gathering import Gathered
from streams.mail.template import Mail, Template


@dataclass(frozen=True)
class Turn:
    """One attempt at one mail. ``error``: what the row is to say of its end."""

    mail: Mail
    claim: Claim
    message_id: str
    subject: str
    error: str | None = None

    @property
    def addressed(self) -> suppressions.Addressed:
        mail = self.mail
        return suppressions.Addressed(mail.recipient, mail.user_id, mail.template.mailing_list)


@dataclass(frozen=True)
class Found:
    """A delivery as an attempt finds it. ``same_run``: an earlier attempt of this run has it. ``with_another``:
    another run has it, and is alive. ``unwanted``: why no such mail is to go.
    """

    state: str
    same_run: bool
    with_another: bool
    unwanted: str | None = None

    @property
    def in_doubt(self) -> bool:
        """A copy may be out, and nobody is at it."""
        return self.state == "uncertain" or (self.state == "sending" and not self.with_another)

    def goes(self, template: Template) -> bool:
        """Whether this attempt sends it."""
        taken = self.state == "sent" or (self.state == "sending" and self.with_another)
        held = self.in_doubt and template.in_doubt == "hold"
        return not taken and not held and self.unwanted is None


class Deliveries:
    """The rows of one worker's mails. Each step is one transaction for all mails that wait for it."""

    def __init__(self, engine: AsyncEngine, ledger: Ledger) -> None:
        self._engine, self._ledger = engine, ledger
        self.intend: Gathered[Turn, Found] = Gathered(self._intend)
        """Commit that this attempt sends the mail, if ``goes``. Raises ``LostClaim``."""
        self.begin_sending: Gathered[Turn, bool] = Gathered(self._begin_sending)
        """Commit that a copy may be out from here on; False where another has the mail. Raises ``LostClaim``."""
        self.keep_sent: Gathered[Turn, bool] = Gathered(self._keep_sent)
        """Commit that the server has it; False where the row is no longer this attempt's."""

    async def move(self, connection: AsyncConnection, turn: Turn, to: str, *from_states: str) -> bool:
        """Whether the row was this attempt's and in one of these states; it is in ``to`` then."""
        return 0 in await _move(connection, [turn], to, *from_states)

    async def _intend(self, turns: Sequence[Turn]) -> list[Found | Exception]:
        async with self._engine.begin() as connection:
            ours = await self._ledger.hold_many(connection, [turn.claim for turn in turns])
            held = [turn for turn in turns if turn.claim.id in ours]
            found = await _find_or_make(connection, held) if held else []
            by_turn = {id(turn): each for turn, each in zip(held, found, strict=True)}
        return [by_turn.get(id(turn)) or _lost(turn) for turn in turns]

    async def _begin_sending(self, turns: Sequence[Turn]) -> list[bool | Exception]:
        async with self._engine.begin() as connection:
            ours = await self._ledger.hold_many(connection, [turn.claim for turn in turns])
            held = [turn for turn in turns if turn.claim.id in ours]
            moved = await _move(connection, held, "sending", "intent") if held else set()
            begun = {id(held[place]) for place in moved}
        return [id(turn) in begun if turn.claim.id in ours else _lost(turn) for turn in turns]

    async def _keep_sent(self, turns: Sequence[Turn]) -> list[bool | Exception]:
        async with autocommit(self._engine) as connection:
            moved = await _move(connection, turns, "sent", "sending")
        return [place in moved for place in range(len(turns))]


async def _find_or_make(connection: AsyncConnection, turns: Sequence[Turn]) -> list[Found]:
    """The mails' rows, locked; those that go are this attempt's."""
    columns = _columns(turns)
    await connection.execute(sql.INSERT, columns)
    rows = {row.n - 1: row for row in await connection.execute(sql.LOCK, columns)}
    unwanted = await suppressions.find(connection, [turn.addressed for turn in turns])
    found = [
        Found(rows[place].state, rows[place].same_run, rows[place].with_another, unwanted.get(place))
        for place in range(len(turns))
    ]
    pairs = list(zip(turns, found, strict=True))
    await _each(connection, sql.DOUBT, [turn for turn, each in pairs if each.in_doubt])
    await _each(connection, sql.TAKE, [turn for turn, each in pairs if each.goes(turn.mail.template)])
    for turn, each in pairs:
        if each.unwanted and not each.in_doubt and not each.with_another and each.state != "sent":
            await connection.execute(sql.SUPPRESS, {**_columns([turn]), "errors": [each.unwanted]})
    return found


async def _each(connection: AsyncConnection, statement: TextClause, turns: Sequence[Turn]) -> None:
    if turns:
        await connection.execute(statement, _columns(turns))


async def _move(connection: AsyncConnection, turns: Sequence[Turn], to: str, *from_states: str) -> set[int]:
    """The places of those that were in one of these states and their attempt's."""
    values = {**_columns(turns), "to": to, "from_states": list(from_states)}
    return {row.n - 1 for row in await connection.execute(sql.MOVE, values)}


async def give_up(connection: AsyncConnection, template: Template, user_id: str, cause: str) -> None:
    """The run of this mail is dead, which the caller's transaction has recorded: say so if a copy may be out."""
    await connection.execute(sql.GIVE_UP, {"template": template.name, "user_id": user_id, "cause": cause})


def _columns(turns: Sequence[Turn]) -> dict[str, list[Any]]:
    return {
        "templates": [turn.mail.template.name for turn in turns],
        "user_ids": [turn.mail.user_id for turn in turns],
        "causes": [turn.mail.cause for turn in turns],
        "run_ids": [turn.claim.id for turn in turns],
        "attempts": [turn.claim.attempt for turn in turns],
        "takeovers": [turn.claim.takeovers for turn in turns],
        "message_ids": [turn.message_id for turn in turns],
        "recipients": [turn.mail.recipient for turn in turns],
        "subjects": [turn.subject for turn in turns],
        "errors": [turn.error for turn in turns],
    }


def _lost(turn: Turn) -> LostClaim:
    return LostClaim(f"run {turn.claim.id} attempt {turn.claim.attempt} is no longer {turn.claim.worker}'s")
