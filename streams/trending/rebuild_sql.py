"""The statements of a rebuild, each with its purpose."""

from sqlalchemy import text

# One rebuild at a time; the lock goes with its connection.
TRY_LOCK = "SELECT pg_try_advisory_lock(hashtext('tailrace.trending.rebuild'))"

# The number of a generation that nobody has had.
NEXT = text("""
    SELECT greatest(live_generation, (SELECT max(generation) FROM tailrace.trending_sources)) + 1
      FROM tailrace.trending_state
""")

# Begin to count a source in a candidate.
OPEN_SOURCE = text("""
    INSERT INTO tailrace.trending_sources (generation, source, next_offset, archived_offset, counted_until)
    VALUES (:generation, :source, :first_offset, :first_offset, to_timestamp(0))
""")

# Uses by hour that are archived.
HOURS = text("SELECT hour, tag, uses FROM tailrace.trending_hours WHERE generation = :generation AND hour >= :first")

# No flush while the pointer moves, and none has read it before.
LOCK_STATE = text("SELECT live_generation FROM tailrace.trending_state FOR UPDATE")

# The candidate is live. It is as fresh as what it replaces: its sources stand where those stood.
MAKE_LIVE = text("UPDATE tailrace.trending_state SET live_generation = :candidate")
KEEP_FRESHNESS = text("""
    UPDATE tailrace.trending_sources AS candidate SET counted_until = live.counted_until
      FROM tailrace.trending_sources AS live
     WHERE candidate.generation = :candidate AND live.generation = :live AND candidate.source = live.source
       AND candidate.next_offset = live.next_offset
""")

# Generations that are neither live nor were it last.
FORGET = tuple(
    text(f"DELETE FROM tailrace.{table} WHERE generation <> ALL(CAST(:kept AS int[]))")  # noqa: S608 - of these names
    for table in ("trending_deltas", "trending_hours", "trending_gaps", "trending_sources")
)
