"""The page in a real browser, on a real database."""

import asyncio
import re
import shutil
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from aiohttp import web
from playwright.async_api import Browser, Page, async_playwright, expect
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas import tables
from streams.db import engine_for
from streams.health import Health
from streams.metrics import Metrics
from streams.settings import Settings
from streams.trending.delta import FORMAT, Body, pack
from streams.trending.view import View
from streams.web.health_routes import start_site
from streams.web.server import application

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
EVIL = "<img src=x onerror=alert(1)>"
SLOW = 15_000
"""Milliseconds for the page to show a change, on a machine that is busy."""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH: install the package chromium")

Count = Callable[..., Awaitable[None]]


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        await launched.close()


@pytest.fixture
async def engine(settings: Settings) -> AsyncIterator[AsyncEngine]:
    made = engine_for(settings.database)
    yield made
    await made.dispose()


@pytest.fixture
async def site(settings: Settings, engine: AsyncEngine) -> AsyncIterator[tuple[web.AppRunner, str]]:
    """The server of this test, and its address."""
    metrics = Metrics()
    view = View(engine, metrics)
    app = application(settings, engine, view, Health(), metrics)
    runner, port = await start_site(app, "127.0.0.1", 0)
    following = asyncio.create_task(view.run())
    yield runner, f"http://127.0.0.1:{port}/"
    following.cancel()
    await asyncio.wait([following])
    await runner.cleanup()


@pytest.fixture
async def page(browser: Browser, site: tuple[web.AppRunner, str]) -> AsyncIterator[Page]:
    """The page of a small phone. Fails the test if a script complained or text ran."""
    context = await browser.new_context(viewport={"width": 360, "height": 740})
    opened, complaints = await context.new_page(), list[str]()
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("dialog", lambda dialog: complaints.append(f"text ran: {dialog.message}"))
    opened.on("console", lambda said: complaints.append(said.text) if "Security Policy" in said.text else None)
    await opened.goto(site[1])
    yield opened
    await context.close()
    assert complaints == []


@pytest.fixture
def count(engine: AsyncEngine) -> Count:
    """Stores more uses of tags, as a counter does that has got so far ``age`` ago."""
    stored = 0

    async def store(tags: dict[str, int], age: timedelta = timedelta()) -> None:
        nonlocal stored
        now = datetime.now(UTC) - age
        minute, key = int(now.timestamp()) // 60, {"generation": 1, "source": "post.uploaded/0"}
        delta = {
            "from_offset": stored,
            "to_offset": stored + 1,
            "format": FORMAT,
            "newest_minute": minute,
            "refused": 0,
        }
        source = {"next_offset": stored + 1, "archived_offset": 0, "counted_until": now}
        async with engine.begin() as connection:
            body = pack(Body({minute: tags}))
            await connection.execute(tables.trending_deltas.insert().values(**key, **delta, body=body))
            await connection.execute(sa.delete(tables.trending_sources))
            await connection.execute(tables.trending_sources.insert().values(**key, **source))
        stored += 1

    return store


async def _insert_run(engine: AsyncEngine, **values: object) -> None:
    now = datetime.now(UTC)
    row: dict[str, object] = {"id": uuid.uuid4(), "caused_at": now, "queue": "emails", "attempt": 1, "generation": 0}
    row |= {"state": "done", "started_at": now, "finished_at": now, "duration_ms": 42, "worker": "w1"}
    async with engine.begin() as connection:
        await connection.execute(tables.task_runs.insert().values(**row, **values))


async def test_an_empty_page_says_what_to_do(page: Page) -> None:
    for text in ("Nothing has run in the last hour", "No picture has been rendered yet", "No mail yet"):
        await expect(page.get_by_text(text)).to_be_visible(timeout=SLOW)
    await expect(page.locator("#tasks-empty").get_by_text("tailrace worker")).to_be_visible()


