"""Sessions and tokens that nobody can or should use any more, wherever the backend keeps them."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from streams.backend_presence import Presence, look_at
from streams.cleanup.batches import Batches
from streams.cleanup.foreign_keys import ForeignKey, nothing_refers_to, read_foreign_keys, relation_of
from streams.cleanup.sessions import delete_of_inactive_users
from streams.cleanup.signs_of_life import SignsOfLife
from streams.task import Context

Counts = Mapping[str, int]


@dataclass(frozen=True)
class Found:
    """What of the backend's tables is there, and what the database's keys say."""

    presence: Presence
    keys: list[ForeignKey]

    def has(self, *tables: sa.Table) -> bool:
        """Whether these tables are there with all of their columns."""
        return not any(self.presence.missing_columns(table) for table in tables)

    def free(self, table: sa.Table, *but: sa.Table) -> "sa.ColumnElement[bool]":
        """True of rows that only rows of ``but`` may keep from being deleted."""
        return nothing_refers_to(table, self.keys, but=[relation_of(other) for other in but])


async def find(ctx: Context) -> Found:
    """As of now."""
    async with ctx.engine.connect() as connection:
        return Found(await look_at(connection, ctx.backend), await read_foreign_keys(connection))


def kinds(ctx: Context, found: Found, batches: Batches) -> list[Callable[[], Awaitable[Counts]]]:
    """One step for each kind of session or token whose tables are there."""
    backend, now, steps = ctx.backend, ctx.now(), list[Callable[[], Awaitable[Counts]]]()
    if found.has(backend.sessions):
        steps.append(lambda: _expired_sessions(found, batches, now))
        if found.has(backend.users):
            life = SignsOfLife(found.presence, now - ctx.settings.cleanup.inactive_after)
            steps.append(lambda: delete_of_inactive_users(batches, backend.sessions, life, now))
    if found.has(backend.outstanding_tokens):
        steps.append(lambda: _expired_tokens(found, batches, now))
    if found.has(backend.refresh_tokens):
        oldest = now - ctx.settings.cleanup.refresh_tokens_keep
        steps.append(lambda: _refresh_tokens(found, batches, oldest))
    return steps


async def _expired_sessions(found: Found, batches: Batches, now: datetime) -> Counts:
    sessions = found.presence.backend.sessions
    expired = sa.and_(sessions.c.expire_date < now, found.free(sessions))
    (deleted,) = await batches.delete(sessions, expired)
    return {"expired_sessions": deleted}


async def _expired_tokens(found: Found, batches: Batches, now: datetime) -> Counts:
    """Of simplejwt: a token that has expired needs no place on the blacklist either."""
    backend = found.presence.backend
    outstanding, blacklisted = backend.outstanding_tokens, backend.blacklisted_tokens
    known = [blacklisted] if found.has(blacklisted) else []
    expired = sa.and_(outstanding.c.expires_at < now, found.free(outstanding, *known))
    deleted, *before = await batches.delete(outstanding, expired, [table.c.token_id for table in known])
    return {"outstanding_tokens": deleted, "blacklisted_tokens": sum(before)}


async def _refresh_tokens(found: Found, batches: Batches, oldest: datetime) -> Counts:
    """Of graphql_jwt: revoked, or older than any that the backend accepts."""
    tokens = found.presence.backend.refresh_tokens
    useless = sa.and_(
        sa.or_(tokens.c.revoked.is_not(None), tokens.c.created < oldest),
        found.free(tokens),
    )
    (deleted,) = await batches.delete(tokens, useless)
    return {"refresh_tokens": deleted}
