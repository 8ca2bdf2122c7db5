"""`forget_user`, `forget_post` and `tailrace forget`: what is kept of one is gone, or does not say of whom it is."""

import json
import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from agents.forget_post import ForgetPost, forget_post
from agents.forget_user import ForgetUser, forget_user
from agents.send_notification import SendNotification, send_notification
from agents.send_welcome_email import WelcomeEmail, send_welcome_email
from schemas.events import UserDeleted
from schemas.tables import mail_deliveries, outbox, task_runs
from schemas.tables_cleanup import deleted_posts
from schemas.tables_data import post_engagement
from schemas.tables_forgetting import forgotten as notes
from schemas.tables_mail import suppressions
from streams.mail.links import Subscription
from streams.mail.suppressions import Suppression, suppress
from streams.task import Done, Retry, Skip
from tests.backend import say
from tests.events import user_created
from tests.forgetting import rendered, rendered_posts
from tests.old_posts import binned, in_the_bin, old_posts, result, switched_on
from tests.one_run import NOON, Workshop
from tests.processes import run


async def forgotten(shop: Workshop, *, cause: str = "f") -> dict[str, Any]:
    outcome = await shop.run(forget_user, ForgetUser(7), cause=cause)
    assert isinstance(outcome, Done), outcome
    return dict(outcome.result)


async def a_known_user(shop: Workshop) -> None:
    """User 7, greeted and told something, beside user 70; a notification for 7 waits, and so do events."""
    for user in (7, 70):
        await shop.add_user(user)
        await shop.run(send_welcome_email, WelcomeEmail(user), cause=f"welcome {user}")
    await shop.run(send_notification, SendNotification(recipient_id=70, message="hello", sender_id=7), cause="told")
    waiting = await shop.claim(send_notification, SendNotification(recipient_id=7, message="later"), cause="waits")
    await shop.record(waiting, Retry("not now"))
    async with shop.engine.begin() as connection:
        await say(connection, user_created(7))
        await say(connection, user_created(70))
        await say(connection, UserDeleted(user_id=7, deleted_at=NOON))


async def delete(shop: Workshop, table: sa.Table, row_id: int) -> None:
    async with shop.engine.begin() as connection:
        await connection.execute(table.delete().where(table.c.id == row_id))


async def traces(shop: Workshop, *tables: Any) -> list[str]:
    """Rows in which there is still something of user 7 beside the id."""
    rows = [str(msgspec.to_builtins(row, enc_hook=repr)) for table in tables for row in await shop.rows(table)]
    return [row for row in rows if "u7@example.org" in row or "later" in row or "'sender_id': 7" in row]


async def test_of_a_user_nothing_is_left_but_the_id_that_keeps_mails_from_going_out_twice(shop: Workshop) -> None:
    await a_known_user(shop)

    report = await forgotten(shop)
    again = await shop.run(send_welcome_email, WelcomeEmail(7), cause="welcome again")

    assert await traces(shop, mail_deliveries, task_runs) == []
    mails = {row["user_id"]: (row["recipient"], row["state"]) for row in await shop.rows(mail_deliveries)}
    assert mails == {"7": ("", "sent"), "70": ("u70@example.org", "sent")}
    assert report["anonymised"] == {"mail_deliveries": 1, "suppressions": 0, "task_runs": 3}
    assert (report["cancelled_runs"], report["erased"]["outbox"]) == (1, 2)
    waiting = [json.loads(row["payload"]) for row in await shop.rows(outbox)]
    assert sorted((fact["user_id"], "deleted_at" in fact) for fact in waiting) == [(7, True), (70, False)]
    assert len(shop.sink.mails()) == 2, again


async def test_a_second_time_there_is_nothing_to_forget(shop: Workshop) -> None:
    await a_known_user(shop)
    await forgotten(shop)

    report = await forgotten(shop, cause="again")

    counts = [*report["erased"].values(), *report["anonymised"].values(), report["cancelled_runs"]]
    assert set(counts) == {0}
    assert report["left"]


async def test_while_a_run_about_the_user_goes_on_it_is_tried_again(shop: Workshop) -> None:
    await shop.add_user(7)
    await shop.claim(send_welcome_email, WelcomeEmail(7))

    outcome = await shop.run(forget_user, ForgetUser(7), cause="f")

    assert outcome == Retry("runs about user 7 that are under way: 1", after=timedelta(minutes=1))


async def test_own_posts_leave_the_recycle_bin_and_rows_in_others_posts_do_too(shop: Workshop) -> None:
    await old_posts(shop, 2, image="posts/a.jpg")
    await shop.add_user(7)
    for user in (1, 7):
        await shop.add(shop.backend.bookmarks, user_id=user, post_id=1)
    await result(switched_on(shop))
    await shop.add(
        deleted_posts, post_id="9", author_id="7", run_id=uuid.uuid4(), deleted_at=NOON, rows=[], files=["posts/9.jpg"]
    )
    await shop.storage.put({"posts/9.jpg": b"x", "posts/a.jpg": b"x", "renditions/9/a.webp": b"x"})

    report = await forgotten(shop)

    assert await in_the_bin(shop) == ["1", "2"]
    assert report["erased"]["rows_of_others_deleted_posts"] == 1
    assert (report["erased"]["files"], report["erased"]["deleted_posts"]) == (2, 1)
    kept = [part for row in await shop.rows(deleted_posts) for part in row["rows"] if part["table"] == "bookmarks"]
    assert [row["user_id"] for part in kept for row in part["rows"]] == ["1"]
    assert [await shop.storage.exists(key) for key in ("posts/9.jpg", "posts/a.jpg")] == [False, True]


