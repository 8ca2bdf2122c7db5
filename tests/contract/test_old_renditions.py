"""Files of renditions after a reprocess with another recipe: not deleted while a page may show them, then gone."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from agents.cleanup_old_renditions import CleanupOldRenditions, cleanup_old_renditions
from agents.process_media_upload import process_media_upload
from schemas.tables import media_renditions
from streams.task import Done
from tests.leftovers import later, leave, leftovers
from tests.one_run import Workshop
from tests.pictures import encoded, photo
from tests.uploads import ARGS, attempt, upload


async def cleaned_up(shop: Workshop, *, cause: str = "c", **args: bool) -> dict[str, Any]:
    outcome = await shop.run(cleanup_old_renditions, CleanupOldRenditions(**args), cause=cause)
    assert isinstance(outcome, Done), outcome
    return dict(outcome.result)


async def of_an_older_recipe(shop: Workshop) -> set[str]:
    """A picture that is ready, with its files; those of the square are of a recipe that is no more."""
    await upload(shop, encoded(photo()))
    await attempt(shop)
    old = "renditions/7/of-an-older-recipe.webp"
    await shop.storage.put({old: b"x"})
    async with shop.engine.begin() as connection:
        square = media_renditions.c.variant == "thumb150"
        (key,) = (await connection.execute(media_renditions.select().where(square))).mappings()
        await connection.execute(media_renditions.update().where(square).values(key=old, recipe="webp-0"))
    await shop.storage.delete([key["key"]])
    return {old}


async def stored(shop: Workshop) -> set[str]:
    return {file.key async for file in shop.storage.list("renditions")}


async def named(shop: Workshop) -> set[str]:
    return {row["key"] for row in await shop.rows(media_renditions)}


async def test_old_files_stay_for_their_time_and_are_gone_after_it(shop: Workshop) -> None:
    old = await of_an_older_recipe(shop)

    await attempt(shop, cause="again")
    early = await cleaned_up(shop, cause="early")
    between = await stored(shop)
    await later(shop)
    late = await cleaned_up(shop, cause="late")

    assert (early["deleted"], late["deleted"]) == (0, 1)
    assert between == await named(shop) | old
    assert await stored(shop) == await named(shop)


class Killed(Exception):
    """The process is gone."""


class DiesAfterDeleting:
    """A storage whose worker is killed when the files are gone."""

    def __init__(self, storage: Any) -> None:
        self._storage = storage

    async def delete(self, keys: Iterable[str]) -> None:
        await self._storage.delete(keys)
        raise Killed


async def test_a_kill_between_files_and_rows_is_made_good_by_the_next_attempt(shop: Workshop) -> None:
    await of_an_older_recipe(shop)
    await attempt(shop, cause="again")
    await later(shop)
    storage: Any = DiesAfterDeleting(shop.storage)
    lost = replace(shop.with_leases_of(timedelta(0)), storage=storage)
    run = await lost.claim(cleanup_old_renditions, CleanupOldRenditions(), cause="c")

    with pytest.raises(Killed):
        await lost.perform(run)
    again = await cleaned_up(shop.as_worker("w2"))

    assert again["deleted"] == 1
    assert await leftovers(shop) == sorted(await named(shop))


async def test_a_kill_between_new_files_and_their_rows_takes_no_file_that_has_a_row(shop: Workshop) -> None:
    old = await of_an_older_recipe(shop)
    lost = shop.with_leases_of(timedelta(0))
    await lost.perform(await lost.claim(process_media_upload, ARGS, cause="again"))

    await later(shop)
    await cleaned_up(shop)

    assert old <= await named(shop) <= await stored(shop)


async def test_a_file_that_is_made_again_is_not_deleted(shop: Workshop) -> None:
    await upload(shop, encoded(photo()))
    await attempt(shop)
    keys = await named(shop)
    for key in keys:
        await leave(shop, key)
    await later(shop)
    run = await shop.claim(process_media_upload, ARGS, cause="again")
    outcome = await shop.perform(run)

    meanwhile = await cleaned_up(shop)
    await shop.record(run, outcome)

    assert meanwhile["deleted"] == 0
    assert await leftovers(shop) == sorted(keys)


async def test_files_that_no_row_names_are_found_in_the_storage(shop: Workshop) -> None:
    await upload(shop, encoded(photo()))
    await attempt(shop)
    await shop.storage.put({"renditions/7/lost.webp": b"x", "renditions/~0123/lost.webp": b"x", "posts/q.jpg": b"x"})
    in_a_month = replace(shop, now=lambda: shop.now() + timedelta(days=30))

    noted = await cleaned_up(in_a_month, cause="1", everywhere=True)
    await later(shop)
    told = await cleaned_up(shop, cause="2", dry_run=True)
    deleted = await cleaned_up(shop, cause="3")

    assert (noted, told["deleted"], deleted["deleted"]) == ({"dry_run": False, "deleted": 0, "noted": 2}, 2, 2)
    assert await stored(shop) == await named(shop)
    assert await shop.storage.exists("posts/q.jpg")
