"""Everything that the product does for a day of mixed events is done once, however often the events are replayed."""

from collections import Counter
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from agents import TASKS
from schemas.topics import DEAD_LETTER_SUFFIX, TOPICS
from streams.devstack.smtp_sink import SmtpSink
from streams.schedules import store as schedules
from streams.schedules.defaults import DEFAULTS, ensure_defaults
from streams.settings import Settings
from streams.topics import create_topics
from tests.everything import ends, everything
from tests.letters import rows
from tests.mixed_events import MEDIA, WELCOME, Day, a_day, fill_backend, publish_day
from tests.operations import say
from tests.replays import ended, start
from tests.trending import all_counted
from tests.waiting import eventually
from tests.workers import running_worker

TOPIC_OF = {WELCOME: "user.created", MEDIA: "post.uploaded"}
NOTICE = '{"recipient_id": 8, "message": "hello"}'

# What ran, and how it ended.
RUNS = text("""
    SELECT task, state, count(*) AS runs FROM tailrace.task_runs WHERE cause ->> 'source' <> '/cli' GROUP BY task, state
""")


@pytest.fixture
def environment(environment: dict[str, str], sink: SmtpSink) -> dict[str, str]:
    """Counts of tags are not packed away while a test looks."""
    return environment | {"TAILRACE_SMTP__URL": sink.url, "TAILRACE_TRENDING__ARCHIVE_AFTER": "7d"}


@pytest.fixture
def day(settings: Settings, full: bool) -> Day:
    """A hundred events, or ten thousand."""
    return a_day(10_000, 200, settings.media.root) if full else a_day(100, 24, settings.media.root)


@pytest.fixture(autouse=True)
async def ground(settings: Settings, engine: AsyncEngine, day: Day) -> None:
    """Topics and the backend's rows; nothing runs because of the time of day."""
    await create_topics(settings)
    await fill_backend(engine, day)
    await ensure_defaults(engine, TASKS)
    for default in DEFAULTS:
        await schedules.disable(engine, default.task)


@pytest.mark.timeout(240)
async def test_mixed_events_replayed_twice_do_nothing_send_no_mail_and_change_no_row_and_no_file(
    settings: Settings, environment: dict[str, str], engine: AsyncEngine, sink: SmtpSink, day: Day, full: bool
) -> None:
    within = 1200 if full else 90
    async with running_worker(settings, TASKS):
        await publish_day(settings, day)
        await say(environment, "enqueue", "send_notification", "--args", NOTICE)
        await eventually(lambda: _is_over(settings, engine, day), within=within)
        before = await everything(settings, engine, sink.folder)

        replays = [
            await ended(engine, await start(settings, engine, TASKS, topic=topic, send_mail=asks), within=within)
            for asks in (False, True)
            for topic in TOPIC_OF.values()
        ]
        after = await everything(settings, engine, sink.folder)

    assert len(sink.mails()) == day.runs[WELCOME, "done"] > 0
    assert len(before["public.notifications"]) == 1
    assert [(replay["state"], replay["runs"]) for replay in replays] == [("done", {})] * 4
    assert [replay["counts"] for replay in replays] == [_counted(day, WELCOME), _counted(day, MEDIA)] * 2
    assert {name: after[name] for name in before if after[name] != before[name]} == {}
    assert after.keys() == before.keys()


def _counted(day: Day, task: str) -> dict[str, Any]:
    """What a replay of the task's topic must count."""
    topic, fates = TOPIC_OF[task], {fate: count for (name, fate), count in day.commands.items() if name == task}
    read = sum(record[0] == topic for record in day.records)
    spoilt = day.spoilt[topic]
    return {"read": read, "events": read - spoilt, "undecodable": spoilt, "tasks": {task: fates}}


async def _is_over(settings: Settings, engine: AsyncEngine, day: Day) -> bool:
    """Whether all that must come of the events has come: runs, dead letters, announcements, counts of tags."""
    async with engine.connect() as connection:
        runs = Counter({(row.task, row.state): row.runs for row in await connection.execute(RUNS)})
        noticed = (await connection.execute(text("SELECT count(*) FROM notifications"))).scalar_one()
    if runs != day.runs or not noticed or await rows(engine, "outbox"):
        return False
    letters = await ends(settings, [topic for topic in TOPICS if topic.name.endswith(DEAD_LETTER_SUFFIX)])
    return sum(letters.values()) == day.letters and await all_counted(settings, engine)
