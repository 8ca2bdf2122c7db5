"""``tailrace analytics``, and a past day that is counted by hand."""

import json
from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.backend import backend_tables
from tests.operations import Environment, say

DAY = "2026-03-01"
MORNING = datetime(2026, 3, 1, 9, tzinfo=UTC)


async def test_a_past_day_is_counted_by_hand_and_shown(environment: Environment, engine: AsyncEngine) -> None:
    tables = backend_tables()
    async with engine.begin() as connection:
        await connection.execute(tables.users.insert().values(id=1, username="u1", email="u1@example.org"))
        posts = [{"author_id": 1, "created_at": MORNING + timedelta(minutes=n)} for n in range(3)]
        await connection.execute(tables.posts.insert(), posts)
        shared = {"user_id": 1, "post_id": 1, "created_at": MORNING}
        await connection.execute(tables.shares.insert().values(shared))

    ran = await say(environment, "run", "generate_content_analytics", "--args", f'{{"day": "{DAY}"}}')
    shown = await say(environment, "analytics", "show", "--day", DAY)
    as_json = json.loads((await say(environment, "analytics", "show", "--json")).out)
    absent = await say(environment, "analytics", "show", "--day", "2026-02-28")

    assert (ran.code, json.loads(ran.out)["outcome"]["posts"]) == (0, 3), ran
    assert shown.code == 0, shown
    assert f"{DAY} by UTC, counted at" in shown.out
    assert "active users" in shown.out
    assert "█" in shown.out
    assert (as_json["day"], as_json["posts"], as_json["hours"][9]["posts"]) == (DAY, 3, 3)
    assert as_json["top_posts"][0]["points"] == 7
    assert absent.code == 1
    assert """`tailrace run generate_content_analytics --args '{"day": "2026-02-28"}'` does""" in absent.errors


async def test_a_day_that_is_none_is_refused(environment: Environment) -> None:
    said = await say(environment, "run", "generate_content_analytics", "--args", '{"day": "yesterday"}')

    assert said.code == 1
    assert "wrong arguments for generate_content_analytics: day: " in said.errors
