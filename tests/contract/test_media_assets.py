"""What is shown of a picture while it is waited for, made and given up; and by whom it may be said."""

from datetime import timedelta

import pytest

from agents.process_media_upload import process_media_upload
from schemas.tables import media_renditions
from streams.claims import LostClaim
from streams.media import assets
from streams.task import Dead, Done, Retry
from tests.one_run import Workshop
from tests.pictures import encoded, photo
from tests.uploads import ARGS, asset, attempt, upload


async def test_a_file_that_comes_later_is_waited_for(shop: Workshop) -> None:
    path = await upload(shop, None)

    early = await attempt(shop)
    waiting = await asset(shop)
    path.write_bytes(encoded(photo()))
    late = await attempt(shop, 2)

    assert early == Retry("'posts/p.jpg' does not exist under the media root")
    assert (waiting["status"], waiting["error"]) == ("queued", early.reason)
    assert isinstance(late, Done)
    assert ((await asset(shop))["status"], (await asset(shop))["error"]) == ("ready", None)


async def test_a_file_that_never_comes_ends_as_failed(shop: Workshop) -> None:
    await upload(shop, None)

    for number in range(1, process_media_upload.retry.max_attempts + 1):
        await attempt(shop, number)

    row = await asset(shop)
    reason = "gave up after 4 attempts: 'posts/p.jpg' does not exist under the media root"
    assert (row["status"], row["error"]) == ("failed", reason)


@pytest.mark.parametrize(
    ("number", "outcome"),
    [(4, Retry("not done within 300 s")), (1, Dead("6 workers were lost while they ran it"))],
    ids=["last attempt", "takeovers"],
)
async def test_an_asset_whose_run_is_dead_has_failed(shop: Workshop, number: int, outcome: Retry | Dead) -> None:
    await upload(shop, encoded(photo()))
    run = await shop.claim(process_media_upload, ARGS, attempt=number)
    await assets.show_processing(shop.engine, run.claim, ARGS.assets[0])

    state = await shop.record(run, outcome)

    row = await asset(shop)
    assert (state, row["status"]) == ("dead", "failed") and row["error"].endswith(outcome.reason)


async def test_a_dead_run_leaves_an_asset_that_is_ready_as_it_is(shop: Workshop) -> None:
    await upload(shop, encoded(photo()))
    await attempt(shop)

    await shop.record(await shop.claim(process_media_upload, ARGS, cause="2"), Dead("no more"))

    assert ((await asset(shop))["status"], (await asset(shop))["error"]) == ("ready", None)


@pytest.mark.parametrize(("content", "status"), [(encoded(photo()), "ready"), (b"words", "failed")])
async def test_a_worker_taken_for_dead_turns_no_asset_back(shop: Workshop, content: bytes, status: str) -> None:
    await upload(shop, content)
    slow = shop.with_leases_of(timedelta(0))
    run = await slow.claim(process_media_upload, ARGS)
    await attempt(shop.as_worker("w2"))

    for show in (slow.perform(run), assets.show_queued(shop.engine, run.claim, ARGS.assets[0], "again")):
        with pytest.raises(LostClaim):
            await show

    assert (await asset(shop))["status"] == status


async def test_an_asset_that_is_ready_stays_so_while_it_is_made_again(shop: Workshop) -> None:
    path = await upload(shop, encoded(photo()))
    await attempt(shop)
    path.unlink()

    outcome = await attempt(shop, cause="2")

    assert isinstance(outcome, Retry)
    assert (await asset(shop))["status"] == "ready"
    assert len(await shop.rows(media_renditions)) == 4
