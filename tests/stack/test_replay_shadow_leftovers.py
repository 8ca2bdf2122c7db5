"""A shadow finds rows and files that are live and not made by the new code, and reports none that others made."""

from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.events import UserCreated
from streams.media.storage import storage_of
from streams.settings import Settings
from streams.task import Context, Done, Outcome, Task, task
from streams.topics import create_topics
from tests.events import user_created
from tests.replays import Profile, all_done, ended, profile, publish, reading, start
from tests.waiting import eventually
from tests.workers import running_worker

EVENTS = 8
KEEP = text(
    "INSERT INTO badges VALUES (:user_id, :badge) ON CONFLICT (user_id, badge) DO UPDATE SET badge = excluded.badge"
)
KEEP_FILE = text("""
    INSERT INTO tailrace.media_renditions (post_id, source, variant, key, width, height, bytes, format, recipe)
    VALUES (:user_id, 'face.jpg', :badge, :key, 1, 1, 5, 'webp', 'r1')
    ON CONFLICT (post_id, source, variant) DO UPDATE SET key = excluded.key
""")


def keeping_badges(*badges: str) -> Task:
    """A task that keeps a row, a rendition and its file for each badge."""

    @task(queue="users", on=UserCreated, args=profile, redo=True)
    async def keep_badges(args: Profile, ctx: Context) -> Outcome:
        user = str(args.user_id)
        keys = {badge: f"renditions/{user}/{badge}.webp" for badge in badges}
        await ctx.storage.put(dict.fromkeys(keys.values(), b"12345"))

        async def effect(connection: AsyncConnection) -> None:
            for badge, key in keys.items():
                await connection.execute(KEEP, {"user_id": user, "badge": badge})
                await connection.execute(KEEP_FILE, {"user_id": user, "badge": badge, "key": key})

        return Done(effect=effect)

    return keep_badges


BEFORE = keeping_badges("early", "member")
MADE_NO_MORE = keeping_badges("member")
NONE_AT_ALL = keeping_badges()


@pytest.fixture(autouse=True)
async def ground(settings: Settings, engine: AsyncEngine) -> None:
    """Users with two badges each, of code that gave both."""
    await create_topics(settings)
    await say(engine, "CREATE TABLE public.badges (user_id text, badge text, PRIMARY KEY (user_id, badge))")
    await publish(settings, [user_created(number) for number in range(EVENTS)])
    async with running_worker(settings, [BEFORE]):
        await eventually(lambda: all_done(engine, EVENTS))


async def say(engine: AsyncEngine, *statements: str) -> None:
    """In one transaction."""
    async with engine.begin() as connection:
        for statement in statements:
            await connection.execute(text(statement))


async def rehearse(settings: Settings, engine: AsyncEngine, new: Task, **asked: Any) -> dict[str, Any]:
    """What a shadow with this code finds different, but for outcomes."""
    async with reading(settings, engine, [new]):
        number = await start(settings, engine, [new], mode="shadow", tables=["badges"], **asked)
        report: dict[str, Any] = (await ended(engine, number))["report"]
    return report


def shown(report: dict[str, Any], what: str) -> list[dict[str, Any]]:
    return [example for example in report["examples"] if example["what"] == what]


async def test_rows_and_files_that_the_new_code_does_not_make_are_found_where_its_runs_wrote_them_last(
    settings: Settings, engine: AsyncEngine
) -> None:
    await say(engine, "INSERT INTO badges SELECT user_id, 'given by hand' FROM badges WHERE badge = 'member'")
    same = await rehearse(settings, engine, BEFORE)
    await say(engine, "UPDATE badges SET badge = 'early' WHERE (user_id, badge) = ('3', 'early')")
    async with running_worker(settings, [BEFORE]):
        await ended(engine, await start(settings, engine, [BEFORE], mode="redo", keys=["4"]))

    report = await rehearse(settings, engine, MADE_NO_MORE, keys=["3", "4", "5"])

    assert (same["outcomes"], same["rows"], same["files"], same["examples"]) == (0, {}, 0, [])
    rows = shown(report, "row")
    assert all(row["shadow"] is None for row in rows)
    found = [row["live"]["user_id"] for row in rows if row["table"] == "public.badges"]
    assert sorted(found) == ["4", "5"], "somebody wrote the third since; the fourth was done again"
    assert report["rows"] == {"public.badges": 2, "tailrace.media_renditions": 3}
    assert {file["key"] for file in shown(report, "file")} == {f"renditions/{n}/early.webp" for n in (3, 4, 5)}
    assert report["files"] == 3
    assert [found.key async for found in storage_of(settings.media).list("shadow")] == []


async def test_what_is_not_certain_is_not_counted(settings: Settings, engine: AsyncEngine) -> None:
    """A task without a row may only change those of others; and a restored database does not tell who wrote what."""
    none_left = await rehearse(settings, engine, NONE_AT_ALL)
    await say(
        engine,
        "UPDATE tailrace.task_runs SET worker = worker",
        "UPDATE badges SET badge = badge",
        "UPDATE tailrace.media_renditions SET key = key",
    )
    restored = await rehearse(settings, engine, MADE_NO_MORE, keys=["1"])

    problems = {example["table"]: example["problem"] for example in shown(none_left, "table")}
    assert problems["public.badges"].startswith("keep_badges has written rows here and none in the shadow")
    for report in (none_left, restored):
        assert (report["rows"], report["files"]) == ({}, 0)
