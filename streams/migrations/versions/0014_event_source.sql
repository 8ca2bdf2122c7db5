-- Whose events triggers, backfills and emit() say, so that one cause has one identity, whoever says it. Written by
-- `tailrace attach` and `tailrace migrate` from TAILRACE_BACKEND__SOURCE.
CREATE TABLE tailrace.event_source (
    id     boolean PRIMARY KEY DEFAULT true CHECK (id),
    source text    NOT NULL
)
-- ;
INSERT INTO tailrace.event_source (source) VALUES ('/backend')
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
                'ce_specversion', '1.0', 'ce_source', (SELECT source FROM tailrace.event_source), 'content-type', 'application/json')
                || coalesce(headers, '{}')
                || jsonb_build_object('ce_id', event_id, 'ce_type', type, 'ce_time',
                    to_char(event_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))) AS h (name, value)),
            convert_to(data::text, 'UTF8'), event_time, coalesce(due_at, now()))
    RETURNING id INTO row_id;
    PERFORM tailrace.wake_relay();
    RETURN row_id;
END
$$
