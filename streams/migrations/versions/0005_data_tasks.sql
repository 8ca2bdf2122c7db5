-- How far a run has come that works in key ranges: it moves on in the transaction of each range, so that whoever takes
-- the run over goes on behind the last one. `position` is the last key that is done, as text.
CREATE TABLE tailrace.task_progress (
    run_id     uuid        PRIMARY KEY,
    task       text        NOT NULL,
    position   text,
    finished   boolean     NOT NULL DEFAULT false,
    counts     jsonb       NOT NULL DEFAULT '{}',
    began_at   timestamptz NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
)
