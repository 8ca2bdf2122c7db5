-- The headers of an event, as the outbox keeps them.
CREATE FUNCTION tailrace.event_headers(type text, id text, at timestamptz, source text) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_array(
        jsonb_build_array('ce_specversion', '1.0'), jsonb_build_array('ce_id', id), jsonb_build_array('ce_source', source),
        jsonb_build_array('ce_type', type), jsonb_build_array('content-type', 'application/json'),
        jsonb_build_array('ce_time', to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')))
$$
-- ;
-- Say an event in the caller's own transaction: it is published if and only if that commits.
-- headers: {"name": "text"} beside the CloudEvents attributes; ce_id and ce_source there replace the defaults.
-- The event's time is data.created_at or data.deleted_at, so that a repeat has the same time as well as the same id.
-- With its owner's rights, so that a backend needs none on our tables; its names are found in pg_catalog or by their schema.
CREATE OR REPLACE FUNCTION tailrace.emit(type text, key text, data jsonb, headers jsonb DEFAULT NULL,
                                         due_at timestamptz DEFAULT now()) RETURNS bigint LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    event_id text;
    time_field text := CASE WHEN type IN ('user.deleted', 'post.deleted') THEN 'deleted_at' ELSE 'created_at' END;
    event_time timestamptz;
    row_id bigint;
BEGIN
    IF type IS NULL OR type NOT IN ('user.created', 'post.uploaded', 'post.tagged', 'user.deleted', 'post.deleted') THEN
        RAISE EXCEPTION 'tailrace.emit: % is not an event type', coalesce(type, 'NULL')
            USING HINT = 'One of user.created, post.uploaded, post.tagged, user.deleted, post.deleted.';
    END IF;
    IF jsonb_typeof(data) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION 'tailrace.emit: the data of % is %, not a JSON object', type, coalesce(jsonb_typeof(data), 'NULL');
    END IF;
    IF headers IS NOT NULL AND jsonb_typeof(headers) <> 'object' THEN
        RAISE EXCEPTION 'tailrace.emit: headers are %, not a JSON object', jsonb_typeof(headers)
            USING HINT = 'Names and texts: {"traceparent": "..."}.';
    END IF;
    event_id := coalesce(headers ->> 'ce_id', tailrace.natural_id(type, data));
    IF event_id IS NULL THEN
        RAISE EXCEPTION 'tailrace.emit: % needs % in its data', type,
            CASE WHEN type IN ('user.created', 'user.deleted') THEN 'user_id' ELSE 'post_id' END;
    END IF;
    BEGIN
        event_time := coalesce((data ->> time_field)::timestamptz, now());
    EXCEPTION WHEN data_exception THEN
        RAISE EXCEPTION 'tailrace.emit: % of % is no instant: %', time_field, type, data ->> time_field
            USING HINT = 'Write RFC 3339 with an offset: 2026-03-04T12:00:00Z.';
    END;
    IF NOT (event_time >= '0001-01-01 00:00:00+00' AND event_time < '9999-12-31 00:00:00+00') THEN
        RAISE EXCEPTION 'tailrace.emit: % of % is beyond the years 1 to 9999: %', time_field, type, data ->> time_field;
    END IF;
    INSERT INTO tailrace.outbox (topic, key, headers, payload, occurred_at, due_at)
    VALUES (type, convert_to(key, 'UTF8'),
            (SELECT jsonb_agg(jsonb_build_array(name, value)) FROM jsonb_each_text(jsonb_build_object(
                'ce_specversion', '1.0', 'ce_source', '/backend', 'content-type', 'application/json')
                || coalesce(headers, '{}')
                || jsonb_build_object('ce_id', event_id, 'ce_type', type, 'ce_time',
                    to_char(event_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))) AS h (name, value)),
            convert_to(data::text, 'UTF8'), event_time, coalesce(due_at, now()))
    RETURNING id INTO row_id;
    PERFORM tailrace.wake_relay();
    RETURN row_id;
END
$$
-- ;
-- How far a backfill has come: what rows of `name` that are not older than `since` say. `position` is a key of the backend.
CREATE TABLE tailrace.backfills (
    name        text        NOT NULL,
    since       timestamptz NOT NULL,
    position    text,
    looked_at   bigint      NOT NULL DEFAULT 0,
    said        bigint      NOT NULL DEFAULT 0,
    set_aside   bigint      NOT NULL DEFAULT 0,
    started_at  timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    PRIMARY KEY (name, since)
)
-- ;
-- A worker's role need own nothing: months are made and dropped with the rights of the schema's owner.
ALTER FUNCTION tailrace.ensure_months(date, date) SECURITY DEFINER SET search_path = pg_catalog, pg_temp
-- ;
-- Drop the month of the ledger that begins on this day.
CREATE FUNCTION tailrace.drop_month(first_day date) RETURNS void LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('DROP TABLE tailrace.%I', 'task_runs_' || to_char(first_day, 'YYYYMM'));
END
$$
-- ;
-- Only who is granted it: anybody may call a function who may use the schema, and a backend may.
REVOKE ALL ON FUNCTION tailrace.drop_month(date), tailrace.ensure_months(date, date) FROM PUBLIC
