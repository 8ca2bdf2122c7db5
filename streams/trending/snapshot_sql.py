"""The statements of snapshots, each with its purpose."""

from sqlalchemy import text

# Whether the hour has been looked at.
EXISTS = text("SELECT 1 FROM tailrace.trending_snapshot_hours WHERE as_of = :as_of")

# Whether a later hour has been looked at: then the backend's columns are that one's.
LATER = text("SELECT 1 FROM tailrace.trending_snapshot_hours WHERE as_of > :as_of LIMIT 1")

# An hour has one snapshot, however many runs take it.
ADD_HOUR = text("""
    INSERT INTO tailrace.trending_snapshot_hours (as_of, complete, generation, counted_until, tags)
    VALUES (:as_of, :complete, :generation, :counted_until, :tags)
    ON CONFLICT (as_of) DO NOTHING
""")

# A line of the list.
ADD_TAG = text("""
    INSERT INTO tailrace.trending_snapshots (as_of, rank, tag, uses, observed, baseline, peak, age_s, score)
    VALUES (:as_of, :rank, :tag, :uses, :observed, :baseline, :peak, :age_s, :score)
""")

# Hours that are kept no longer; their lists go with them.
TRIM = text("""
    DELETE FROM tailrace.trending_snapshot_hours WHERE as_of < now() - CAST(:keep AS interval)
""")
