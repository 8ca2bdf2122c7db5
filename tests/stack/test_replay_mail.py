"""Mail that a replay sends: only where an operator asks for it, to those whom the preview names, within the cap, and
once.
"""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncEngine

from agents import TASKS
from streams.devstack.smtp_sink import SmtpSink
from streams.replay.shown import status_lines
from streams.settings import Settings
from streams.topics import create_topics
from tests.backend import BACKEND
from tests.events import user_created
from tests.letters import remember, rows
from tests.operations import say
from tests.replays import caused, ended, passed, publish, read_through, reader_process, shown, start
from tests.sinks import mailed
from tests.waiting import eventually
from tests.workers import running_worker

WELCOME = "send_welcome_email"
NEW, OLD, UNKNOWN = range(5), 5, 6
"""Users who have just joined, one who did so long ago, and one of whom the backend knows nothing."""


@pytest.fixture
def environment(environment: dict[str, str], sink: SmtpSink) -> dict[str, str]:
    """Readers whose leases are short, and that no live work slows down."""
    own = {"SMTP__URL": sink.url, "WORKER__LEASE": "1s", "REPLAY__MAX_LIVE_LAG": "1h"}
    return environment | {f"TAILRACE_{name}": value for name, value in own.items()}


@pytest.fixture(autouse=True)
async def topics(settings: Settings) -> None:
    await create_topics(settings)


@pytest.mark.timeout(240)
async def test_mails_that_were_never_sent_go_out_once_to_those_whom_the_preview_named(
    settings: Settings, environment: dict[str, str], engine: AsyncEngine, sink: SmtpSink
) -> None:
    await _users_whom_nobody_greeted(settings, engine)

    asked = ("user.created", "--send-mail", "--json")
    async with running_worker(settings, TASKS):
        preview, refused = await asyncio.gather(
            say(environment, "replay", "plan", *asked),
            say(environment, "replay", "start", *asked, "--mail-cap", "6", "--execute", "--wait"),
        )
        started = await rows(engine, "replays")
        withheld = await _replayed(settings, engine)
        before = mailed(sink)
        sent = await say(environment, "replay", "start", *asked, "--mail-cap", "7", "--execute", "--wait", within=180)
        after = mailed(sink)
        again = [
            await _replayed(settings, engine, send_mail=True),
            await _replayed(settings, engine, send_mail=True, mode="redo"),
        ]

    mails = json.loads(preview.out)["mails"]
    assert (mails["count"], mails["recipients"]) == (7, [f"u{number}@example.org" for number in (*NEW, OLD)])
    assert (refused.code, refused.out, started) == (1, "", [])
    assert "up to 7 mails would go out and the cap is 6" in refused.errors
    assert "choose fewer events or a higher --mail-cap" in refused.errors
    assert (withheld["counts"]["tasks"], withheld["runs"]) == ({WELCOME: {"mail": 7, "repeated": 1}}, {})
    assert json.loads(sent.out)["status"]["runs"] == {"done": len(NEW), "skipped": 2}
    assert (before, after) == ({}, {f"u{number}@example.org": 1 for number in NEW})
    assert [(replay["counts"]["tasks"], replay["runs"]) for replay in again] == [
        ({WELCOME: {"done": 8}}, {}),
        ({WELCOME: {"again": 7, "repeated": 1}}, {"skipped": 7}),
    ]
    assert mailed(sink) == after


async def _users_whom_nobody_greeted(settings: Settings, engine: AsyncEngine) -> None:
    """A worker has read their events that did not know the task."""
    await _join(engine, NEW, datetime.now(UTC))
    await _join(engine, [OLD], datetime.now(UTC) - timedelta(days=3))
    facts = [user_created(number) for number in (*NEW, OLD, UNKNOWN)]
    async with running_worker(settings, [task for task in TASKS if task.name != WELCOME]) as parts:
        await publish(settings, [*facts, facts[0]])
        await eventually(lambda: _has_passed(parts.metrics.registry, len(facts) + 1))


def _has_passed(registry: CollectorRegistry, count: int) -> bool:
    """Whether so many events have caused nothing."""
    labels = {"topic": "user.created", "state": "skipped"}
    return registry.get_sample_value("tailrace_ended_total", labels) == count


async def _join(engine: AsyncEngine, users: Sequence[int], at: datetime) -> None:
    row = {"date_joined": at, "is_active": True}
    names = {number: f"u{number}" for number in users}
    joined = [{**row, "id": user, "username": name, "email": f"{name}@example.org"} for user, name in names.items()]
    async with engine.begin() as connection:
        await connection.execute(insert(BACKEND.users), joined)


async def _replayed(settings: Settings, engine: AsyncEngine, **asked: Any) -> dict[str, Any]:
    """A replay, when it has ended."""
    return await ended(engine, await start(settings, engine, TASKS, **asked))


DUE, CAP = 30, 10


@pytest.mark.timeout(240)
async def test_no_more_than_the_cap_goes_out_however_many_are_due_meanwhile_and_whoever_is_killed(
    settings: Settings, environment: dict[str, str], engine: AsyncEngine
) -> None:
    facts = [user_created(number) for number in range(DUE)]
    await publish(settings, facts)
    for fact in facts:
        await remember(engine, caused(fact, WELCOME), state="queued")
    number = await start(settings, engine, TASKS, send_mail=True, dead=True, mail_cap=CAP, rate=8)

    async with engine.begin() as connection:  # since it was planned, all of them have died, and more have come
        await connection.execute(text("UPDATE tailrace.task_runs SET state = 'dead'"))
    await publish(settings, [user_created(number) for number in range(DUE, DUE + 5)])

    async def is_half_way() -> bool:
        return passed(await shown(engine, number)) >= CAP // 2

    async with reader_process(environment, "product"):
        await eventually(is_half_way, within=60)
    assert passed(await shown(engine, number)) < CAP
    async with reader_process(environment, "product"):
        replay = await read_through(engine, number)

    assert replay["counts"]["tasks"] == {WELCOME: {"again": CAP, "mail": DUE - CAP}}
    assert replay["runs"] == {"queued": CAP}
    assert f"{DUE - CAP} commands would have sent mail: they are beyond the cap of {CAP}" in "\n".join(
        status_lines(replay, datetime.now(UTC))
    )
    assert len(await rows(engine, "outbox")) == CAP
