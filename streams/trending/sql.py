"""The counter's statements, each with its purpose."""

from sqlalchemy import text

# The generation that counts. FOR SHARE: a swap waits for the flush that has read it.
LIVE_GENERATION = text("SELECT live_generation FROM tailrace.trending_state")
HOLD_GENERATION = text("SELECT live_generation FROM tailrace.trending_state FOR SHARE")

# Make the next generation live, with no counts yet: after a topic was made anew.
NEXT_GENERATION = text("""
    UPDATE tailrace.trending_state
       SET live_generation = greatest(live_generation, (SELECT max(generation) FROM tailrace.trending_sources)) + 1
    RETURNING live_generation
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
     WHERE generation = :generation AND source = :source AND to_offset > :first_offset AND refused > 0
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
           (generation, source, from_offset, to_offset, format, newest_minute, refused, body)
    VALUES (:generation, :source, :from_offset, :to_offset, :format, :newest_minute, :refused, :body)
""")

# Offsets that retention has taken before they were counted.
ADD_GAP = text("""
    INSERT INTO tailrace.trending_gaps (generation, source, from_offset, to_offset, until)
    VALUES (:generation, :source, :from_offset, :to_offset, :until)
    ON CONFLICT DO NOTHING
""")
