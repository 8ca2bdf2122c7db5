"""`tailrace media reprocess`: which assets are meant, and that each is made again once."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from agents.process_media_upload import process_media_upload
from schemas.tables import outbox, task_runs
from streams.cli import cli
from streams.media.asset_filter import WrongCondition, conditions_of
from streams.media.reprocessing import Reprocessing, count_assets, reprocess

NOW = datetime.now(UTC)

# What has been made of five assets of four posts.
FILL = text("""
    WITH assets AS (
        INSERT INTO tailrace.media_assets (post_id, source, kind, status, format, error, focus_x, focus_y, updated_at)
        VALUES ('1', 'a.jpg', 'image', 'ready', 'jpeg', NULL, 0.25, 0.5, now()),
               ('2', 'b.gif', 'image', 'ready', 'gif', NULL, NULL, NULL, now() - interval '30 days'),
               ('2', 'b.mp4', 'video', 'ready', 'mp4', NULL, NULL, NULL, now()),
               ('x-3', 'c.jpg', 'image', 'failed', NULL, 'the file is empty', NULL, NULL, now()),
               ('4', 'd.jpg', 'image', 'queued', NULL, NULL, NULL, NULL, now()))
    INSERT INTO tailrace.media_renditions (post_id, source, variant, key, width, height, bytes, format, recipe)
    SELECT post_id, source, variant, 'k', 1, 1, 1, 'webp', recipe
      FROM (VALUES ('1', 'a.jpg', 'w320', 'webp-2'), ('2', 'b.gif', 'w320', 'webp-1'),
                   ('2', 'b.mp4', 'w320', 'webp-2'), ('2', 'b.mp4', 'h264-720', 'h264-1'))
        AS made (post_id, source, variant, recipe)
""")


@pytest.fixture
async def filled(engine: AsyncEngine) -> AsyncEngine:
    async with engine.begin() as connection:
        await connection.execute(FILL)
    return engine


def _asked(*conditions: str, avif: bool = False, **changed: Any) -> Reprocessing:
    wanted = conditions_of(conditions, avif, lambda: NOW)
    defaults: dict[str, Any] = {"task": process_media_upload.name, "queue": "maintenance", "rate": 2.0, "numbers": True}
    return Reprocessing(wanted, **(defaults | changed))


async def _runs(engine: AsyncEngine) -> list[dict[str, Any]]:
    async with engine.connect() as connection:
        found = await connection.execute(task_runs.select().order_by(task_runs.c.scheduled_for))
        return [dict(row) for row in found.mappings()]


@pytest.mark.parametrize(
    ("conditions", "sources"),
    [
        ((), {"a.jpg", "b.gif", "b.mp4", "c.jpg", "d.jpg"}),
        (("status=failed",), {"c.jpg"}),
        (("status!=ready",), {"c.jpg", "d.jpg"}),
        (("kind=video",), {"b.mp4"}),
        (("post=2", "kind=image"), {"b.gif"}),
        (("format = gif",), {"b.gif"}),
        (("error=the file is empty",), {"c.jpg"}),
        (("recipe=webp-1",), {"b.gif"}),
        (("recipe!=webp-2",), {"b.gif", "c.jpg", "d.jpg"}),
        (("recipe=outdated",), {"b.gif"}),
        (("updated<7d",), {"b.gif"}),
        (("updated>=7d", "status=ready"), {"a.jpg", "b.mp4"}),
        (("source=a.jpg' OR true --",), set()),
    ],
)
async def test_conditions_say_which_assets_are_meant(
    filled: AsyncEngine, conditions: tuple[str, ...], sources: set[str]
) -> None:
    asked = _asked(*conditions)

    counted = await count_assets(filled, asked.wanted)
    put, waiting = await reprocess(filled, asked, NOW)

    assert (put, waiting) == (len(sources), 0)
    assert sum(group["assets"] for group in counted) == len(sources)
    args = [row["args"] for row in await _runs(filled)]
    assert {found.get("image") or found.get("video") for found in args} == sources


async def test_what_has_no_avif_is_outdated_once_that_is_asked_for(filled: AsyncEngine) -> None:
    counted = await count_assets(filled, _asked("recipe=outdated", avif=True).wanted)

    assert sum(group["assets"] for group in counted) == 3


async def test_each_asset_is_a_run_of_its_own_paced_and_once(filled: AsyncEngine) -> None:
    first = await reprocess(filled, _asked("status=ready"), NOW)
    second = await reprocess(filled, _asked(), NOW + timedelta(seconds=1))

    runs = await _runs(filled)
    assert (first, second) == ((3, 0), (2, 3))
    assert [run["scheduled_for"] for run in runs[:3]] == [NOW + timedelta(seconds=number / 2) for number in range(3)]
    assert {(run["task"], run["queue"], run["state"]) for run in runs} == {
        ("process_media_upload", "maintenance", "queued")
    }
    assert {"post_id": 1, "image": "a.jpg", "image_focus": [0.25, 0.5]} in [run["args"] for run in runs]
    assert {"post_id": "x-3", "image": "c.jpg"} in [run["args"] for run in runs]
    async with filled.connect() as connection:
        sent = (await connection.execute(outbox.select())).mappings().all()
    assert len(sent) == 5 and {row["topic"] for row in sent} == {"queue.maintenance"}


async def test_no_more_are_made_again_than_the_limit_says(filled: AsyncEngine) -> None:
    assert await reprocess(filled, _asked(limit=2), NOW) == (2, 0)


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("status", "is no condition"),
        ("state=ready", "the nearest is status"),
        ("status=broken", "one of queued, processing, ready, failed"),
        ("updated=7d", "takes < and >="),
        ("kind<video", "takes < and >="),
        ("updated<yesterday", "how long ago"),
        ("1=1; DROP TABLE users", "there is no field|is no condition"),
    ],
)
def test_a_condition_that_is_none_is_refused_with_what_there_is(condition: str, said: str) -> None:
    with pytest.raises(WrongCondition, match=said):
        conditions_of([condition], False, lambda: NOW)


async def test_the_command_counts_and_does_only_what_it_is_told_to(
    filled: AsyncEngine, environment: dict[str, str]
) -> None:
    async def said(*options: str) -> tuple[int, str]:
        runner = CliRunner(env=environment)
        result = await asyncio.to_thread(runner.invoke, cli, ["media", "reprocess", *options])
        return result.exit_code, result.output

    nothing = await said()
    counted = await said("--where", "kind=image")
    before = await _runs(filled)
    done = await said("--where", "kind=image", "--execute", "--json")
    wrong = await said("--where", "kin=image")

    assert nothing[0] == 2 and "--where" in nothing[1]
    assert counted[0] == 0 and "4 found; nothing is changed without --execute" in counted[1] and before == []
    assert json.loads(done[1])["queued"] == len(await _runs(filled)) == 4
    assert wrong[0] == 1
