"""Every place between two steps at which a process can be lost, by name, and what can become of a process there."""

from enum import Enum


class Point(Enum):
    """A moment between two steps; the value says what has happened by then, and what has not."""

    SUBMIT_RUN_WRITTEN = "submit: the run's row is written, its outbox row is not"
    SUBMIT_BEFORE_COMMIT = "submit: both rows are written, nothing is committed"
    SUBMIT_COMMITTED = "submit: both rows are committed, the caller does not know"

    TAKEN = "pipeline: records have come off their topic, nothing of them has been decoded"
    LETTER_BEFORE_SEND = "pipeline: a record cannot be decoded, its dead letter has not been sent"
    LETTER_SENT = "pipeline: the broker has the dead letter, nobody has heard of it"
    DECODED = "pipeline: the commands are decoded, none is claimed"
    KEYS_LOCKED = "pipeline: the concurrency keys are locked, nobody has counted"
    KEYED_CLAIM_WRITTEN = "pipeline: commands with a concurrency key are claimed, nothing is committed"
    CLAIMED = "pipeline: claims are committed, the worker does not know"
    ADMITTED = "pipeline: the ledger's answers are there, nothing has come of them"
    PARK_WRITTEN = "pipeline: a command whose key is busy is parked, its copy is not written"
    PARK_BEFORE_COMMIT = "pipeline: a command whose key is busy and its copy are written, nothing is committed"
    PARKED = "pipeline: the busy command is parked with its copy, its offset is not acknowledged"
    LIVE_COPY_WRITTEN = "pipeline: the copy of what another runs is written, nothing is committed"
    LIVE_COPY_COMMITTED = "pipeline: the copy of what another runs is committed, its offset is not acknowledged"

    PERFORMING = "pipeline: the task's function has begun"
    PERFORMED = "pipeline: the function has returned, the record's transaction is open and empty"
    EFFECT_WRITTEN = "pipeline: the effect is written, the ending is not"
    RECORD_WRITTEN = "pipeline: the ending is written, what follows from it is not"
    RETRY_WRITTEN = "pipeline: the retry's outbox row is written, nothing is committed"
    DEAD_LETTER_WRITTEN = "pipeline: the dead letter's outbox row is written, nothing is committed"
    RECORD_BEFORE_COMMIT = "pipeline: effect, ending and what follows are written, nothing is committed"
    RECORD_COMMITTED = "pipeline: effect and ending are committed, the worker does not know"
    BATCH_GATHERED = "pipeline: the endings of several runs wait for their one statement"
    BATCH_COMMITTED = "pipeline: the endings of several runs are committed at once, the worker does not know"
    BEFORE_ACKNOWLEDGE = "pipeline: a delivery is dealt with, the watermark does not know"
    ACKNOWLEDGED = "pipeline: the offset is acknowledged in the worker, the broker does not know"
    BEFORE_OFFSET_COMMIT = "pipeline: offsets are about to be committed"
    OFFSET_COMMITTED = "pipeline: the broker has the offsets, the worker does not know"
    RELEASE_WRITTEN = "pipeline: claims are given back, nothing is committed"
    RELEASED = "pipeline: claims have been given back, the worker does not know"

    RELAY_READ = "relay: due rows are read, none is sent"
    RELAY_BEFORE_SEND = "relay: one of the rows is about to be sent"
    RELAY_SENT = "relay: the broker has the row, the producer has not heard of it"
    RELAY_ACKNOWLEDGED = "relay: the broker has acknowledged, no row is deleted"
    RELAY_DELETED = "relay: the rows are deleted, the relay does not know"

    TICK_CLAIMED = "tick: the schedule is locked, nothing is written"
    TICK_SKIPPED_WRITTEN = "tick: what was missed is written as skipped, no run is ordered"
    TICK_RUN_WRITTEN = "tick: an instant's run is written, its outbox row is not"
    TICK_OUTBOX_WRITTEN = "tick: an instant's run and outbox row are written, the schedule has not moved on"
    TICK_BEFORE_COMMIT = "tick: the schedule has moved on, nothing is committed"
    TICK_COMMITTED = "tick: all of it is committed, the timer does not know"

    SWEEP_LOCKED = "sweep: the sweeper's lock is held, nothing has been looked for"
    SWEEP_MARKED = "sweep: lost runs are marked, their copies are not written"
    SWEEP_BEFORE_COMMIT = "sweep: marks and copies are written, nothing is committed"
    SWEEP_COMMITTED = "sweep: marks and copies are committed, the sweeper does not know"

    @property
    def part(self) -> str:
        """Which of submit, pipeline, relay, tick and sweep it belongs to."""
        return self.value.split(":")[0]


class Fate(Enum):
    """What becomes of the process that comes to a point."""

    CRASH = "it is gone; what it held open is rolled back"
    STALL = "it is frozen; it may be taken for dead, and may go on after that"
    CUT = "it lives, but its connection is gone, and with it the answer to what it asked last"


OUTSIDE_TRANSACTIONS = (
    *(Point.TAKEN, Point.DECODED, Point.CLAIMED, Point.ADMITTED, Point.PERFORMING, Point.BATCH_GATHERED),
    *(Point.PARKED, Point.LIVE_COPY_COMMITTED, Point.RECORD_COMMITTED, Point.BATCH_COMMITTED),
    *(Point.BEFORE_OFFSET_COMMIT, Point.OFFSET_COMMITTED, Point.LETTER_BEFORE_SEND, Point.LETTER_SENT),
    *(Point.RELAY_READ, Point.RELAY_BEFORE_SEND, Point.RELAY_SENT, Point.RELAY_ACKNOWLEDGED, Point.RELAY_DELETED),
    *(Point.TICK_COMMITTED, Point.SWEEP_COMMITTED),
)
WITHOUT_ROWS_THAT_OTHERS_WANT = (Point.PERFORMED, Point.EFFECT_WRITTEN, Point.TICK_CLAIMED, Point.SWEEP_LOCKED)

CAN_STALL = (*OUTSIDE_TRANSACTIONS, *WITHOUT_ROWS_THAT_OTHERS_WANT)
"""Elsewhere a frozen process holds locks that all others would wait for, until PostgreSQL ends its session: that is a
crash, only later.
"""

WITHOUT_A_CONNECTION = frozenset(
    {
        *(Point.TAKEN, Point.DECODED, Point.ADMITTED, Point.PERFORMING),
        *(Point.BEFORE_ACKNOWLEDGE, Point.ACKNOWLEDGED, Point.BEFORE_OFFSET_COMMIT, Point.OFFSET_COMMITTED),
    }
)


def fates_at(point: Point) -> list[Fate]:
    """What can become of a process there."""
    cut = [] if point in WITHOUT_A_CONNECTION or point.part == "submit" else [Fate.CUT]
    return [Fate.CRASH, *cut, *([Fate.STALL] if point in CAN_STALL else [])]


class Crash(BaseException):
    """The process ends here. Of no class that code may catch."""
