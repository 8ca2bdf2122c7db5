"""Files of renditions that no row names, beside some that have one."""

from datetime import timedelta
from typing import Any

from sqlalchemy import text

from schemas.tables_media import media_leftovers
from tests.one_run import Workshop

# As time goes by.
AGE = text("UPDATE tailrace.media_leftovers SET left_at = left_at - CAST(:by AS interval)")


async def leave(shop: Workshop, key: str) -> None:
    await shop.storage.put({key: b"x"})
    await shop.add(media_leftovers, key=key, folder=key.rpartition("/")[0])


async def later(shop: Workshop, by: timedelta = timedelta(days=8)) -> None:
    """All that is left now has been so for so long."""
    async with shop.engine.begin() as connection:
        await connection.execute(AGE, {"by": by})


async def an_old_rendition_and_a_fresh_one(shop: Workshop) -> None:
    await leave(shop, "renditions/7/old.webp")
    await later(shop)
    await leave(shop, "renditions/7/fresh.webp")


async def leftovers(shop: Workshop) -> list[Any]:
    """What is noted, and what is in the storage."""
    noted = [row["key"] for row in await shop.rows(media_leftovers)]
    return noted + sorted([stored.key async for stored in shop.storage.list("renditions")])
