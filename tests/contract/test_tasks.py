"""What every task promises, held for each of ``TASKS``. A new task needs a case here, or these tests fail."""

import asyncio
import inspect
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import text

from agents import TASKS
from agents.generate_content_analytics import ContentAnalytics
from agents.send_content_digest_email import ContentDigest
from agents.send_digest import Digest
from agents.update_post_engagement_scores import EngagementScores
from agents.update_trending_hashtags import TrendingHashtags
from agents.update_user_statistics import UserStatistics
from schemas.events import Id, PostUploaded, UserCreated
from schemas.tables import mail_deliveries, media_assets, media_renditions, task_runs
from schemas.tables_data import content_analytics, content_analytics_hours, post_engagement
from streams.task import Done, Skip, Task
from tests.clean_up_cases import CLEAN_UP
from tests.data_ground import column
from tests.digests import WEEK, a_reader_with_a_post, a_week_begun, digests_ordered
from tests.one_run import Workshop
from tests.pictures import encoded, photo
from tests.task_case import Case
from tests.trending import a_tag_that_trends, snapshots
from tests.waiting import eventually

NOW = datetime.now(UTC)


def user_created(user_id: Id) -> UserCreated:
    return UserCreated(user_id=user_id, email="u7@example.org", username="u7", created_at=NOW)


def post_uploaded(post_id: Id) -> PostUploaded:
    return PostUploaded(post_id=post_id, author_id=7, created_at=NOW, visibility="public", image="posts/p.jpg")


async def a_user(shop: Workshop) -> None:
    await shop.add_user(7)


async def a_post_with_a_photo(shop: Workshop) -> None:
    await shop.add_user(7)
    await shop.add(shop.backend.posts, id=7, author_id=7, image="posts/p.jpg")
    (shop.settings.media.root / "posts").mkdir()
    (shop.settings.media.root / "posts" / "p.jpg").write_bytes(encoded(photo()))


async def mails(shop: Workshop) -> list[Any]:
    rows = await shop.rows(mail_deliveries)
    return [mail["Message-ID"] for mail in shop.sink.mails()] + [(row["user_id"], row["state"]) for row in rows]


async def renditions(shop: Workshop) -> list[Any]:
    assets = [(row["post_id"], row["status"]) for row in await shop.rows(media_assets)]
    keys = [row["key"] for row in await shop.rows(media_renditions)]
    files = (shop.settings.media.root / "renditions").rglob("*.webp")
    return assets + keys + sorted((path.name, path.read_bytes()) for path in files)


async def a_wrong_counter(shop: Workshop) -> None:
    await shop.add_user(7, followers_count=3)


async def counters(shop: Workshop) -> list[Any]:
    users = shop.backend.users.c
    return await column(shop, users.id, users.followers_count, users.following_count, users.posts_count)


async def a_liked_post(shop: Workshop) -> None:
    await shop.add_user(7)
    await shop.add(shop.backend.posts, id=7, author_id=7, likes_count=3)


async def scores(shop: Workshop) -> list[Any]:
    return [(row["post_id"], row["score"]) for row in await shop.rows(post_engagement)]


async def analytics(shop: Workshop) -> list[Any]:
    return await shop.rows(content_analytics) + await shop.rows(content_analytics_hours)


CASES = {
    **CLEAN_UP,
    "send_welcome_email": Case(user_created, a_user, mails),
    "send_content_digest_email": Case(ContentDigest(), a_reader_with_a_post, digests_ordered),
    "send_digest": Case(Digest(7, WEEK), a_week_begun, mails),
    "process_media_upload": Case(post_uploaded, a_post_with_a_photo, renditions),
    "generate_content_analytics": Case(ContentAnalytics(), a_user, analytics),
    "update_post_engagement_scores": Case(EngagementScores(), a_liked_post, scores),
    "update_trending_hashtags": Case(TrendingHashtags(), a_tag_that_trends, snapshots),
    "update_user_statistics": Case(UserStatistics(), a_wrong_counter, counters),
}

FORGETTING = {"forget_user", "forget_post"}
"""Tasks for which it is fine that what they are about does not exist."""

ORDERED = {"send_notification"}
"""Tasks of which each order is meant, also one like another."""

each_task = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
each_task_of_a_cause = pytest.mark.parametrize(
    "task", [task for task in TASKS if task.name not in ORDERED], ids=lambda task: task.name
)
each_task_of_a_row = pytest.mark.parametrize(
    "task", [task for task in TASKS if task.on and task.name not in FORGETTING], ids=lambda task: task.name
)


