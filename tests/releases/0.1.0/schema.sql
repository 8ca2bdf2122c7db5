SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
CREATE SCHEMA tailrace;
CREATE FUNCTION tailrace.emit(type text, key text, data jsonb, headers jsonb DEFAULT NULL::jsonb, due_at timestamp with time zone DEFAULT now()) RETURNS bigint
    LANGUAGE plpgsql
    AS $$
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
$$;
CREATE FUNCTION tailrace.ensure_months(first_day date, last_day date) RETURNS void
    LANGUAGE plpgsql
    SET lock_timeout TO '2s'
    AS $$
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
$$;
CREATE FUNCTION tailrace.natural_id(type text, data jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$
    SELECT type || ':' || CASE type
        WHEN 'user.created' THEN data ->> 'user_id'
        WHEN 'post.uploaded' THEN (data ->> 'post_id')
            || coalesce(':' || coalesce(nullif(data ->> 'image', ''), nullif(data ->> 'video', '')), '')
        WHEN 'post.tagged' THEN (data ->> 'post_id') || ':' || coalesce((
            SELECT string_agg(tag, ',' ORDER BY tag COLLATE "C") FROM jsonb_array_elements_text(data -> 'hashtags') AS t (tag)), '')
        END
$$;
CREATE FUNCTION tailrace.wake_relay() RETURNS void
    LANGUAGE sql
    AS $$
    SELECT pg_notify('tailrace_outbox', '') FROM tailrace.relay WHERE idle
$$;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE tailrace.mail_deliveries (
    template text NOT NULL,
    user_id text NOT NULL,
    cause text NOT NULL,
    message_id text NOT NULL,
    recipient text NOT NULL,
    subject text NOT NULL,
    state text NOT NULL,
    run_id uuid NOT NULL,
    attempt integer NOT NULL,
    takeovers integer DEFAULT 0 NOT NULL,
    uncertain integer DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT mail_deliveries_state_check CHECK ((state = ANY (ARRAY['intent'::text, 'sending'::text, 'sent'::text, 'uncertain'::text, 'refused'::text])))
);
CREATE TABLE tailrace.media_assets (
    post_id text NOT NULL,
    source text NOT NULL,
    kind text NOT NULL,
    status text NOT NULL,
    blurhash text,
    width integer,
    height integer,
    duration_ms integer,
    error text,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT media_assets_status_check CHECK ((status = ANY (ARRAY['queued'::text, 'processing'::text, 'ready'::text, 'failed'::text])))
);
CREATE TABLE tailrace.media_renditions (
    post_id text NOT NULL,
    source text NOT NULL,
    variant text NOT NULL,
    key text NOT NULL,
    width integer NOT NULL,
    height integer NOT NULL,
    bytes integer NOT NULL,
    format text NOT NULL,
    recipe text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE tailrace.outbox (
    id bigint NOT NULL,
    topic text NOT NULL,
    key bytea,
    headers jsonb DEFAULT '[]'::jsonb NOT NULL,
    payload bytea,
    occurred_at timestamp with time zone DEFAULT now() NOT NULL,
    due_at timestamp with time zone DEFAULT now() NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    state text DEFAULT 'pending'::text NOT NULL,
    error text,
    dedupe_key text,
    CONSTRAINT outbox_state_check CHECK ((state = ANY (ARRAY['pending'::text, 'set_aside'::text])))
)
WITH (autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='5000', autovacuum_vacuum_cost_delay='0', fillfactor='90');
ALTER TABLE tailrace.outbox ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME tailrace.outbox_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE tailrace.relay (
    id boolean DEFAULT true NOT NULL,
    idle boolean DEFAULT false NOT NULL,
    CONSTRAINT relay_id_check CHECK (id)
);
CREATE TABLE tailrace.schema_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE tailrace.task_runs (
    id uuid NOT NULL,
    caused_at timestamp with time zone NOT NULL,
    task text NOT NULL,
    queue text NOT NULL,
    state text NOT NULL,
    attempt integer NOT NULL,
    generation integer NOT NULL,
    args jsonb NOT NULL,
    scheduled_for timestamp with time zone,
    enqueued_at timestamp with time zone,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    duration_ms integer,
    worker text,
    lease_until timestamp with time zone,
    takeovers integer DEFAULT 0 NOT NULL,
    outcome jsonb,
    error text,
    CONSTRAINT task_runs_attempt_check CHECK ((attempt >= 1)),
    CONSTRAINT task_runs_state_check CHECK ((state = ANY (ARRAY['queued'::text, 'running'::text, 'parked'::text, 'done'::text, 'skipped'::text, 'dead'::text, 'cancelled'::text])))
)
PARTITION BY RANGE (caused_at);
CREATE VIEW tailrace.task_run_months AS
 SELECT to_date("right"(((inhrelid)::regclass)::text, 6), 'YYYYMM'::text) AS from_day,
    ((to_date("right"(((inhrelid)::regclass)::text, 6), 'YYYYMM'::text) + '1 mon'::interval))::date AS to_day
   FROM pg_inherits
  WHERE (inhparent = ('tailrace.task_runs'::regclass)::oid);
CREATE TABLE tailrace.trending_deltas (
    generation integer NOT NULL,
    source text NOT NULL,
    from_offset bigint NOT NULL,
    to_offset bigint NOT NULL,
    format smallint NOT NULL,
    newest_minute integer NOT NULL,
    refused integer NOT NULL,
    body bytea NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT trending_deltas_check CHECK ((to_offset > from_offset))
);
CREATE TABLE tailrace.trending_gaps (
    generation integer NOT NULL,
    source text NOT NULL,
    from_offset bigint NOT NULL,
    to_offset bigint NOT NULL,
    until timestamp with time zone NOT NULL,
    noticed_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE tailrace.trending_hours (
    generation integer NOT NULL,
    hour integer NOT NULL,
    tag text NOT NULL,
    uses bigint NOT NULL
)
WITH (fillfactor='80');
CREATE TABLE tailrace.trending_sources (
    generation integer NOT NULL,
    source text NOT NULL,
    next_offset bigint NOT NULL,
    archived_offset bigint NOT NULL,
    counted_until timestamp with time zone NOT NULL
)
WITH (fillfactor='50');
CREATE TABLE tailrace.trending_state (
    id boolean DEFAULT true NOT NULL,
    live_generation integer NOT NULL,
    CONSTRAINT trending_state_id_check CHECK (id)
);
INSERT INTO tailrace.relay VALUES (true, false);
INSERT INTO tailrace.schema_version VALUES ('0001');
INSERT INTO tailrace.trending_state VALUES (true, 1);
SELECT pg_catalog.setval('tailrace.outbox_id_seq', 1, false);
ALTER TABLE ONLY tailrace.mail_deliveries
    ADD CONSTRAINT mail_deliveries_message_id_key UNIQUE (message_id);
ALTER TABLE ONLY tailrace.mail_deliveries
    ADD CONSTRAINT mail_deliveries_pkey PRIMARY KEY (template, user_id, cause);
ALTER TABLE ONLY tailrace.media_assets
    ADD CONSTRAINT media_assets_pkey PRIMARY KEY (post_id, source);
ALTER TABLE ONLY tailrace.media_renditions
    ADD CONSTRAINT media_renditions_pkey PRIMARY KEY (post_id, source, variant);
ALTER TABLE ONLY tailrace.outbox
    ADD CONSTRAINT outbox_dedupe_key_key UNIQUE (dedupe_key);
ALTER TABLE ONLY tailrace.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (id);
ALTER TABLE ONLY tailrace.relay
    ADD CONSTRAINT relay_pkey PRIMARY KEY (id);
ALTER TABLE ONLY tailrace.schema_version
    ADD CONSTRAINT schema_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY tailrace.task_runs
    ADD CONSTRAINT task_runs_pkey PRIMARY KEY (caused_at, id);
ALTER TABLE ONLY tailrace.trending_deltas
    ADD CONSTRAINT trending_deltas_pkey PRIMARY KEY (generation, source, from_offset);
ALTER TABLE ONLY tailrace.trending_gaps
    ADD CONSTRAINT trending_gaps_pkey PRIMARY KEY (generation, source, from_offset);
ALTER TABLE ONLY tailrace.trending_hours
    ADD CONSTRAINT trending_hours_pkey PRIMARY KEY (generation, hour, tag);
ALTER TABLE ONLY tailrace.trending_sources
    ADD CONSTRAINT trending_sources_pkey PRIMARY KEY (generation, source);
ALTER TABLE ONLY tailrace.trending_state
    ADD CONSTRAINT trending_state_pkey PRIMARY KEY (id);
CREATE INDEX mail_deliveries_latest ON tailrace.mail_deliveries USING btree (updated_at);
CREATE INDEX media_renditions_latest ON tailrace.media_renditions USING btree (created_at);
CREATE INDEX outbox_due ON tailrace.outbox USING btree (due_at, id) WHERE (state = 'pending'::text);
CREATE INDEX task_runs_finished ON ONLY tailrace.task_runs USING btree (finished_at);
CREATE INDEX task_runs_open ON ONLY tailrace.task_runs USING btree (state, queue) WHERE (state = ANY (ARRAY['queued'::text, 'running'::text, 'parked'::text]));
