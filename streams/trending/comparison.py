"""Two generations of counts side by side."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from streams.trending.delta import unpack
from streams.trending.rebuild_sql import HOURS
from streams.trending.view_sql import UNARCHIVED

Uses = Counter[tuple[int, str]]
"""By hour and tag."""


@dataclass(frozen=True)
class Comparison:
    """Both counts of the same offsets, from ``since`` on."""

    since: datetime
    live: int
    candidate: int
    same: int
    different: list[tuple[datetime, str, int, int]]
    """Hour, tag, uses in the live counts and in the candidate's; the largest differences first."""


async def compare(connection: AsyncConnection, since: datetime, live: int, candidate: int) -> Comparison:
    """Of all hours that begin after ``since``, in the snapshot of the caller."""
    first = int(since.timestamp()) // 3600 + 1
    return _comparison(since, await _uses(connection, live, first), await _uses(connection, candidate, first))


async def _uses(connection: AsyncConnection, generation: int, first: int) -> Uses:
    """Uses from this hour on, archived or not."""
    uses: Uses = Counter()
    for row in await connection.execute(HOURS, {"generation": generation, "first": first}):
        uses[row.hour, row.tag] += row.uses
    for row in await connection.execute(UNARCHIVED, {"generation": generation}):
        for minute, tags in unpack(row.body, row.format).panes.items():
            if minute // 60 >= first:
                uses.update({(minute // 60, tag): count for tag, count in tags.items()})
    return uses


def _comparison(
    since: datetime, live: Mapping[tuple[int, str], int], mine: Mapping[tuple[int, str], int]
) -> Comparison:
    found = []
    for hour, tag in live.keys() | mine.keys():
        pair = live.get((hour, tag), 0), mine.get((hour, tag), 0)
        if pair[0] != pair[1]:
            found.append((datetime.fromtimestamp(hour * 3600, UTC), tag, *pair))
    found.sort(key=lambda row: (-abs(row[2] - row[3]), row[0], row[1]))
    same = len(live.keys() | mine.keys()) - len(found)
    return Comparison(since, sum(live.values()), sum(mine.values()), same, found)
