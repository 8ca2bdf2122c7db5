"""Digests: `python -m benchmarks.digest [--mails 1000] [--delay-ms 0] [--out FILE]`.

The peer makes one mail after the other, as a loop over users does, each over a connection of its own, and keeps no
record. Tailrace orders the same digests and one worker sends them, with a row of the ledger and a row of
`tailrace.mail_deliveries` each, through outbox and Kafka. Posts are read and words made by the same code in both. The
clock runs until the mail server, a process of its own that answers each command after DELAY_MS, has taken the last one.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiosmtplib import SMTP
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from agents.send_digest import send_digest
from benchmarks.command import run_benchmark
from streams.backend_presence import Presence, backend_of, look_at
from streams.db import autocommit, engine_for
from streams.devstack.environment import for_programs
from streams.devstack.processes import Child, Program, free_port
from streams.devstack.stack import ANY_PORTS, Stack
from streams.mail.digest_editions import Edition, Reader, Spread, open_edition
from streams.mail.digest_mail import digest_mail
from streams.mail.digest_posts import find_posts
from streams.mail.digest_times import week_of
from streams.mail.fan_out import submit_many
from streams.mail.links import Links, Subscription
from streams.mail.message import Composer
from streams.mail.recipients import find_recipients
from streams.mail.wording import Wording
from streams.migrations.run import migrate
from streams.settings import Settings
from streams.topics import create_topics

STOP = timedelta(seconds=20)
WARM_UP = 100

# Users who follow ten others each, and two posts of each of them.
FILL = (
    """
    INSERT INTO users (id, password, username, first_name, last_name, is_superuser, is_staff, is_active, is_verified,
                       date_joined, created_at, updated_at, last_login, email, bio, location, website,
                       followers_count, following_count, posts_count)
    SELECT number, '', 'u' || number, 'Ada', 'Number ' || number, false, false, true, false, now(), now(), now(), now(),
           'u' || number || '@example.org', '', '', '', 0, 0, 0
      FROM generate_series(1, {mails}) AS number
    """,
    """
    INSERT INTO posts (content, visibility, is_pinned, likes_count, comments_count, shares_count, views_count,
                       created_at, updated_at, author_id)
    SELECT repeat('Three hours for one good frame. ', 4), 'public', false, number % 97, number % 13, number % 7, number,
           now() - interval '1 day', now(), 1 + number % {mails}
      FROM generate_series(1, 2 * {mails}) AS number
    """,
    """
    INSERT INTO follows (created_at, follower_id, following_id)
    SELECT now(), number, 1 + (number + step * 7) % {mails}
      FROM generate_series(1, {mails}) AS number, generate_series(1, 10) AS step
    """,
    "ANALYZE",
)


@dataclass(frozen=True)
class Ground:
    """What both need."""

    settings: Settings
    engine: AsyncEngine
    presence: Presence
    edition: Edition
    taken: Path

    async def until_taken(self, count: int) -> None:
        """Until the mail server has so many."""
        while int(self.taken.read_text() or 0) < count:
            await asyncio.sleep(0.01)


async def peer(ground: Ground, mails: int) -> float:
    """Seconds for one mail after the other, each over its own connection."""
    settings, links = ground.settings, Links.of(ground.settings)
    assert links
    wording, composer = Wording(settings.mail), Composer(settings.smtp)
    port = int(settings.smtp.url.rpartition(":")[2])
    began = time.perf_counter()
    for number in range(1, mails + 1):
        async with autocommit(ground.engine) as connection:
            (user,) = await find_recipients(connection, ground.presence, [number])
            assert user
            best, between = ground.edition.best, ground.edition.between
            (posts,) = await find_posts(connection, ground.presence, [user.user_id], best, between, None)
        link = links.unsubscribe(Subscription(user.user_id, "digest"))
        mail = digest_mail(user, ground.edition.week, posts)
        words = wording.text(replace(mail, values={**mail.values, "unsubscribe_url": link}))
        message = composer.compose(mail, words, link, datetime.now(UTC))
        async with SMTP(hostname="127.0.0.1", port=port, local_hostname="localhost", start_tls=False) as client:
            await client.sendmail("hello@tailrace.example", [user.email], message)
    return time.perf_counter() - began


async def ours(ground: Ground, first: int, mails: int, taken: int) -> float:
    """Seconds from the order of so many until the server has them; it had ``taken`` before."""
    spread = Spread(ground.edition.week, 1, {})
    readers = [Reader(str(number), None) for number in range(first, first + mails)]
    orders = [replace(order, due_at=None) for order in spread.orders(readers, send_digest.name, send_digest.queue)]
    began = time.perf_counter()
    async with ground.engine.begin() as connection:
        await submit_many(connection, orders)
    await ground.until_taken(taken + mails)
    return time.perf_counter() - began


@asynccontextmanager
async def process(name: str, argv: tuple[str, ...], environment: dict[str, str], log: Path) -> AsyncIterator[Child]:
    """A process that is stopped at the end."""
    child = await Child.start(Program(name, (sys.executable, *argv), log, environment))
    try:
        yield child
    finally:
        await child.stop(STOP)


async def measure(mails: int, delay_ms: float) -> dict[str, float]:
    """On servers of its own."""
    with tempfile.TemporaryDirectory() as folder:
        async with Stack(Path(folder) / "stack", ports=ANY_PORTS) as stack:
            port, taken = free_port(), Path(folder) / "taken"
            taken.touch()
            environment, _ = for_programs(os.environ, stack.environment() | _own_settings(port))
            settings, log = Settings.load(environment), Path(folder) / "log"
            await migrate(stack.database_url)
            await create_topics(settings)
            sink = ("-m", "benchmarks.digest_sink", str(port), str(delay_ms), str(taken))
            async with process("sink", sink, dict(os.environ), log):
                engine = engine_for(settings.database)
                ground = await _ground(settings, engine, taken, mails + WARM_UP)
                found = await _both(ground, environment, log, mails)
                await engine.dispose()
    return {"mails": mails, "delay_ms": delay_ms, **found}


async def _both(ground: Ground, environment: dict[str, str], log: Path, mails: int) -> dict[str, float]:
    cpu = time.process_time()
    alone = await peer(ground, mails)
    cpu_alone = time.process_time() - cpu
    async with process("worker", ("-m", "streams.cli", "worker"), environment, log) as worker:
        await ours(ground, mails + 1, WARM_UP, mails)
        cpu = _cpu_seconds(worker.pid)
        together = await ours(ground, 1, mails, mails + WARM_UP)
        cpu_together = _cpu_seconds(worker.pid) - cpu
    return {
        "connection_a_mail_per_s": round(mails / alone, 1),
        "tailrace_per_s": round(mails / together, 1),
        "ratio": round(alone / together, 2),
        "connection_a_mail_cpu_ms": round(cpu_alone / mails * 1000, 2),
        "tailrace_cpu_ms": round(cpu_together / mails * 1000, 2),
    }


def _cpu_seconds(pid: int) -> float:
    """Of one process so far. Source: proc(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _ground(settings: Settings, engine: AsyncEngine, taken: Path, users: int) -> Ground:
    backend = backend_of(settings.backend)
    async with engine.begin() as connection:
        await connection.run_sync(backend.metadata.create_all)
        for statement in FILL:
            await connection.execute(text(statement.format(mails=users)))
        presence = await look_at(connection, backend)
        now = datetime.now(UTC)
        edition = await open_edition(connection, presence, week_of(now), now)
    return Ground(settings, engine, presence, edition, taken)


def _own_settings(port: int) -> dict[str, str]:
    return {
        "TAILRACE_SMTP__URL": f"smtp://127.0.0.1:{port}",
        "TAILRACE_SMTP__CONNECTIONS": "32",
        "TAILRACE_WORKER__CONCURRENCY": "128",
        "TAILRACE_WORKER__PORT": "0",
        "TAILRACE_HTTP__PUBLIC_URL": "https://network.example",
        "TAILRACE_MAIL__SECRET": "of a benchmark only",
        "TAILRACE_LOG__LEVEL": "warning",
    }


if __name__ == "__main__":
    run_benchmark(__doc__, measure, mails=1000, delay_ms=0.0)
