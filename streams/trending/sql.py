"""Every statement of trending, each with its purpose."""

from sqlalchemy import text

# The generation that counts. FOR SHARE: a swap waits for the flush that has read it.
LIVE_GENERATION = text("SELECT live_generation FROM tailrace.trending_state")
HOLD_GENERATION = text("SELECT live_generation FROM tailrace.trending_state FOR SHARE")

# Make the next generation live, with no counts yet: after a topic was made anew.
NEXT_GENERATION = text("""
    UPDATE tailrace.trending_state SET live_generation = live_generation + 1 RETURNING live_generation
""")

# Begin to count a source that nobody has counted yet.
OPEN_SOURCE = text("""
    INSERT INTO tailrace.trending_sources (generation, source, next_offset, archived_offset, counted_until)
    VALUES (:generation, :source, :first_offset, :first_offset, to_timestamp(0))
    ON CONFLICT DO NOTHING
""")

# Where counting goes on.
NEXT_OFFSET = text("""
    SELECT next_offset FROM tailrace.trending_sources WHERE generation = :generation AND source = :source
""")

# What was refused for its time among the offsets that are to be remembered again.
BODIES_FROM = text("""
    SELECT format, body FROM tailrace.trending_deltas
     WHERE generation = :generation AND source = :source AND to_offset > :first_offset
""")

# The compare-and-set of a flush: advances each source that still stands where the batch began. Locked in the
# order of their names, so that two counters never deadlock.
ADVANCE = text("""
    WITH batch AS (
        SELECT * FROM unnest(CAST(:sources AS text[]), CAST(:starts AS bigint[]), CAST(:ends AS bigint[]),
                             CAST(:counted_until AS timestamptz[]))
                 AS b (source, start_offset, end_offset, counted_until)
    ), locked AS (
        SELECT s.source FROM tailrace.trending_sources AS s JOIN batch USING (source)
         WHERE s.generation = :generation ORDER BY s.source FOR NO KEY UPDATE OF s
    )
    UPDATE tailrace.trending_sources AS s
       SET next_offset = batch.end_offset, counted_until = greatest(s.counted_until, batch.counted_until)
      FROM batch JOIN locked USING (source)
     WHERE s.generation = :generation AND s.source = batch.source AND s.next_offset = batch.start_offset
    RETURNING s.source
""")

# What the advanced offsets add to the counts.
ADD_DELTA = text("""
    INSERT INTO tailrace.trending_deltas
           (generation, source, from_offset, to_offset, format, newest_minute, body)
    VALUES (:generation, :source, :from_offset, :to_offset, :format, :newest_minute, :body)
""")

# Offsets that retention has taken before they were counted.
ADD_GAP = text("""
    INSERT INTO tailrace.trending_gaps (generation, source, from_offset, to_offset, until)
    VALUES (:generation, :source, :from_offset, :to_offset, :until)
    ON CONFLICT DO NOTHING
""")

# For the view: how far each source has been counted.
SOURCES = text("""
    SELECT source, next_offset, counted_until FROM tailrace.trending_sources
     WHERE generation = :generation ORDER BY source
""")

# For a view that starts: every delta with a use that a window can reach.
DELTAS_SINCE_MINUTE = text("""
    SELECT source, from_offset, to_offset, format, body FROM tailrace.trending_deltas
     WHERE generation = :generation AND newest_minute >= :oldest_minute
     ORDER BY source, from_offset
""")

# For a view that follows: what has come since its position in each source.
DELTAS_SINCE_OFFSET = text("""
    SELECT d.source, d.from_offset, d.to_offset, d.format, d.body
      FROM unnest(CAST(:sources AS text[]), CAST(:positions AS bigint[])) AS p (source, position)
      JOIN tailrace.trending_deltas AS d
        ON d.generation = :generation AND d.source = p.source AND d.from_offset >= p.position
     ORDER BY d.source, d.from_offset
""")

# The newest event time that a gap hides, or null.
INCOMPLETE_UNTIL = text("SELECT max(until) AS until FROM tailrace.trending_gaps WHERE generation = :generation")

# One merger at a time, for the length of its transaction.
TRY_MERGE_LOCK = text("SELECT pg_try_advisory_xact_lock(hashtext('tailrace.trending.merge')) AS mine")

# Deltas that are old enough to be merged, by ten minutes of storing; only where there are several.
MERGEABLE = text("""
    SELECT source, date_bin('10 minutes', created_at, 'epoch') AS bin,
           min(from_offset) AS from_offset, max(to_offset) AS to_offset
      FROM tailrace.trending_deltas
     WHERE generation = :generation AND created_at < now() - CAST(:merge_after AS interval)
       AND created_at >= now() - interval '1 day'
     GROUP BY source, bin HAVING count(*) >= :at_least
""")

# The deltas of one range, locked, to be replaced by one.
TAKE_RANGE = text("""
    DELETE FROM tailrace.trending_deltas
     WHERE generation = :generation AND source = :source
       AND from_offset >= :from_offset AND to_offset <= :to_offset
    RETURNING from_offset, to_offset, format, body, created_at
""")

# The one that replaces them, as old as the oldest.
PUT_MERGED = text("""
    INSERT INTO tailrace.trending_deltas
           (generation, source, from_offset, to_offset, format, newest_minute, body, created_at)
    VALUES (:generation, :source, :from_offset, :to_offset, :format, :newest_minute, :body, :created_at)
""")

# No window, and no late event, reaches behind this any more.
FORGET_OLD = text("""
    DELETE FROM tailrace.trending_deltas
     WHERE generation = :generation AND newest_minute < :oldest_minute AND created_at < now() - interval '9 days'
""")
