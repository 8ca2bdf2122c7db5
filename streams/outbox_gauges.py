"""How full the outbox is, as metrics."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from streams.db import autocommit
from streams.metrics import Metrics

# Rows by state, and how long the oldest has been due.
MEASURE = text("""
    SELECT count(*) FILTER (WHERE state = 'pending' AND due_at <= now()) AS due,
           count(*) FILTER (WHERE state = 'pending' AND due_at > now()) AS scheduled,
           count(*) FILTER (WHERE state = 'set_aside') AS set_aside,
           coalesce(extract(epoch FROM now() - min(due_at) FILTER (WHERE state = 'pending')), 0) AS oldest
      FROM tailrace.outbox
""")


async def measure_outbox(engine: AsyncEngine, metrics: Metrics) -> None:
    """Set the gauges; called every few seconds."""
    async with autocommit(engine) as connection:
        row = (await connection.execute(MEASURE)).one()
    for state in ("due", "scheduled", "set_aside"):
        metrics.outbox_rows.labels(state).set(getattr(row, state))
    metrics.outbox_age.set(max(0.0, float(row.oldest)))
