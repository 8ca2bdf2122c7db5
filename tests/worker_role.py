"""A role for workers on an attached backend: it may do what `tailrace attach --worker-role` gives and prints."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import asyncpg

from streams.attach.attaching import attach, look
from streams.attach.grants import on_the_backend
from streams.attach.rights import needed_rights
from streams.backend_presence import backend_of
from streams.db import engine_for
from streams.ledger import Ledger
from streams.settings import Settings
from tests.one_run import Workshop

# What a backend may have more than the usual tables: columns that tasks fill, a counted key of before Django 4.1, and
# tables of its own that refer to rows that are cleaned up.
MORE = """
    ALTER TABLE posts ADD engagement_score real;
    ALTER TABLE hashtags ADD is_trending boolean, ADD trending_score double precision;
    ALTER TABLE users ADD time_zone text, ADD locale text;
    ALTER TABLE notifications ALTER id DROP IDENTITY;
    CREATE SEQUENCE public.notifications_id_seq START 1000 OWNED BY public.notifications.id;
    ALTER TABLE notifications ALTER id SET DEFAULT nextval('public.notifications_id_seq');
    CREATE SCHEMA extra;
    CREATE TABLE extra.receipts (notification_id bigint REFERENCES notifications (id));
    CREATE TABLE extra.pins (pin bigint PRIMARY KEY, post_id bigint REFERENCES posts (id) ON DELETE CASCADE);
    REVOKE USAGE ON SCHEMA public FROM PUBLIC;
"""


@dataclass(frozen=True)
class WorkerRole:
    """``grants``: those that the owner of the backend's tables has run; ``owner`` is a connection of theirs."""

    name: str
    settings: Settings
    grants: list[str]
    owner: asyncpg.Connection

    def shop(self, shop: Workshop) -> Workshop:
        """The workshop as this role has it; whoever makes it closes its engine."""
        engine = engine_for(self.settings.database)
        return replace(shop, settings=self.settings, engine=engine, ledger=Ledger(engine, "w1", shop.ledger.lease))


@asynccontextmanager
async def worker_role(settings: Settings) -> AsyncIterator[WorkerRole]:
    """Of no other rights; gone at the end."""
    url, name = settings.database.url, f"worker_{uuid.uuid4().hex[:8]}"
    own_url = f"postgresql://{name}:x@{url.rsplit('@', 1)[1]}"
    owner = await asyncpg.connect(url)
    await owner.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'x'")
    try:
        await owner.execute(MORE)
        attachment = await look(owner, settings.backend, name, ())
        await attach(owner, url, attachment, lambda _: None)
        grants = await _printed(settings, name)
        for grant in grants:
            await owner.execute(grant)
        database = settings.database.model_copy(update={"url": own_url})
        yield WorkerRole(name, settings.model_copy(update={"database": database}), grants, owner)
    finally:
        await owner.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")
        await owner.close()


async def _printed(settings: Settings, role: str) -> list[str]:
    engine = engine_for(settings.database)
    async with engine.connect() as connection:
        rights = await needed_rights(connection, backend_of(settings.backend), [])
    await engine.dispose()
    return list(on_the_backend(role, settings.backend.db_schema, rights))
