"""Marks on dead letters, by their place in the topic of dead letters: redriven, superseded or purged.

A letter is marked once, in the transaction that acts on it, so that two who act on it at once act once.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

Mark = Literal["redriven", "superseded", "purged"]
Partition = tuple[str, int]
"""A topic, without the deployment's prefix, and the number of a partition."""

# Mark letters that have no mark yet. Waits for another transaction that is about to mark the same one.
MARK = text("""
    INSERT INTO tailrace.dead_letter_marks (topic, "partition", "offset", mark)
    SELECT :topic, :partition, place, :mark FROM unnest(CAST(:offsets AS bigint[])) AS wanted (place) ORDER BY place
    ON CONFLICT DO NOTHING
    RETURNING "offset"
""")

# The marks of a stretch of letters.
BETWEEN = text("""
    SELECT "offset", mark FROM tailrace.dead_letter_marks
     WHERE topic = :topic AND "partition" = :partition AND "offset" BETWEEN :first AND :last
""")

# How many of a partition's letters are marked.
COUNT = text("""
    SELECT count(*) FROM tailrace.dead_letter_marks
     WHERE topic = :topic AND "partition" = :partition AND "offset" >= :begin
""")

# The newest letter that was ever marked, for each partition.
NEWEST = text("""
    SELECT topic, "partition", max("offset") AS newest FROM tailrace.dead_letter_marks GROUP BY topic, "partition"
""")

# How many letters from `begin` on are marked without a gap: numbered in order, only those keep pace with their number.
MARKED_FROM = text("""
    SELECT count(*)
      FROM (SELECT "offset", row_number() OVER (ORDER BY "offset") AS number FROM tailrace.dead_letter_marks
             WHERE topic = :topic AND "partition" = :partition AND "offset" >= :begin) AS marked
     WHERE "offset" = :begin + number - 1
""")

# Marks of letters that are gone. One that reads the topic just now may still hold a letter of a moment ago.
DROP_BELOW = text("""
    DELETE FROM tailrace.dead_letter_marks
     WHERE topic = :topic AND "partition" = :partition AND "offset" < :begin
       AND marked_at < clock_timestamp() - interval '1 day'
""")

# Marks of an earlier topic of the same name.
FORGET = text("""
    DELETE FROM tailrace.dead_letter_marks WHERE topic = :topic AND "partition" = :partition
""")


async def mark_letters(connection: AsyncConnection, partition: Partition, offsets: Sequence[int], mark: Mark) -> int:
    """Mark those that have no mark yet, in the caller's transaction; how many these were."""
    values = {**_place(partition), "offsets": list(offsets), "mark": mark}
    return len((await connection.execute(MARK, values)).all())


async def marks_between(connection: AsyncConnection, partition: Partition, first: int, last: int) -> Mapping[int, str]:
    """Offset -> mark, of the letters from ``first`` to ``last`` that have one."""
    found = await connection.execute(BETWEEN, {**_place(partition), "first": first, "last": last})
    return {row.offset: row.mark for row in found}


async def count_marks(connection: AsyncConnection, partition: Partition, begin: int) -> int:
    """How many letters from ``begin`` on are marked."""
    return int((await connection.execute(COUNT, {**_place(partition), "begin": begin})).scalar_one())


async def newest_marks(connection: AsyncConnection) -> Mapping[Partition, int]:
    """The highest offset that is marked in each partition that has marks."""
    return {(row.topic, row.partition): row.newest for row in await connection.execute(NEWEST)}


async def first_unmarked(connection: AsyncConnection, partition: Partition, begin: int) -> int:
    """The lowest offset from ``begin`` on without a mark."""
    return begin + int((await connection.execute(MARKED_FROM, {**_place(partition), "begin": begin})).scalar_one())


async def drop_marks_below(connection: AsyncConnection, partition: Partition, begin: int) -> None:
    """Drop the marks of letters that were deleted a day ago or earlier."""
    await connection.execute(DROP_BELOW, {**_place(partition), "begin": begin})


async def forget_marks(connection: AsyncConnection, partition: Partition) -> None:
    """Drop every mark of a partition that was made anew."""
    await connection.execute(FORGET, _place(partition))


def _place(partition: Partition) -> dict[str, object]:
    return {"topic": partition[0], "partition": partition[1]}