def args_for(task: Task, row_id: Id = 7) -> object:
    cause = CASES[task.name].cause
    if task.args_of is None:
        return cause
    assert callable(cause)
    args = task.args_of(cause(row_id))
    assert args is not None
    return args


@each_task
def test_a_task_has_the_name_of_its_file(task: Task) -> None:
    assert inspect.getmodule(task.handler) is not None
    assert task.handler.__module__ == f"agents.{task.name}"


@each_task
def test_arguments_survive_the_way_through_kafka(task: Task) -> None:
    args = args_for(task)

    assert msgspec.convert(msgspec.json.decode(msgspec.json.encode(args)), task.args_type) == args


@each_task_of_a_row
@pytest.mark.parametrize("row_id", [8, "8", "abc", "", 2**70, -1], ids=repr)
async def test_what_does_not_exist_is_skipped_with_its_reason(shop: Workshop, task: Task, row_id: Id) -> None:
    outcome = await shop.run(task, args_for(task, row_id))

    assert isinstance(outcome, Skip)
    assert outcome.reason.endswith(f"{row_id!r} does not exist")
    (run,) = await shop.rows(task_runs)
    assert (run["state"], run["outcome"]) == ("skipped", {"reason": outcome.reason})
    assert await CASES[task.name].effects(shop) == []


@each_task
async def test_a_run_is_done_and_tells_what_it_did(shop: Workshop, task: Task) -> None:
    await CASES[task.name].prepare(shop)

    outcome = await shop.run(task, args_for(task))

    assert isinstance(outcome, Done), outcome
    assert outcome.result and msgspec.json.encode(outcome.result)
    assert await CASES[task.name].effects(shop)


@each_task_of_a_cause
@pytest.mark.parametrize("row_id", [7, "7"], ids=repr)
async def test_a_repeat_under_another_id_has_no_second_effect(shop: Workshop, task: Task, row_id: Id) -> None:
    case = CASES[task.name]
    await case.prepare(shop)
    await shop.run(task, args_for(task), cause="1")
    once = await case.effects(shop)

    await shop.run(task, args_for(task, row_id), cause="2")

    assert await case.effects(shop) == once


@each_task
async def test_a_record_can_be_repeated_when_its_commit_was_not_answered(shop: Workshop, task: Task) -> None:
    case = CASES[task.name]
    await case.prepare(shop)
    run = await shop.claim(task, args_for(task))
    outcome = await shop.perform(run)
    await shop.record(run, outcome)
    once = await case.effects(shop)

    state = await shop.record(run, outcome)

    assert state == "done"
    assert await case.effects(shop) == once


@each_task
async def test_no_row_is_locked_before_the_runs_own(shop: Workshop, task: Task) -> None:
    """Else two workers at one command could wait for each other, and one of them lose its attempt."""
    await CASES[task.name].prepare(shop)
    run = await shop.claim(task, args_for(task))
    outcome = await shop.perform(run)

    async with shop.engine.begin() as connection:
        await shop.ledger.hold(connection, run.claim)
        recording = asyncio.create_task(shop.record(run, outcome))
        await eventually(lambda: somebody_waits_for_a_lock(shop))
        for table in (mail_deliveries, media_assets, media_renditions, content_analytics):
            await connection.execute(table.select().with_for_update(nowait=True))

    assert await recording == "done"


async def somebody_waits_for_a_lock(shop: Workshop) -> bool:
    waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with shop.engine.connect() as connection:
        return (await connection.execute(text(waiting))).first() is not None


@each_task
async def test_a_worker_that_lost_its_run_leaves_no_rows_of_its_end(shop: Workshop, task: Task) -> None:
    case = CASES[task.name]
    await case.prepare(shop)
    slow = shop.with_leases_of(timedelta(0))
    run = await slow.claim(task, args_for(task))
    outcome = await slow.perform(run)
    before = await case.effects(shop)
    await shop.as_worker("w2").claim(task, args_for(task))

    state = await slow.record(run, outcome)

    assert state == "duplicate"
    assert await case.effects(shop) == before


@each_task
async def test_a_takeover_ends_what_a_lost_worker_began(shop: Workshop, task: Task) -> None:
    case = CASES[task.name]
    await case.prepare(shop)
    lost = shop.with_leases_of(timedelta(0))
    await lost.perform(await lost.claim(task, args_for(task)))

    outcome = await shop.as_worker("w2").run(task, args_for(task))

    assert isinstance(outcome, Done), outcome
