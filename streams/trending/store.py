"""Where counts are stored: exactly once, by compare-and-set on each source's next offset."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.envelope import instant_of, rfc3339
from schemas.topics import dead_letter_topic
from streams.db import autocommit
from streams.dead_letters import dead_letter_headers
from streams.outbox import OutboxRow, put
from streams.records import Record
from streams.trending import sql
from streams.trending.counting import FUTURE, Batch, LogRecord
from streams.trending.delta import FORMAT, Delta, pack, unpack


@dataclass(frozen=True)
class Step:
    """A source's move from ``start`` to ``end`` (the same, where it only says that it is up to date)."""

    source: str
    start: int
    end: int
    counted_until: datetime
    batch: Batch | None


@dataclass(frozen=True)
class Gap:
    """Offsets [start, end) that retention has taken; the next event was of ``until``."""

    source: str
    start: int
    end: int
    until: datetime


class GenerationMoved(Exception):
    """Another generation of counts is live now: begin anew from its offsets."""


class TrendingStore:
    """The counter's side of the trending tables."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def live_generation(self) -> int:
        """The generation that flushes and views go by."""
        async with autocommit(self._engine) as connection:
            return int((await connection.execute(sql.LIVE_GENERATION)).scalar_one())

    async def open_source(self, generation: int, source: str, log_start: int) -> int:
        """Where counting of this source goes on; a source that is new begins at ``log_start``."""
        key = {"generation": generation, "source": source}
        async with autocommit(self._engine) as connection:
            await connection.execute(sql.OPEN_SOURCE, {**key, "first_offset": log_start})
            return int((await connection.execute(sql.NEXT_OFFSET, key)).scalar_one())

    async def refused_since(self, generation: int, source: str, first_offset: int) -> frozenset[int]:
        """Offsets that were not counted for their time, from about ``first_offset`` on."""
        key = {"generation": generation, "source": source, "first_offset": first_offset}
        async with autocommit(self._engine) as connection:
            rows = await connection.execute(sql.BODIES_FROM, key)
            bodies = [unpack(row.body, row.format) for row in rows]
        return frozenset(offset for body in bodies for offset in (*body.late, *body.future))

    async def flush(self, generation: int, steps: Sequence[Step], gaps: Sequence[Gap]) -> set[str]:
        """Store the steps in one transaction; the sources that advanced. Of any other nothing was stored: it
        stands elsewhere than the step began. Raises ``GenerationMoved``.
        """
        async with self._engine.begin() as connection:
            if (await connection.execute(sql.HOLD_GENERATION)).scalar_one() != generation:
                raise GenerationMoved(f"generation {generation} of the trending counts is not live any more")
            advanced = await self._advance(connection, generation, steps)
            for step in steps:
                if step.batch and step.source in advanced:
                    await self._add(connection, generation, step.batch)
                    for record in step.batch.future:
                        await put(connection, _future_letter(step.source, record))
            for gap in gaps:
                if gap.source in advanced:
                    await connection.execute(sql.ADD_GAP, _gap_row(generation, gap))
        return advanced

    async def flush_candidate(self, generation: int, steps: Sequence[Step], gaps: Sequence[Gap]) -> set[str]:
        """The same for a generation that is not live: the dead letters of its events are there already."""
        async with self._engine.begin() as connection:
            advanced = await self._advance(connection, generation, steps)
            for step in steps:
                if step.batch and step.source in advanced:
                    await self._add(connection, generation, step.batch)
            for gap in gaps:
                await connection.execute(sql.ADD_GAP, _gap_row(generation, gap))
        return advanced

    async def _advance(self, connection: AsyncConnection, generation: int, steps: Sequence[Step]) -> set[str]:
        columns = {
            "generation": generation,
            "sources": [step.source for step in steps],
            "starts": [step.start for step in steps],
            "ends": [step.end for step in steps],
            "counted_until": [step.counted_until for step in steps],
        }
        return {row.source for row in await connection.execute(sql.ADVANCE, columns)}

    async def _add(self, connection: AsyncConnection, generation: int, batch: Batch) -> None:
        await connection.execute(sql.ADD_DELTA, delta_row(generation, batch.delta))


def delta_row(generation: int, delta: Delta) -> dict[str, object]:
    """The delta as columns of ``tailrace.trending_deltas``."""
    return {
        "generation": generation,
        "source": delta.source,
        "from_offset": delta.start,
        "to_offset": delta.end,
        "format": FORMAT,
        "newest_minute": delta.newest_minute,
        "refused": delta.refused,
        "body": pack(delta.body),
    }


def _gap_row(generation: int, gap: Gap) -> dict[str, object]:
    return {
        "generation": generation,
        "source": gap.source,
        "from_offset": gap.start,
        "to_offset": gap.end,
        "until": gap.until,
    }


def _future_letter(source: str, record: LogRecord) -> OutboxRow:
    """The dead letter of an event from the future, in the flush's own transaction: once."""
    topic, _, partition = source.rpartition(":")
    now, when = datetime.now(UTC), instant_of(record.timestamp)
    reason = f"its time is more than {FUTURE} ahead: {when.isoformat()}; not counted for trending"
    origin = Record(topic, int(partition), record.offset, record.key, record.value, [*record.headers], record.timestamp)
    return OutboxRow(
        topic=dead_letter_topic(topic),
        key=record.key,
        payload=record.value,
        headers=dead_letter_headers(origin, reason, rfc3339(now)),
        occurred_at=now,
    )
