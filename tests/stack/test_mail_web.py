"""Ending a subscription by a link, and what a mail provider says of bounces and complaints."""

import json
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.tables import mail_deliveries
from schemas.tables_mail import suppressions
from streams.clock import Clock
from streams.mail.links import Links, Subscription
from streams.metrics import Metrics
from streams.settings import Settings
from streams.web.email_webhook import add_email_webhook, signature
from streams.web.middleware import new_application
from streams.web.unsubscribe import add_unsubscribe

SECRETS = "the newer secret, the older secret"
Client = TestClient[web.Request, web.Application]


@pytest.fixture
async def client(engine: AsyncEngine, settings: Settings) -> AsyncIterator[Client]:
    app = new_application(Metrics())
    add_unsubscribe(app, engine, Links.of(settings))
    add_email_webhook(app, engine, SECRETS, Clock().now)
    async with TestClient(TestServer(app)) as opened:
        yield opened


@pytest.fixture
def link(settings: Settings) -> str:
    links = Links.of(settings)
    assert links
    return links.unsubscribe(Subscription("7", "digest")).removeprefix("https://network.example")


async def known(engine: AsyncEngine) -> list[tuple[Any, ...]]:
    columns = suppressions.c.kind, suppressions.c.value, suppressions.c.mailing_list, suppressions.c.reason
    async with engine.connect() as connection:
        rows = await connection.execute(suppressions.select().with_only_columns(*columns).order_by(*columns))
        return [tuple(row) for row in rows]


GONE = ("user", "7", "digest", "unsubscribed")


async def test_looking_at_the_page_changes_nothing(client: Client, engine: AsyncEngine, link: str) -> None:
    answer = await client.get(link)

    page = await answer.text()
    assert answer.status == 200 and "Send me no more" in page
    assert "form-action 'self'" in answer.headers["Content-Security-Policy"]
    assert await known(engine) == []


async def test_one_click_of_a_mail_program_ends_the_subscription(
    client: Client, engine: AsyncEngine, link: str
) -> None:
    answers = [await client.post(link, data={"List-Unsubscribe": "One-Click"}) for _ in range(2)]

    assert [answer.status for answer in answers] == [200, 200]
    assert await known(engine) == [GONE]


async def test_the_button_ends_it_and_the_next_one_takes_that_back(
    client: Client, engine: AsyncEngine, link: str
) -> None:
    gone = await (await client.post(link, data={"action": "unsubscribe"})).text()
    between = await known(engine)
    again = await (await client.post(link, data={"action": "subscribe"})).text()

    assert "You are unsubscribed" in gone and "Send me no more" in again
    assert (between, await known(engine)) == ([GONE], [])


async def test_the_page_speaks_the_browsers_language(client: Client, link: str) -> None:
    page = await (await client.get(link, headers={"Accept-Language": "de, fr-CA;q=0.8"})).text()

    assert '<html lang="fr">' in page and "Ne plus le recevoir" in page


async def test_a_link_that_was_cut_off_says_so(client: Client, engine: AsyncEngine, link: str) -> None:
    answer = await client.post(link[:-3])

    assert answer.status == 404 and "copy all of it" in await answer.text()
    assert await known(engine) == []


async def notify(client: Client, body: Any, secret: str = "the newer secret", age: int = 0, **headers: str) -> Any:
    content = json.dumps(body).encode()
    stamp = str(int(time.time()) - age)
    signed = {
        "webhook-id": "msg_1",
        "webhook-timestamp": stamp,
        "webhook-signature": signature(secret, "msg_1", stamp, content),
    }
    return await client.post("/webhooks/email", data=content, headers={**signed, **headers})


BOUNCE = {"type": "bounce", "address": "Ada@Example.org", "reason": "550 no such user"}


@pytest.mark.parametrize("secret", ["the newer secret", "the older secret"])
async def test_a_bounce_and_a_complaint_suppress_addresses(client: Client, engine: AsyncEngine, secret: str) -> None:
    body = [BOUNCE, {"type": "complaint", "address": "bob@example.org"}]

    answers = [await notify(client, body, secret) for _ in range(2)]

    assert [await answer.json() for answer in answers] == [
        {"notices": 2, "suppressed": 2},
        {"notices": 2, "suppressed": 0},
    ]
    assert await known(engine) == [
        ("address", "ada@example.org", "*", "bounced"),
        ("address", "bob@example.org", "*", "complained"),
    ]


async def test_a_bounce_of_a_mail_of_ours_is_kept_with_the_mail(client: Client, engine: AsyncEngine) -> None:
    row = {"template": "welcome", "user_id": "7", "cause": "user:7", "message_id": "<1@x>", "state": "sent"}
    rest = {"recipient": "u7@example.org", "subject": "Hello", "run_id": uuid.uuid4(), "attempt": 1}
    async with engine.begin() as connection:
        await connection.execute(mail_deliveries.insert().values(**row, **rest))

    await notify(client, {"type": "bounce", "message_id": "<1@x>", "reason": "gone"})

    async with engine.connect() as connection:
        (found,) = await connection.execute(mail_deliveries.select())
    assert (found.state, found.error) == ("bounced", "gone")
    assert await known(engine) == [("address", "u7@example.org", "*", "bounced")]


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"secret": "somebody else's!"}, 401, "the signature is wrong"),
        ({"webhook-signature": ""}, 401, "the signature is wrong"),
        ({"webhook-id": "msg_2"}, 401, "the signature is wrong"),
        ({"age": 301}, 401, "is not within five minutes"),
        ({"age": -301}, 401, "is not within five minutes"),
        ({"body": {"type": "delivery", "address": "a@example.org"}}, 400, "or a list of such"),
        ({"body": {"type": "bounce"}}, 400, "needs an address or a message_id"),
    ],
)
async def test_a_notice_that_is_wrong_is_refused_with_what_to_do(
    client: Client, engine: AsyncEngine, changes: dict[str, Any], status: int, reason: str
) -> None:
    answer = await notify(client, **{"body": BOUNCE, **changes})

    assert answer.status == status and reason in await answer.text()
    assert await known(engine) == []