async def test_tags_and_a_run_appear_by_themselves(page: Page, engine: AsyncEngine, count: Count) -> None:
    await count({"sunset": 7, "rain": 3})
    await _insert_run(engine, task="send_welcome_email", args={"user_id": 17})

    await expect(page.locator("#tags li").first).to_contain_text(re.compile("#sunset.*7 uses"), timeout=SLOW)
    await expect(page.locator("#runs tr").first).to_contain_text("send_welcome_email", timeout=SLOW)
    await expect(page.locator("#tasks tr").first).to_contain_text("send_welcome_email")
    await expect(page.locator("#state")).to_contain_text(re.compile(r"Live\s*as of \d\d:\d\d:\d\d"))


async def test_bars_change_places_as_counts_change(page: Page, count: Count) -> None:
    await count({"sunset": 7, "rain": 3})
    await expect(page.locator("#tags li")).to_have_text([re.compile("sunset"), re.compile("rain")], timeout=SLOW)

    await count({"rain": 9})

    await expect(page.locator("#tags li")).to_have_text([re.compile("rain"), re.compile("sunset")], timeout=SLOW)


async def test_another_window_can_be_chosen_and_stays_chosen(page: Page, count: Count) -> None:
    await count({"sunset": 7})
    await page.get_by_text("5 min", exact=True).click()
    await expect(page.locator("#tags-note")).to_contain_text("last 5 min", timeout=SLOW)

    await page.reload()

    await expect(page.get_by_role("radio", name="5 min", exact=True)).to_be_checked()


async def test_what_trends_is_shown_with_its_reason_and_stays_chosen(page: Page, count: Count) -> None:
    await count({"sunset": 11, "once": 1})
    await page.get_by_text("Trending", exact=True).click()
    await expect(page.locator("#tags li")).to_have_text(re.compile("sunset.*11 an hour, usually 1"), timeout=SLOW)

    await page.reload()

    await expect(page.get_by_role("radio", name="Trending", exact=True)).to_be_checked()
    await expect(page.get_by_role("radio", name="7 days", exact=True)).to_be_disabled()


async def test_counts_that_stand_still_are_said_to_be_stale(page: Page, count: Count) -> None:
    await count({"sunset": 7}, age=timedelta(minutes=4))

    await expect(page.locator("#state")).to_contain_text("Needs a look", timeout=SLOW)
    await expect(page.locator("#problems")).to_contain_text("stale: counted up to 4 min ago")
    await expect(page.locator("#tags-note")).to_contain_text("Incomplete")


async def test_names_with_markup_are_shown_as_text(page: Page, engine: AsyncEngine, count: Count) -> None:
    await count({EVIL: 7})
    await _insert_run(engine, task=EVIL, args={EVIL: EVIL}, error=EVIL)
    mail = {"template": "welcome", "user_id": "7", "cause": "7", "message_id": "<7@x>", "recipient": EVIL}
    async with engine.begin() as connection:
        values = {**mail, "subject": EVIL, "state": "sent", "run_id": uuid.uuid4(), "attempt": 1}
        await connection.execute(tables.mail_deliveries.insert().values(**values))

    for part in ("#tags li", "#runs tr", "#mails li", "#tasks tr"):
        await expect(page.locator(part).first).to_contain_text(EVIL, timeout=SLOW)
    assert await page.locator("img[src='x']").count() == 0


async def test_a_server_that_is_gone_is_said_and_the_last_answer_stays(
    page: Page, site: tuple[web.AppRunner, str], count: Count
) -> None:
    await count({"sunset": 7})
    await expect(page.locator("#tags li").first).to_contain_text("sunset", timeout=SLOW)

    await site[0].cleanup()

    await expect(page.locator("#state")).to_contain_text("Not reachable", timeout=SLOW)
    await expect(page.locator("#problems")).to_contain_text("does not answer. Is tailrace serve running?")
    await expect(page.locator("#announce")).to_have_text("Not reachable")
    await expect(page.locator("#tags li").first).to_contain_text("sunset")


async def test_a_small_phone_need_not_scroll_sideways(page: Page, engine: AsyncEngine, count: Count) -> None:
    await count({"a" * 100: 7})
    await _insert_run(engine, task="update_post_engagement_scores", args={"source": "b" * 200}, error="c" * 200)
    await expect(page.locator("#tags li").first).to_be_visible(timeout=SLOW)
    await expect(page.locator("#runs tr").first).to_be_visible(timeout=SLOW)

    width = await page.evaluate("document.documentElement.scrollWidth")

    assert width == 360
