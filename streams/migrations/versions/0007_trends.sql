-- Tags that are counted and never shown.
CREATE TABLE tailrace.trending_blocked_tags (
    tag        text        PRIMARY KEY,
    reason     text,
    blocked_at timestamptz NOT NULL DEFAULT now()
)
-- ;
-- One row for each full hour that has been looked at, also where nothing trended: an hour has one snapshot for ever.
CREATE TABLE tailrace.trending_snapshot_hours (
    as_of         timestamptz PRIMARY KEY,
    complete      boolean     NOT NULL,
    generation    integer     NOT NULL,
    counted_until timestamptz NOT NULL,
    tags          integer     NOT NULL,
    taken_at      timestamptz NOT NULL DEFAULT now()
)
-- ;
CREATE TABLE tailrace.trending_snapshots (
    as_of    timestamptz      NOT NULL
        REFERENCES tailrace.trending_snapshot_hours ON DELETE CASCADE,
    rank     integer          NOT NULL,
    tag      text             NOT NULL,
    uses     bigint           NOT NULL,
    observed bigint           NOT NULL,
    baseline double precision NOT NULL,
    peak     double precision NOT NULL,
    age_s    integer          NOT NULL,
    score    double precision NOT NULL,
    PRIMARY KEY (as_of, rank)
)
-- ;
-- When a tag trended.
CREATE INDEX trending_snapshots_tag ON tailrace.trending_snapshots (tag, as_of)
