"""`send_notification` and `cleanup_old_notifications`."""

from typing import Any

import pytest

from agents.cleanup_old_notifications import CleanupOldNotifications, cleanup_old_notifications
from agents.send_notification import SendNotification, send_notification
from streams.task import Done, Skip
from tests.clean_up import add_notification, values
from tests.data_ground import column, execute
from tests.one_run import NOON, Workshop


async def told(shop: Workshop) -> list[Any]:
    table = shop.backend.notifications.c
    return await column(shop, table.recipient_id, table.sender_id, table.message, table.is_read, table.created_at)


@pytest.mark.parametrize("recipient", [7, "7"], ids=repr)
async def test_a_user_is_told_once_for_each_order(shop: Workshop, recipient: int | str) -> None:
    await shop.add_user(7)
    await shop.add_user(8)
    args = SendNotification(recipient_id=recipient, message="hello", sender_id=8)

    for cause in ("1", "2"):
        run = await shop.claim(send_notification, args, cause=cause)
        outcome = await shop.perform(run)
        await shop.record(run, outcome)
        await shop.record(run, outcome)

    assert await told(shop) == [(7, 8, "hello", False, NOON)] * 2


@pytest.mark.parametrize("args", [{"recipient_id": 9}, {"recipient_id": "x"}, {"recipient_id": 7, "sender_id": 9}])
async def test_nobody_is_told_of_or_by_users_that_do_not_exist(shop: Workshop, args: dict[str, Any]) -> None:
    await shop.add_user(7)

    outcome = await shop.run(send_notification, SendNotification(message="hello", **args))

    missing = args.get("sender_id", args["recipient_id"])
    assert outcome == Skip(f"user {missing!r} does not exist")
    assert await told(shop) == []


async def old_read_and_unread(shop: Workshop) -> None:
    await shop.add_user(7)
    for number, (days, is_read) in enumerate([(31, True), (31, False), (29.9, True), (400, True)]):
        await add_notification(shop, number, days=days, is_read=is_read)


async def ids(shop: Workshop) -> list[Any]:
    return await values(shop, shop.backend.notifications.c.id)


async def test_read_ones_go_after_thirty_days(shop: Workshop) -> None:
    await old_read_and_unread(shop)

    rehearsed = await shop.run(cleanup_old_notifications, CleanupOldNotifications(dry_run=True), cause="1")
    before = await ids(shop)
    outcome = await shop.run(cleanup_old_notifications, CleanupOldNotifications(), cause="2")

    assert isinstance(rehearsed, Done)
    assert isinstance(outcome, Done)
    assert (rehearsed.result["deleted"], outcome.result["deleted"]) == (2, 2)
    assert (before, await ids(shop)) == ([0, 1, 2, 3], [1, 2])


async def test_one_that_an_unknown_table_refers_to_stays(shop: Workshop) -> None:
    await old_read_and_unread(shop)
    await execute(
        shop.engine,
        "CREATE TABLE pushes (about bigint REFERENCES notifications)",
        "INSERT INTO pushes VALUES (3)",
    )

    await shop.run(cleanup_old_notifications, CleanupOldNotifications())

    assert await ids(shop) == [1, 2, 3]


async def test_a_backend_without_notifications_is_told_which_setting_may_mend_it(shop: Workshop) -> None:
    await execute(shop.engine, "DROP TABLE notifications")

    outcome = await shop.run(cleanup_old_notifications, CleanupOldNotifications())

    assert isinstance(outcome, Skip)
    assert "has no table public.notifications: name it in TAILRACE_BACKEND__TABLES" in outcome.reason
