"""The statements of the view, and of what keeps the stored counts small."""

from sqlalchemy import text

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

# The hours of a long window, added up. As columns: many rows would hold up whoever reads them.
HOUR_TOTALS = text("""
    SELECT array_agg(tag) AS tags, array_agg(uses) AS uses FROM (
        SELECT tag, sum(uses)::bigint AS uses FROM tailrace.trending_hours
         WHERE generation = :generation AND hour BETWEEN :first AND :last
         GROUP BY tag) AS total
""")

# Single hours, as they are.
OBSERVED = text("""
    SELECT hour, array_agg(tag) AS tags, array_agg(uses) AS uses FROM tailrace.trending_hours
     WHERE generation = :generation AND hour = ANY(CAST(:hours AS int[]))
     GROUP BY hour
""")

# The same hour of several days, added up.
BEFORE = text("""
    SELECT array_agg(tag) AS tags, array_agg(uses) AS uses FROM (
        SELECT tag, sum(uses)::bigint AS uses FROM tailrace.trending_hours
         WHERE generation = :generation AND hour = ANY(CAST(:hours AS int[]))
         GROUP BY tag) AS total
""")

# One tag by hour: a look-up of the key for each.
HISTORY = text("""
    SELECT h.hour, t.uses
      FROM generate_series(CAST(:first AS int), CAST(:last AS int)) AS h (hour)
      JOIN tailrace.trending_hours AS t ON t.generation = :generation AND t.hour = h.hour AND t.tag = :tag
""")

# What is not in the hours yet.
UNARCHIVED = text("""
    SELECT d.format, d.body FROM tailrace.trending_deltas AS d
      JOIN tailrace.trending_sources AS s USING (generation, source)
     WHERE d.generation = :generation AND d.from_offset >= s.archived_offset
""")

# One archiver and merger at a time, for the length of its transaction.
TRY_LOCK = text("SELECT pg_try_advisory_xact_lock(hashtext('tailrace.trending.archive')) AS mine")

# Deltas that are old enough to be added to the hours, in the order of their offsets.
ARCHIVABLE = text("""
    SELECT d.source, d.from_offset, d.to_offset, d.format, d.body
      FROM tailrace.trending_deltas AS d JOIN tailrace.trending_sources AS s USING (generation, source)
     WHERE d.generation = :generation AND d.from_offset >= s.archived_offset
       AND d.created_at < now() - CAST(:after AS interval)
     ORDER BY d.source, d.from_offset
     LIMIT :at_most
""")

# The compare-and-set that makes each delta count once in the hours.
ADVANCE_ARCHIVE = text("""
    UPDATE tailrace.trending_sources SET archived_offset = :to_offset
     WHERE generation = :generation AND source = :source AND archived_offset = :from_offset
""")

# Add uses to hours, late ones too; in the order of the key, as everywhere.
ADD_HOURS = text("""
    INSERT INTO tailrace.trending_hours AS h (generation, hour, tag, uses)
    SELECT :generation, u.hour, u.tag, u.uses
      FROM unnest(CAST(:hours AS int[]), CAST(:tags AS text[]), CAST(:uses AS bigint[])) AS u (hour, tag, uses)
     ORDER BY u.hour, u.tag
    ON CONFLICT (generation, hour, tag) DO UPDATE SET uses = h.uses + excluded.uses
""")

# Archived deltas to be merged, by ten minutes of storing; only where there are several.
MERGEABLE = text("""
    SELECT d.source, date_bin('10 minutes', d.created_at, 'epoch') AS bin,
           min(d.from_offset) AS from_offset, max(d.to_offset) AS to_offset
      FROM tailrace.trending_deltas AS d JOIN tailrace.trending_sources AS s USING (generation, source)
     WHERE d.generation = :generation AND d.to_offset <= s.archived_offset
       AND d.created_at >= now() - interval '1 day'
     GROUP BY d.source, bin HAVING count(*) >= :at_least
""")

# The deltas of one range, taken out to be replaced by one.
TAKE_RANGE = text("""
    DELETE FROM tailrace.trending_deltas
     WHERE generation = :generation AND source = :source
       AND from_offset >= :from_offset AND to_offset <= :to_offset
    RETURNING from_offset, to_offset, format, body, created_at
""")

# The one that replaces them, as old as the oldest.
PUT_MERGED = text("""
    INSERT INTO tailrace.trending_deltas
           (generation, source, from_offset, to_offset, format, newest_minute, refused, body, created_at)
    VALUES (:generation, :source, :from_offset, :to_offset, :format, :newest_minute, :refused, :body, :created_at)
""")

# Archived deltas that no minute window reaches. One with refused offsets stays while its block is remembered.
FORGET_DELTAS = text("""
    DELETE FROM tailrace.trending_deltas AS d USING tailrace.trending_sources AS s
     WHERE d.generation = :generation AND s.generation = d.generation AND s.source = d.source
       AND d.to_offset <= s.archived_offset AND d.newest_minute < :oldest_minute
       AND d.created_at < now() - interval '1 day'
       AND (d.refused = 0 OR d.to_offset <= s.next_offset - 2 * CAST(:block AS bigint))
""")

# Hours that no window, no baseline and no late event reaches.
FORGET_HOURS = text("DELETE FROM tailrace.trending_hours WHERE generation = :generation AND hour < :oldest_hour")
