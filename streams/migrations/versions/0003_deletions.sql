-- tailrace.emit() says deletions, too.
-- The id that one cause has however often and by whomever it is said; the same as Fact.natural_id in Python.
CREATE OR REPLACE FUNCTION tailrace.natural_id(type text, data jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT type || ':' || CASE type
        WHEN 'user.created' THEN data ->> 'user_id'
        WHEN 'user.deleted' THEN data ->> 'user_id'
        WHEN 'post.deleted' THEN data ->> 'post_id'
        WHEN 'post.uploaded' THEN (data ->> 'post_id')
            || coalesce(':' || coalesce(nullif(data ->> 'image', ''), nullif(data ->> 'video', '')), '')
        WHEN 'post.tagged' THEN (data ->> 'post_id') || ':' || coalesce((
            SELECT string_agg(tag, ',' ORDER BY tag COLLATE "C") FROM jsonb_array_elements_text(data -> 'hashtags') AS t (tag)), '')
        END
$$
-- ;
-- Say an event in the caller's own transaction: it is published if and only if that commits.
-- headers: {"name": "text"} beside the CloudEvents attributes; ce_id and ce_source there replace the defaults.
-- The event's time is data.created_at or data.deleted_at, so that a repeat has the same time as well as the same id.
CREATE OR REPLACE FUNCTION tailrace.emit(type text, key text, data jsonb, headers jsonb DEFAULT NULL,
                                         due_at timestamptz DEFAULT now()) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    event_id text := coalesce(headers ->> 'ce_id', tailrace.natural_id(type, data));
    time_field text := CASE WHEN type IN ('user.deleted', 'post.deleted') THEN 'deleted_at' ELSE 'created_at' END;
    event_time timestamptz := coalesce((data ->> time_field)::timestamptz, now());
    row_id bigint;
BEGIN
    IF type NOT IN ('user.created', 'post.uploaded', 'post.tagged', 'user.deleted', 'post.deleted') THEN
        RAISE EXCEPTION 'tailrace.emit: % is not an event type', type
            USING HINT = 'One of user.created, post.uploaded, post.tagged, user.deleted, post.deleted.';
    END IF;
    IF event_id IS NULL THEN
        RAISE EXCEPTION 'tailrace.emit: % needs % in its data', type,
            CASE WHEN type IN ('user.created', 'user.deleted') THEN 'user_id' ELSE 'post_id' END;
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
