"""A worker whose role has no other rights than those that `tailrace attach --worker-role` gives and prints."""

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from agents import TASKS
from agents.cleanup_old_posts import CleanupOldPosts
from agents.forget_post import ForgetPost
from agents.forget_user import ForgetUser
from agents.send_content_digest_email import ContentDigest
from agents.send_digest import Digest
from agents.send_notification import SendNotification, send_notification
from streams.db import engine_for
from streams.enqueueing import Wish, enqueue
from streams.rights_check import missing_grants
from streams.settings import Settings
from streams.starting import CannotStart, require_rights
from streams.task import Task
from tests.clean_up import add_notification, add_session
from tests.digests import WEEK, add_post, add_reader, begin_week
from tests.events import runs
from tests.forgetting import rendered
from tests.old_posts import YEARS_AGO, company, content_types, in_the_bin, posts_left
from tests.one_run import NOON, Workshop, workshop
from tests.pictures import encoded, photo
from tests.waiting import eventually
from tests.worker_role import WorkerRole, worker_role
from tests.workers import running_worker

ARGS: Mapping[str, Any] = {
    "send_content_digest_email": ContentDigest(dry_run=True),
    "send_digest": Digest(7, WEEK),
    "forget_user": ForgetUser(70),
    "forget_post": ForgetPost(51),
    "send_notification": SendNotification(recipient_id=7, message="hello", sender_id=8),
    "cleanup_old_posts": CleanupOldPosts(max_share=1),
}
"""Of tasks that need some."""

CAUSED = {"send_welcome_email", "process_media_upload"}
"""What the triggers' events cause by themselves."""


@pytest.fixture
async def role(settings: Settings) -> AsyncIterator[WorkerRole]:
    cleanup = settings.cleanup.model_copy(update={"old_posts_enabled": True})
    async with worker_role(settings.model_copy(update={"cleanup": cleanup})) as made:
        yield made


@pytest.fixture
async def shop(settings: Settings, engine: AsyncEngine, tmp_path: Path) -> AsyncIterator[Workshop]:
    async with workshop(settings, engine, tmp_path) as made:
        yield made


async def something_to_do(shop: Workshop) -> None:
    """For each task, so that none ends before its last statement."""
    backend, long_ago = shop.backend, NOON - timedelta(days=90)
    (shop.settings.media.root / "posts").mkdir()
    (shop.settings.media.root / "posts" / "p.jpg").write_bytes(encoded(photo()))
    await add_reader(shop, 7, followers_count=3)
    await shop.add_user(8)
    await add_post(shop, 1)
    await add_post(shop, 11, author_id=7, image="posts/p.jpg", likes_count=3)
    await begin_week(shop)
    await content_types(shop)
    await add_post(shop, 900, created_at=YEARS_AGO)
    await company(shop, 900, 7)
    await add_notification(shop, 901, days=90, is_read=True)
    for key, days in (("expired", -1), ("live", 7)):
        await add_session(shop, key, 7, days=days)
    await add_session(shop, "nobody's any more", 70)
    await shop.add(backend.outstanding_tokens, id=1, jti="1", expires_at=long_ago, user_id=7)
    await shop.add(backend.blacklisted_tokens, token_id=1)
    await shop.add(backend.refresh_tokens, token="old", created=long_ago, user_id=7)
    await rendered(shop, "51")
    async with shop.engine.begin() as connection:
        await connection.execute(text("INSERT INTO extra.pins VALUES (1, 900)"))


async def everything_counted(engine: AsyncEngine) -> bool:
    sources = text(
        "SELECT count(*) FILTER (WHERE counted_until > now() - interval '1 minute') FROM tailrace.trending_sources"
    )
    async with engine.connect() as connection:
        return int((await connection.execute(sources)).scalar_one()) == 8


async def order(engine: AsyncEngine, task: Task) -> None:
    args = ARGS.get(task.name) or task.args_type()
    await enqueue(engine, Wish(task, msgspec.to_builtins(args), task.queue))


async def all_ended(engine: AsyncEngine) -> bool:
    """Or one has failed: that is not tried again before a minute is over."""
    found = await runs(engine)
    named = {found_run.task for found_run in found}
    over = all(found_run.state in ("done", "skipped", "dead", "cancelled") for found_run in found)
    return any(found_run.error for found_run in found) or (over and named == {task.name for task in TASKS})


async def test_every_task_of_a_worker_with_that_role_comes_to_its_end(
    role: WorkerRole, shop: Workshop, engine: AsyncEngine
) -> None:
    await something_to_do(shop)

    async with running_worker(role.settings, TASKS):
        await eventually(lambda: everything_counted(engine), within=60)
        for task in TASKS:
            if task.name not in CAUSED:
                await order(engine, task)
        await eventually(lambda: all_ended(engine), within=120)

    found = [(found_run.task, found_run.state, found_run.error) for found_run in await runs(engine)]
    assert {entry[0] for entry in found} == {task.name for task in TASKS}
    assert {(state, error) for _, state, error in found} <= {("done", None), ("skipped", None)}, found
    assert (await in_the_bin(shop), 900 in await posts_left(shop)) == (["900"], False)


async def test_a_right_that_is_lacking_is_named_with_what_to_do(role: WorkerRole, shop: Workshop) -> None:
    await shop.add_user(7)
    await role.owner.execute(f"REVOKE INSERT ON notifications FROM {role.name}")
    theirs = role.shop(shop)

    run = await theirs.claim(send_notification, SendNotification(recipient_id=7, message="hello"))
    state = await theirs.record(run, await theirs.perform(run))

    missing = await missing_grants(theirs.engine, role.settings)
    await theirs.engine.dispose()
    ((error,),) = await role.owner.fetch("SELECT error FROM tailrace.task_runs")
    assert (state, "permission denied for table notifications" in error) == ("parked", True)
    assert "tailrace attach --worker-role ROLE" in error
    assert missing == [
        f"GRANT USAGE ON SCHEMA public TO {role.name};",
        f"GRANT INSERT ON public.notifications TO {role.name};",
    ]


async def test_what_is_granted_is_no_more_than_what_tasks_ask_for(role: WorkerRole) -> None:
    engine = engine_for(role.settings.database)
    missing = await missing_grants(engine, role.settings)
    await engine.dispose()

    assert missing == []
    may = "SELECT has_table_privilege($1, $2, $3)"
    for table, right in (
        *(("users", right) for right in ("SELECT", "UPDATE", "INSERT", "DELETE")),
        *(("follows", right) for right in ("UPDATE", "INSERT", "DELETE")),
        *(("posts", "UPDATE"), ("hashtags", "DELETE"), ("django_session", "INSERT"), ("extra.receipts", "DELETE")),
        ("tailrace.schema_version", "UPDATE"),
    ):
        assert not await role.owner.fetchval(may, role.name, table, right), (table, right)
    password = "SELECT has_column_privilege($1, 'users', 'password', 'SELECT')"
    assert not await role.owner.fetchval(password, role.name)


async def test_a_worker_that_could_keep_no_record_does_not_start(role: WorkerRole) -> None:
    await role.owner.execute(f"REVOKE INSERT ON tailrace.task_runs FROM {role.name}")
    engine = engine_for(role.settings.database)

    with pytest.raises(CannotStart, match=rf"task_runs.*run `tailrace attach --worker-role {role.name}`"):
        await require_rights(engine, role.settings)

    await engine.dispose()
