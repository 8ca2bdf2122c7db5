CREATE TABLE tailrace.task_runs (
    id            uuid        NOT NULL,
    caused_at     timestamptz NOT NULL,
    task          text        NOT NULL,
    queue         text        NOT NULL,
    state         text        NOT NULL
        CHECK (state IN ('queued', 'running', 'parked', 'done', 'skipped', 'dead', 'cancelled')),
    attempt       integer     NOT NULL CHECK (attempt >= 1),
    generation    integer     NOT NULL,
    args          jsonb       NOT NULL,
    scheduled_for timestamptz,
    enqueued_at   timestamptz,
    started_at    timestamptz,
    finished_at   timestamptz,
    duration_ms   integer,
    worker        text,
    lease_until   timestamptz,
    takeovers     integer     NOT NULL DEFAULT 0,
    outcome       jsonb,
    error         text,
    PRIMARY KEY (caused_at, id)
) PARTITION BY RANGE (caused_at)
-- ;
-- What is not finished: few rows however long the history is.
CREATE INDEX task_runs_open ON tailrace.task_runs (state, queue) WHERE state IN ('queued', 'running', 'parked')
-- ;
-- The latest runs, for the page and `status`.
CREATE INDEX task_runs_finished ON tailrace.task_runs (finished_at)
-- ;
-- The months that have a partition.
CREATE VIEW tailrace.task_run_months AS
SELECT to_date(right(inhrelid::regclass::text, 6), 'YYYYMM') AS from_day,
       (to_date(right(inhrelid::regclass::text, 6), 'YYYYMM') + interval '1 month')::date AS to_day
  FROM pg_inherits WHERE inhparent = 'tailrace.task_runs'::regclass
-- ;
-- Make room for every month from the one of first_day to the one of last_day.
CREATE FUNCTION tailrace.ensure_months(first_day date, last_day date) RETURNS void LANGUAGE plpgsql
    -- A new partition locks the table for a moment; behind a long transaction every claim would wait with it.
    SET lock_timeout = '2s' AS $$
DECLARE
    month_start date := date_trunc('month', first_day);
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('tailrace.ensure_months'));
    WHILE month_start <= last_day LOOP
        IF to_regclass('tailrace.task_runs_' || to_char(month_start, 'YYYYMM')) IS NULL THEN
            EXECUTE format(
                'CREATE TABLE tailrace.%I PARTITION OF tailrace.task_runs FOR VALUES FROM (%L) TO (%L)',
                'task_runs_' || to_char(month_start, 'YYYYMM'),
                to_char(month_start, 'YYYY-MM-DD') || ' 00:00:00+00',
                to_char(month_start + interval '1 month', 'YYYY-MM-DD') || ' 00:00:00+00');
        END IF;
        month_start := month_start + interval '1 month';
    END LOOP;
END
$$
-- ;
SELECT tailrace.ensure_months((now() AT TIME ZONE 'UTC')::date - 92, (now() AT TIME ZONE 'UTC')::date + 62)
-- ;
CREATE TABLE tailrace.outbox (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic       text        NOT NULL,
    key         bytea,
    headers     jsonb       NOT NULL DEFAULT '[]',
    payload     bytea,
    occurred_at timestamptz NOT NULL DEFAULT now(),
    due_at      timestamptz NOT NULL DEFAULT now(),
    created_at  timestamptz NOT NULL DEFAULT now(),
    state       text        NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'set_aside')),
    error       text,
    dedupe_key  text UNIQUE
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
        autovacuum_vacuum_cost_delay = 0, fillfactor = 90)
-- ;
CREATE INDEX outbox_due ON tailrace.outbox (due_at, id) WHERE state = 'pending'
-- ;
-- Whether the relay sleeps. Writers wake it only then: NOTIFY makes commits wait for each other.
CREATE TABLE tailrace.relay (
    id   boolean PRIMARY KEY DEFAULT true CHECK (id),
    idle boolean NOT NULL DEFAULT false
)
-- ;
INSERT INTO tailrace.relay DEFAULT VALUES
-- ;
CREATE FUNCTION tailrace.wake_relay() RETURNS void LANGUAGE sql AS $$
    SELECT pg_notify('tailrace_outbox', '') FROM tailrace.relay WHERE idle