async def test_of_a_post_renditions_and_rows_go_and_its_own_picture_is_the_backends(shop: Workshop) -> None:
    for post in ("5", "51"):
        await rendered(shop, post)
        await shop.add(post_engagement, post_id=post, score=1, computed_at=NOON)
    await shop.storage.put({"posts/5.jpg": b"x"})

    outcome = await shop.run(forget_post, ForgetPost("5"))

    assert isinstance(outcome, Done)
    assert (outcome.result["erased"]["files"], outcome.result["erased"]["media_renditions"]) == (1, 1)
    assert await rendered_posts(shop) == ["51"]
    assert [row["post_id"] for row in await shop.rows(post_engagement)] == ["51"]
    keys = ("renditions/5/a.webp", "renditions/51/a.webp", "posts/5.jpg")
    assert [await shop.storage.exists(key) for key in keys] == [False, True, True]


async def a_user_who_wants_no_mail(shop: Workshop) -> None:
    await shop.add_user(7)
    await shop.run(send_welcome_email, WelcomeEmail(7), cause="welcome")
    async with shop.engine.begin() as connection:
        await suppress(connection, Suppression.of_address("U7@example.org"), "complained", "of u7@example.org")
        await suppress(connection, Suppression.of(Subscription("7", "digest")), "unsubscribed")


async def test_an_address_that_complained_is_known_by_a_hash_alone_and_still_gets_no_mail(shop: Workshop) -> None:
    await a_user_who_wants_no_mail(shop)
    await delete(shop, shop.backend.users, 7)

    report = await forgotten(shop)

    await shop.add_user(8, email="u7@example.org")
    await shop.run(send_welcome_email, WelcomeEmail(8), cause="again")
    async with shop.engine.begin() as connection:
        said_again = await suppress(connection, Suppression.of_address("u7@example.org"), "bounced")
    (kept,) = await shop.rows(suppressions)
    assert (kept["kind"], kept["reason"], kept["detail"]) == ("address", "complained", None)
    assert kept["value"].startswith("sha256:") and not said_again
    assert {row["user_id"]: row["state"] for row in await shop.rows(mail_deliveries)} == {
        "7": "sent",
        "8": "suppressed",
    }
    assert (report["erased"]["unsubscriptions"], report["anonymised"]["suppressions"]) == (1, 1)


async def test_who_is_still_there_stays_unsubscribed(shop: Workshop) -> None:
    await a_user_who_wants_no_mail(shop)

    report = await forgotten(shop)

    assert {row["kind"] for row in await shop.rows(suppressions)} == {"address", "user"}
    assert "the backend has the user" in report["left"][-1]


async def test_who_waits_is_forgotten_along_and_has_a_report_all_the_same(shop: Workshop) -> None:
    for user in (7, 70, 71):
        await shop.run(send_notification, SendNotification(recipient_id=user, message="later"), cause=f"told {user}")
    await binned(shop, "5", days=1)
    for user in (70, 71):
        await shop.record(await shop.claim(forget_user, ForgetUser(user), cause=str(user)), Retry("busy"))
    await shop.record(await shop.claim(forget_post, ForgetPost(5, keep_binned=True), cause="5"), Retry("busy"))

    alone = await forgotten(shop)

    assert await traces(shop, task_runs) == []
    assert sorted((row["kind"], row["subject_id"]) for row in await shop.rows(notes)) == [
        ("user", "70"),
        ("user", "71"),
    ]
    along = await shop.run(forget_user, ForgetUser(70), cause="70", attempt=2)
    assert isinstance(along, Done)
    assert {**along.result, "subject": ""} == {**alone, "subject": ""} and alone["anonymised"]["task_runs"] == 1
    assert [row["subject_id"] for row in await shop.rows(notes)] == ["71"]


async def test_a_post_that_the_clean_up_has_deleted_is_not_forgotten_before_its_time(shop: Workshop) -> None:
    await binned(shop, "5", days=1)

    by_event = await shop.run(forget_post, ForgetPost(5, keep_binned=True), cause="1")
    left = await in_the_bin(shop)
    by_hand = await shop.run(forget_post, ForgetPost(5), cause="2")

    assert by_event == Skip("post 5 is in the recycle bin, and is forgotten when it is purged")
    assert isinstance(by_hand, Done)
    assert (left, await in_the_bin(shop)) == (["5"], [])


async def test_a_post_that_the_backend_has_is_not_forgotten(shop: Workshop) -> None:
    await old_posts(shop, 1)

    assert await shop.run(forget_post, ForgetPost(1)) == Skip("the backend has post 1; delete it there first")


@pytest.mark.parametrize("odd", ["", "abc", "7' OR '1'='1", "%", "é"])
async def test_an_id_that_names_nobody_forgets_nobody(shop: Workshop, odd: str) -> None:
    await a_known_user(shop)
    before = await shop.rows(mail_deliveries)

    await shop.run(forget_user, ForgetUser(odd), cause="f")

    assert await shop.rows(mail_deliveries) == before
    assert len(await shop.rows(outbox)) == 4


async def test_the_command_prints_the_report(shop: Workshop, environment: Mapping[str, str]) -> None:
    await a_known_user(shop)
    await shop.add(shop.backend.posts, id=1, author_id=70)

    code, out, _ = await run("forget", "user", "7", environment=environment)
    refused = await run("forget", "post", "1", environment=environment)

    assert (code, json.loads(out)["anonymised"]["mail_deliveries"]) == (0, 1)
    assert refused == (1, "", "tailrace forget: the backend has post '1'; delete it there first\n")
