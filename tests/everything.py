"""All that a deployment has kept, to see whether anything of it changes: rows, files, records and mails."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from aiokafka import TopicPartition
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.topics import TOPICS, Topic
from streams.kafka_client import full_name
from streams.partition_spans import reading_client
from streams.settings import Settings

TABLES = text("""
    SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
     WHERE schemaname IN ('tailrace', 'public') ORDER BY 1
""")

# By the transaction that wrote a row last: one that is written anew with the same values has changed, too.
ROWS = "SELECT xmin || ' ' || to_jsonb(kept) AS row FROM {table} AS kept ORDER BY 1"

CLOCKS = {
    "tailrace.replays": None,
    "tailrace.relay": None,  # whether the relay is asleep just now
    "tailrace.trending_sources": "generation, source, next_offset, archived_offset",  # and the time of the last look
}
"""Tables that change while nothing happens -> what of them stays."""

Everything = dict[str, list[str]]


async def everything(settings: Settings, engine: AsyncEngine, mails: Path) -> Everything:
    """What there is now. Each part is a list that a failed test can show."""
    kept: Everything = {}
    async with engine.connect() as connection:
        for table in (await connection.execute(TABLES)).scalars().all():
            kept[table] = await _rows(connection, table)
    kept["files"] = _files(settings.media.root)
    kept["mails"] = _files(mails)
    kept["records"] = [f"{place} {end}" for place, end in (await ends(settings, TOPICS)).items()]
    return kept


async def _rows(connection: AsyncConnection, table: str) -> list[str]:
    if table not in CLOCKS:
        return list((await connection.execute(text(ROWS.format(table=table)))).scalars())
    columns = CLOCKS[table]
    if columns is None:
        return []
    rows = await connection.execute(text(f"SELECT {columns} FROM {table} ORDER BY {columns}"))
    return [str(tuple(row)) for row in rows]


def _files(root: Path) -> list[str]:
    """Each with its content and the time at which it was written."""
    paths = sorted(path for path in root.rglob("*") if path.is_file())
    return [
        f"{path.relative_to(root)} {path.stat().st_mtime_ns} {hashlib.sha256(path.read_bytes()).hexdigest()}"
        for path in paths
    ]


async def ends(settings: Settings, topics: Iterable[Topic]) -> dict[str, int]:
    """Where each partition ends, by topic and number."""
    places = {
        f"{topic.name}:{number}": TopicPartition(full_name(settings.kafka, topic.name), number)
        for topic in topics
        for number in range(topic.partitions)
    }
    async with reading_client(settings.kafka) as consumer:
        found = await consumer.end_offsets(list(places.values()))
    return {name: found[place] for name, place in places.items()}
