"""Every statement on ``tailrace.mail_deliveries``: one row for each mail that there is or ever was to be.

``intent`` -> ``sending`` -> ``sent``; back to ``intent`` when the server certainly has no mail; ``refused``
when it never will; ``uncertain`` when it may have one and nobody goes on: the template's policy is to hold, or
the last attempt has ended.

Whoever locks a row of the ledger as well locks that first, so that no two wait for each other.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from streams.claims import Claim
from streams.mail.template import Mail, Template

# Make the row if there is none.
INSERT = text("""
    INSERT INTO tailrace.mail_deliveries
           (template, user_id, cause, message_id, recipient, subject, state, run_id, attempt, takeovers)
    VALUES (:template, :user_id, :cause, :message_id, :recipient, :subject, 'intent', :run_id, :attempt,
            :takeovers)
    ON CONFLICT (template, user_id, cause) DO NOTHING
""")

# The row, ours until COMMIT, and whether another run that has it is alive.
LOCK = text("""
    SELECT state, run_id <> :run_id AND EXISTS (
               SELECT 1 FROM tailrace.task_runs AS run
                WHERE run.id = delivery.run_id AND run.state = 'running'
                  AND run.lease_until > clock_timestamp()) AS with_another
      FROM tailrace.mail_deliveries AS delivery
     WHERE template = :template AND user_id = :user_id AND cause = :cause
       FOR UPDATE OF delivery
""")

# This attempt is the one that sends.
TAKE = text("""
    UPDATE tailrace.mail_deliveries
       SET state = 'intent', run_id = :run_id, attempt = :attempt, takeovers = :takeovers,
           recipient = :recipient, subject = :subject, updated_at = clock_timestamp()
     WHERE template = :template AND user_id = :user_id AND cause = :cause
""")

# An earlier attempt ended while the server may have taken the mail.
DOUBT = text("""
    UPDATE tailrace.mail_deliveries
       SET uncertain = uncertain + 1, state = 'uncertain', updated_at = clock_timestamp()
     WHERE template = :template AND user_id = :user_id AND cause = :cause AND state = 'sending'
""")

# The last attempt ended while the server may have taken the mail. Not where the run that has it goes on.
GIVE_UP = text("""
    UPDATE tailrace.mail_deliveries AS delivery
       SET uncertain = uncertain + 1, state = 'uncertain', updated_at = clock_timestamp()
     WHERE template = :template AND user_id = :user_id AND cause = :cause AND state = 'sending'
       AND NOT EXISTS (
               SELECT 1 FROM tailrace.task_runs AS run
                WHERE run.id = delivery.run_id AND run.state IN ('queued', 'running', 'parked'))
""")

# One step of the attempt that has the row; no row if another has taken it.
MOVE = text("""
    UPDATE tailrace.mail_deliveries
       SET state = :to, updated_at = clock_timestamp()
     WHERE template = :template AND user_id = :user_id AND cause = :cause AND state = ANY (:from_states)
       AND run_id = :run_id AND attempt = :attempt AND takeovers = :takeovers
""")


@dataclass(frozen=True)
class Turn:
    """One attempt at one mail."""

    mail: Mail
    claim: Claim

    @property
    def values(self) -> dict[str, Any]:
        claim = self.claim
        return {
            **self.mail.key,
            "run_id": claim.id,
            "attempt": claim.attempt,
            "takeovers": claim.takeovers,
        }


@dataclass(frozen=True)
class Found:
    """A delivery as an attempt finds it. ``with_another``: another run has it, and is alive."""

    state: str
    with_another: bool


async def find_or_make(connection: AsyncConnection, turn: Turn, message_id: str, subject: str) -> Found:
    """The mail's row, locked."""
    words = {"message_id": message_id, "recipient": turn.mail.recipient, "subject": subject}
    await connection.execute(INSERT, {**turn.values, **words})
    keys = {**turn.mail.key, "run_id": turn.claim.id}
    row = (await connection.execute(LOCK, keys)).one()
    return Found(row.state, row.with_another)


async def take(connection: AsyncConnection, turn: Turn, subject: str) -> None:
    """From now on only this attempt may move the row."""
    await connection.execute(TAKE, {**turn.values, "recipient": turn.mail.recipient, "subject": subject})


async def count_doubt(connection: AsyncConnection, turn: Turn) -> None:
    """Count that a copy may be out."""
    await connection.execute(DOUBT, turn.mail.key)


async def give_up(connection: AsyncConnection, template: Template, user_id: str, cause: str) -> None:
    """The run of this mail is dead, which the caller's transaction has recorded: say so if a copy may be out."""
    await connection.execute(GIVE_UP, {"template": template.name, "user_id": user_id, "cause": cause})


async def move(connection: AsyncConnection, turn: Turn, to: str, *from_states: str) -> bool:
    """Whether the row was this attempt's and in one of these states; it is in ``to`` then."""
    values = {**turn.values, "to": to, "from_states": list(from_states)}
    return (await connection.execute(MOVE, values)).rowcount == 1
