"""What a view reads of the stored counts when it starts and when the hour turns, in the transaction of its caller."""

from sqlalchemy.ext.asyncio import AsyncConnection

from streams.trending import view_sql as sql
from streams.trending.delta import unpack
from streams.trending.hour_counts import HourCounts, Uses, same_hours
from streams.trending.windows import HOUR_WINDOWS, LONGEST, HourWindows, MinuteWindows


async def load_minutes(connection: AsyncConnection, generation: int, minute: int) -> MinuteWindows:
    """The windows that end with this minute, from every delta that they can reach."""
    minutes = MinuteWindows(minute)
    oldest = {"generation": generation, "oldest_minute": minute - LONGEST + 1}
    for row in await connection.execute(sql.DELTAS_SINCE_MINUTE, oldest):
        minutes.add(unpack(row.body, row.format).panes)
    return minutes


async def load_hours(
    connection: AsyncConnection, generation: int, now: int, missing: list[int]
) -> tuple[HourWindows, HourCounts]:
    """The windows that end with the hour ``now``, and the counts of the hours ``missing``: what is archived, and the
    deltas that are not.
    """
    totals = {
        window: await _window_total(connection, generation, now - length + 1, now)
        for window, length in HOUR_WINDOWS.items()
    }
    windows, counts = HourWindows(now, totals), await _archived_counts(connection, generation, missing)
    for row in await connection.execute(sql.UNARCHIVED, {"generation": generation}):
        panes = unpack(row.body, row.format).panes
        windows.add(panes)
        counts.add(panes)
    return windows, counts


async def _window_total(connection: AsyncConnection, generation: int, first: int, last: int) -> Uses:
    span = {"generation": generation, "first": first, "last": last}
    row = (await connection.execute(sql.HOUR_TOTALS, span)).one()
    return _uses(row.tags, row.uses)


async def _archived_counts(connection: AsyncConnection, generation: int, hours: list[int]) -> HourCounts:
    observed, before = {hour: Uses() for hour in hours}, {hour: Uses() for hour in hours}
    wanted = {"generation": generation, "hours": hours}
    for row in await connection.execute(sql.OBSERVED, wanted):
        observed[row.hour] = _uses(row.tags, row.uses)
    for hour in hours:
        span = {"generation": generation, "hours": [*same_hours(hour)]}
        row = (await connection.execute(sql.BEFORE, span)).one()
        before[hour] = _uses(row.tags, row.uses)
    return HourCounts(observed, before)


def _uses(tags: list[str] | None, uses: list[int] | None) -> Uses:
    """Two columns, which are null where there are no rows."""
    return dict(zip(tags or (), uses or (), strict=True))
