-- What happened on each day, by UTC.
CREATE TABLE tailrace.content_analytics (
    day         date        PRIMARY KEY,
    metrics     jsonb       NOT NULL,
    computed_at timestamptz NOT NULL
)
-- ;
-- The same for each of its hours.
CREATE TABLE tailrace.content_analytics_hours (
    day     date     REFERENCES tailrace.content_analytics ON DELETE CASCADE,
    hour    smallint CHECK (hour BETWEEN 0 AND 23),
    metrics jsonb    NOT NULL,
    PRIMARY KEY (day, hour)
)
