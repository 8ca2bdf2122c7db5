-- From these columns a row alone gives its command again. `sweeps` counts how often the sweeper has done so;
-- `first_attempt` is the one since which the task's attempts count: a run that is sent again has all of them again.
ALTER TABLE tailrace.task_runs
    ADD COLUMN cause           jsonb,
    ADD COLUMN key             bytea,
    ADD COLUMN schedule        text,
    ADD COLUMN concurrency_key text,
    ADD COLUMN first_attempt   integer NOT NULL DEFAULT 1,
    ADD COLUMN swept_at        timestamptz,
    ADD COLUMN sweeps          integer NOT NULL DEFAULT 0
-- ;
-- How many run at once for one concurrency key.
CREATE INDEX task_runs_keyed ON tailrace.task_runs (concurrency_key)
    WHERE state = 'running' AND concurrency_key IS NOT NULL
-- ;
-- Since when what waits does so: the sweeper asks for those that are overdue, however many wait for tomorrow.
CREATE INDEX task_runs_waiting
    ON tailrace.task_runs (coalesce(greatest(scheduled_for, enqueued_at, swept_at), caused_at))
    WHERE state IN ('queued', 'parked')
-- ;
-- Dead runs are few and are asked for however old they are.
CREATE INDEX task_runs_dead ON tailrace.task_runs (finished_at) WHERE state = 'dead'
-- ;
-- The history of a schedule.
CREATE INDEX task_runs_scheduled ON tailrace.task_runs (schedule, caused_at) WHERE schedule IS NOT NULL
-- ;
-- Whether a run of a schedule is still open, however long its history and however many runs wait.
CREATE INDEX task_runs_scheduled_open ON tailrace.task_runs (schedule, caused_at)
    WHERE state IN ('queued', 'running', 'parked') AND schedule IS NOT NULL
-- ;
-- Queues that are paused, by whom and why; a queue without a row runs.
CREATE TABLE tailrace.queues (
    name      text        PRIMARY KEY,
    paused    boolean     NOT NULL DEFAULT false,
    automatic boolean     NOT NULL DEFAULT false,
    reason    text,
    changed_at timestamptz NOT NULL DEFAULT now()
)
-- ;
-- When which task runs: exactly one of cron (with its zone), every and at.
-- `edited`: a person has changed it, so that no release does. A default that was deleted stays, as deleted.
CREATE TABLE tailrace.schedules (
    name       text        PRIMARY KEY,
    task       text        NOT NULL,
    args       jsonb       NOT NULL DEFAULT '{}',
    queue      text,
    cron       text,
    zone       text        NOT NULL DEFAULT 'UTC',
    every      interval,
    at         timestamptz,
    enabled    boolean     NOT NULL DEFAULT true,
    misfire    text        NOT NULL DEFAULT 'run_once' CHECK (misfire IN ('run_once', 'skip', 'run_all')),
    overlap    text        NOT NULL DEFAULT 'skip' CHECK (overlap IN ('skip', 'allow')),
    jitter     interval    NOT NULL DEFAULT '0',
    starts_at  timestamptz NOT NULL DEFAULT now(),
    next_at    timestamptz,
    last_at    timestamptz,
    last_run   uuid,
    error      text,
    edited     boolean     NOT NULL DEFAULT false,
    deleted    boolean     NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK (num_nonnulls(cron, every, at) = 1)
)
-- ;
CREATE INDEX schedules_due ON tailrace.schedules (next_at) WHERE enabled AND NOT deleted
-- ;
-- Dead letters, by their place in the topic of dead letters, that somebody has sent again or thrown away, or whose
-- run had gone on without them when somebody looked.
CREATE TABLE tailrace.dead_letter_marks (
    topic       text        NOT NULL,
    "partition" integer     NOT NULL,
    "offset"    bigint      NOT NULL,
    mark        text        NOT NULL CHECK (mark IN ('redriven', 'superseded', 'purged')),
    marked_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, "partition", "offset")
)