$$
-- ;
-- The id that one cause has however often and by whomever it is said; the same as Fact.natural_id in Python.
CREATE FUNCTION tailrace.natural_id(type text, data jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT type || ':' || CASE type
        WHEN 'user.created' THEN data ->> 'user_id'
        WHEN 'post.uploaded' THEN (data ->> 'post_id')
            || coalesce(':' || coalesce(nullif(data ->> 'image', ''), nullif(data ->> 'video', '')), '')
        WHEN 'post.tagged' THEN (data ->> 'post_id') || ':' || coalesce((
            SELECT string_agg(tag, ',' ORDER BY tag COLLATE "C") FROM jsonb_array_elements_text(data -> 'hashtags') AS t (tag)), '')
        END
$$
-- ;
-- Say an event in the caller's own transaction: it is published if and only if that commits.
-- headers: {"name": "text"} beside the CloudEvents attributes; ce_id and ce_source there replace the defaults.
-- The event's time is data.created_at, so that a repeat has the same time as well as the same id.
CREATE FUNCTION tailrace.emit(type text, key text, data jsonb, headers jsonb DEFAULT NULL,
                              due_at timestamptz DEFAULT now()) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    event_id text := coalesce(headers ->> 'ce_id', tailrace.natural_id(type, data));
    event_time timestamptz := coalesce((data ->> 'created_at')::timestamptz, now());
    row_id bigint;
BEGIN
    IF type NOT IN ('user.created', 'post.uploaded', 'post.tagged') THEN
        RAISE EXCEPTION 'tailrace.emit: % is not an event type', type
            USING HINT = 'One of user.created, post.uploaded, post.tagged.';
    END IF;
    IF event_id IS NULL THEN
        RAISE EXCEPTION 'tailrace.emit: % needs % in its data', type,
            CASE type WHEN 'user.created' THEN 'user_id' ELSE 'post_id' END;
    END IF;
    INSERT INTO tailrace.outbox (topic, key, headers, payload, occurred_at, due_at)
    VALUES (type, convert_to(key, 'UTF8'),
            (SELECT jsonb_agg(jsonb_build_array(name, value)) FROM jsonb_each_text(jsonb_build_object(
                'ce_specversion', '1.0', 'ce_source', '/backend', 'content-type', 'application/json')
                || coalesce(headers, '{}')
                || jsonb_build_object('ce_id', event_id, 'ce_type', type, 'ce_time',
                    to_char(event_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))) AS h (name, value)),
            convert_to(data::text, 'UTF8'), event_time, due_at)
    RETURNING id INTO row_id;
    PERFORM tailrace.wake_relay();
    RETURN row_id;
END
$$
-- ;
CREATE TABLE tailrace.mail_deliveries (
    template   text        NOT NULL,
    user_id    text        NOT NULL,
    cause      text        NOT NULL,
    message_id text        NOT NULL UNIQUE,
    recipient  text        NOT NULL,
    subject    text        NOT NULL,
    state      text        NOT NULL
        CHECK (state IN ('intent', 'sending', 'sent', 'uncertain', 'refused')),
    run_id     uuid        NOT NULL,
    attempt    integer     NOT NULL,
    takeovers  integer     NOT NULL DEFAULT 0,
    uncertain  integer     NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (template, user_id, cause)
)
-- ;
CREATE INDEX mail_deliveries_latest ON tailrace.mail_deliveries (updated_at)
-- ;
CREATE TABLE tailrace.media_assets (
    post_id     text        NOT NULL,
    source      text        NOT NULL,
    kind        text        NOT NULL,
    status      text        NOT NULL CHECK (status IN ('queued', 'processing', 'ready', 'failed')),
    blurhash    text,
    width       integer,
    height      integer,
    duration_ms integer,
    error       text,
    updated_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (post_id, source)
)
-- ;
CREATE TABLE tailrace.media_renditions (
    post_id    text        NOT NULL,
    source     text        NOT NULL,
    variant    text        NOT NULL,
    key        text        NOT NULL,
    width      integer     NOT NULL,
    height     integer     NOT NULL,
    bytes      integer     NOT NULL,
    format     text        NOT NULL,
    recipe     text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (post_id, source, variant)
)
-- ;
CREATE INDEX media_renditions_latest ON tailrace.media_renditions (created_at)
-- ;
-- Which generation of counts is live. A rebuild writes another beside it and then moves this pointer.
CREATE TABLE tailrace.trending_state (
    id              boolean PRIMARY KEY DEFAULT true CHECK (id),
    live_generation integer NOT NULL
)
-- ;
INSERT INTO tailrace.trending_state (live_generation) VALUES (1)
-- ;
CREATE TABLE tailrace.trending_sources (
    generation      integer     NOT NULL,
    source          text        NOT NULL,
    next_offset     bigint      NOT NULL,
    archived_offset bigint      NOT NULL,
    counted_until   timestamptz NOT NULL,
    PRIMARY KEY (generation, source)
) WITH (fillfactor = 50)
-- ;
CREATE TABLE tailrace.trending_deltas (
    generation    integer     NOT NULL,
    source        text        NOT NULL,
    from_offset   bigint      NOT NULL,
    to_offset     bigint      NOT NULL CHECK (to_offset > from_offset),
    format        smallint    NOT NULL,
    newest_minute integer     NOT NULL,
    refused       integer     NOT NULL,
    body          bytea       NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (generation, source, from_offset)
)
-- ;
-- Uses by hour of event time: the deltas below each source's archived_offset, added up.
CREATE TABLE tailrace.trending_hours (
    generation integer NOT NULL,
    hour       integer NOT NULL,
    tag        text    NOT NULL,
    uses       bigint  NOT NULL,
    PRIMARY KEY (generation, hour, tag)
) WITH (fillfactor = 80)
-- ;
-- Offsets that retention took before they were counted: answers whose window reaches back to `until` are incomplete.
CREATE TABLE tailrace.trending_gaps (
    generation  integer     NOT NULL,
    source      text        NOT NULL,
    from_offset bigint      NOT NULL,
    to_offset   bigint      NOT NULL,
    until       timestamptz NOT NULL,
    noticed_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (generation, source, from_offset)
)
