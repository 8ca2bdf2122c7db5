"""How many runs of a replay may be open at once: so many that live work waits hardly longer than without it.

What live work waits beside the replay is held against what it waits without, as LEDBAT does for transfers in the
background (RFC 6817). To know that, the replay rests for a moment now and then.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from streams.setting_groups import Replay

LOOK_EVERY = 1.0

SPAN = timedelta(seconds=4)
"""Over so long a look measures: a few hundred runs, where there are many."""
FIRST_SPAN = timedelta(seconds=30)
"""The first look, before the replay has begun: one of a few seconds is up to a third too high or too low."""

WEIGHT_OF_A_REST = 0.25
"""In what is known of live work alone, what each rest measures anew."""

TOO_HIGH, WEIGHT_OF_A_LOOK = 0.75, 0.1
"""Where live work waits so much less beside the replay than it did alone, it would alone, too: that comes down."""

UNSURE = timedelta(milliseconds=2)
"""Less than this is no growth: the broker's times are whole milliseconds."""

REST_EVERY = 60.0
REST_SHARE = 0.05
"""Resting takes no more of the time than this, however long the replay's open runs take to end."""

LONGEST_REST = 30.0

REST = 1.0
"""For each second that reading takes, at least so many are left to others."""
FULL_READING = 160.0
"""A window of so many runs is a sign that there is room enough for reading with no more rest than that."""

PAUSE = 0.05
PART, PART_EVERY = 5, 0.15
"""Beside live work so many commands go together, each so many seconds or, by a larger window, more often. What goes
together is published, fetched, claimed and recorded together; one command at a time costs a worker several times as
much. But live work that comes at the same moment waits for all of them.
"""

FIRST = 20
FIRST_BESIDE_LIVE_WORK = 2

GAIN = 0.15
"""By so much the window grows at a look that finds live work as quick as without the replay."""
WORST = -3.0
"""However slow it is found, the window shrinks by no more than so many gains: by half."""


@dataclass(frozen=True)
class Waits:
    """Of a span of time: how many live runs have ended, and from publishing to start the time that all but one in
    fifty of them have kept; how many runs of replays have ended; and the age of the oldest row that the outbox should
    have sent.
    """

    live: int
    start: timedelta
    replayed: int
    outbox: timedelta


class Throttle:
    """Where there is no live work the window doubles up to its limit. Beside live work it comes to rest where that
    waits ``max_live_growth`` times as long as alone; a wait of ``max_live_lag`` is too long in any case.
    """

    def __init__(self, limits: Replay, monotonic: Callable[[], float]) -> None:
        self._limits = limits
        self._monotonic = monotonic
        self.span = FIRST_SPAN
        """How far back the next look is to look."""
        self._look_at = self._rests_since = monotonic()
        self._is_resting = True
        self._rest_at = 0.0
        self._size = float(min(FIRST, limits.window))
        self._alone: timedelta | None = None
        """What live work waits without the replay; None where there was none to ask."""

    @property
    def is_due(self) -> bool:
        """Whether it is time to look again at what live work waits."""
        return self._monotonic() >= self._look_at

    @property
    def window(self) -> int:
        """Runs of the replay that may be open now: none while it rests."""
        return 0 if self._is_resting else max(1, int(self._size))

    @property
    def rest(self) -> float:
        """Seconds that are left to others for each that reading takes, though it submits nothing."""
        return max(REST, FULL_READING / self._size)

    @property
    def part(self) -> int:
        """How many commands may go together."""
        return self.window if self._alone is None else min(self.window, PART)

    @property
    def pause(self) -> float:
        """Seconds between two such parts, and until it is worth looking again whether there is room in the window."""
        return PAUSE if self._alone is None else PART_EVERY * min(1.0, PART / self._size)

    def note(self, waits: Waits, open_runs: int) -> None:
        """What a look has found, and how many runs of the replay are open."""
        now = self._monotonic()
        self._look_at, self.span = now + LOOK_EVERY, SPAN
        if self._is_resting:
            is_alone = not (open_runs or waits.replayed)
            if is_alone or not waits.live or now - self._rests_since >= LONGEST_REST:
                self._end_rest(waits, now)
        elif waits.live and (self._alone is None or now >= self._rest_at):
            self._is_resting, self._rests_since = True, now
        else:
            self._adjust(waits)

    def _end_rest(self, waits: Waits, now: float) -> None:
        """The last seconds were live work's alone, or there is none, or what is open stays so, as in a paused queue."""
        self._is_resting = False
        self._rest_at = now + max(REST_EVERY, (now - self._rests_since) / REST_SHARE)
        if not waits.live:
            self._alone = None
        elif self._alone is None:
            self._alone = waits.start
            self._size = min(self._size, FIRST_BESIDE_LIVE_WORK)
        else:
            self._alone += (waits.start - self._alone) * WEIGHT_OF_A_REST

    def _adjust(self, waits: Waits) -> None:
        if waits.live and self._alone and waits.start < self._alone * TOO_HIGH:
            self._alone += (waits.start - self._alone) * WEIGHT_OF_A_LOOK
        self._size = min(self._limits.window, max(1.0, self._size * self._factor(waits)))

    def _factor(self, waits: Waits) -> float:
        if max(waits.start, waits.outbox) > self._limits.max_live_lag:
            return 0.5
        if not waits.live or self._alone is None:
            return 2.0
        allowed = max(self._alone * (self._limits.max_live_growth - 1), UNSURE)
        return 1 + GAIN * max(WORST, min(1.0, 1 - (waits.start - self._alone) / allowed))
