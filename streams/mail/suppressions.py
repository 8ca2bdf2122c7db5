"""To whom no mail goes: addresses that bounced or complained, for every mail; users who want no more of a list."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from streams.mail.address import folded
from streams.mail.links import Subscription

EVERY_LIST = "*"
Reason = Literal["bounced", "complained", "unsubscribed", "by_hand"]

# Keep it; what is known already stays as it was said first, also where only a hash of the address is kept.
ADD = text("""
    INSERT INTO tailrace.suppressions (kind, value, mailing_list, reason, detail)
    SELECT kind, value, mailing_list, reason, detail
      FROM (VALUES (CAST(:kind AS text), CAST(:value AS text), CAST(:mailing_list AS text), CAST(:reason AS text),
                    CAST(:detail AS text))) AS said (kind, value, mailing_list, reason, detail)
     WHERE NOT EXISTS (
               SELECT FROM tailrace.suppressions AS hashed
                WHERE said.kind = 'address' AND hashed.kind = 'address' AND hashed.mailing_list = said.mailing_list
                  AND hashed.value = tailrace.hashed_address(said.value))
    ON CONFLICT (kind, value, mailing_list) DO NOTHING
""")

REMOVE = text("""
    DELETE FROM tailrace.suppressions WHERE kind = :kind AND value = :value AND mailing_list = :mailing_list
""")

IS_THERE = text("""
    SELECT 1 FROM tailrace.suppressions WHERE kind = :kind AND value = :value AND mailing_list = :mailing_list
""")

# Which of these mails nobody wants, and why: asked by key, once for a batch.
FIND = text("""
    SELECT DISTINCT ON (want.n) want.n, found.kind, found.reason
      FROM unnest(CAST(:addresses AS text[]), CAST(:user_ids AS text[]), CAST(:lists AS text[]))
           WITH ORDINALITY AS want (address, user_id, mailing_list, n)
      JOIN tailrace.suppressions AS found
        ON (found.kind, found.value) IN (('address', want.address), ('user', want.user_id),
                                         ('address', tailrace.hashed_address(want.address)))
       AND found.mailing_list IN ('*', want.mailing_list)
     ORDER BY want.n, found.kind
""")

LATEST = text("""
    SELECT kind, value, mailing_list, reason, detail, created_at
      FROM tailrace.suppressions ORDER BY created_at DESC LIMIT :limit
""")


@dataclass(frozen=True)
class Suppression:
    """An address, as ``folded`` has it, or a user's id; for one mailing list, or for every mail."""

    kind: Literal["address", "user"]
    value: str
    mailing_list: str = EVERY_LIST

    @classmethod
    def of_address(cls, address: str) -> "Suppression":
        return cls("address", folded(address))

    @classmethod
    def of(cls, subscription: Subscription) -> "Suppression":
        return cls("user", subscription.user_id, subscription.mailing_list)

    @property
    def key(self) -> dict[str, Any]:
        return {"kind": self.kind, "value": self.value, "mailing_list": self.mailing_list}


@dataclass(frozen=True)
class Addressed:
    """What decides whether a mail is wanted."""

    address: str
    user_id: str
    mailing_list: str | None


async def suppress(
    connection: AsyncConnection, suppression: Suppression, reason: Reason, detail: str | None = None
) -> bool:
    """Whether it was not known before."""
    values = {**suppression.key, "reason": reason, "detail": detail}
    return (await connection.execute(ADD, values)).rowcount == 1


async def is_suppressed(connection: AsyncConnection, suppression: Suppression) -> bool:
    """Whether there is this very one."""
    return (await connection.execute(IS_THERE, suppression.key)).first() is not None


async def lift(connection: AsyncConnection, suppression: Suppression) -> bool:
    """Whether there was one."""
    return (await connection.execute(REMOVE, suppression.key)).rowcount == 1


async def find(connection: AsyncConnection, mails: Iterable[Addressed]) -> dict[int, str]:
    """Place in ``mails`` -> why nobody wants it, for those that nobody wants."""
    asked = list(mails)
    columns = {
        "addresses": [folded(mail.address).replace("\0", "") for mail in asked],
        "user_ids": [mail.user_id for mail in asked],
        "lists": [mail.mailing_list for mail in asked],
    }
    rows = await connection.execute(FIND, columns)
    return {row.n - 1: _why(row.kind, row.reason) for row in rows}


def _why(kind: str, reason: str) -> str:
    if reason == "by_hand":
        return f"somebody has suppressed the {kind} by hand"
    return f"the {kind} has {reason}"
