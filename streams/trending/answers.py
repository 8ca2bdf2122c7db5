"""What a view answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from streams.trending.surprise import Trend

STALE_AFTER = timedelta(seconds=5)


@dataclass(frozen=True)
class Answer:
    """The top tags of the event times [start, end).

    ``as_of``: every event that the log held at that instant is counted; None before the first count.
    ``complete``: that is at most ``STALE_AFTER`` ago, and no event of the window, nor of the baseline where there is
    one, was lost to retention. ``trends``: for ``rank="trending"``, why each of the tags stands where it does, and
    in what time a peak loses half of its worth.
    """

    window: str
    rank: str
    as_of: datetime | None
    complete: bool
    start: datetime
    end: datetime
    tags: list[tuple[str, int]]
    trends: Sequence[Trend] = ()
    half_life: timedelta | None = None


@dataclass(frozen=True)
class OneTag:
    """The tag's uses in each window, why it trends in each where it does, and its uses by hour of the last day.

    ``complete``: as in ``Answer``, of the last 7 days.
    """

    tag: str
    as_of: datetime | None
    complete: bool
    uses: dict[str, int]
    trends: dict[str, Trend | None]
    hours: Mapping[int, int]
