-- One row for each replay, for ever: what was asked for and counted first, how far it is, what came of it, who did what.
-- `stretches`: the offsets to read, by partition; `positions`: the next one of each; both move with what was submitted.
CREATE TABLE tailrace.replays (
    id          integer     GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    state       text        NOT NULL DEFAULT 'running'
        CHECK (state IN ('running', 'paused', 'done', 'cancelled', 'failed')),
    mode        text        NOT NULL CHECK (mode IN ('missing', 'redo', 'shadow')),
    topic       text        NOT NULL,
    request     jsonb       NOT NULL,
    plan        jsonb       NOT NULL,
    since       timestamptz,
    until       timestamptz,
    stretches   jsonb       NOT NULL,
    positions   jsonb       NOT NULL DEFAULT '{}',
    counts      jsonb       NOT NULL DEFAULT '{}',
    gaps        jsonb       NOT NULL DEFAULT '[]',
    report      jsonb,
    audit       jsonb       NOT NULL DEFAULT '[]',
    note        text,
    error       text,
    owner       text,
    lease_until timestamptz,
    takeovers   integer     NOT NULL DEFAULT 0,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz
)
-- ;
-- Which replay has ordered a run.
ALTER TABLE tailrace.task_runs ADD COLUMN replay integer
-- ;
-- How the runs of a replay stand, however long the ledger.
CREATE INDEX task_runs_replay ON tailrace.task_runs (replay, state) WHERE replay IS NOT NULL
