"""The triggers, as SQL: what each says, and that none ever fails the backend's statement."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from streams.attach.event_sql import (
    Columns,
    Saying,
    insert_events,
    literal,
    post_deleted,
    post_tagged,
    post_uploaded,
    quoted_table,
    user_created,
    user_deleted,
)

STAMP = "tailrace attach "
"""How the comment begins that marks a function as ours; the version follows."""

# Whoever may write the backend's table writes the outbox through this alone: the function has its owner's rights, so
# it finds its names in pg_catalog or by their schema, and nowhere else.
FUNCTION = """CREATE OR REPLACE FUNCTION {function} RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $tailrace$
DECLARE
    reason text;
BEGIN
    {say};
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    -- A conflict of transactions is the backend's to repeat. Everything else is ours, and its statement goes on.
    IF SQLSTATE LIKE '40%' THEN RAISE; END IF;
    reason := SQLERRM || ' (' || SQLSTATE || ')';
    BEGIN
        INSERT INTO tailrace.outbox (topic, key, state, error)
        SELECT '{event}', convert_to(to_jsonb(r) ->> {key}, 'UTF8'), 'set_aside',
               'the trigger on {table} failed for ' || coalesce(to_jsonb(r) ->> {key}, 'a row') || ': ' || reason
          FROM {rows};
    EXCEPTION WHEN OTHERS THEN
        RAISE WARNING 'tailrace: % is not said for %: %; and the outbox takes no note of it: %', '{event}',
            (SELECT string_agg(to_jsonb(r) ->> {key}, ', ') FROM {rows}), reason, SQLERRM;
    END;
    RETURN NULL;
END
$tailrace$"""

SAY = "{insert};\n    PERFORM tailrace.wake_relay()"
SAY_ATTACHED = "IF {attached} THEN\n    {say};\n    END IF"
EACH_INSERT = "AFTER INSERT ON {table} REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT"
EACH_DELETE = "AFTER DELETE ON {table} REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT"
# Neither UPDATE OF nor WHEN: both would forbid the backend's own migrations to change the columns that they name.
EACH_UPDATE = "AFTER UPDATE ON {table} FOR EACH ROW"
CHANGED_ROWS, NEW_ROW = "changed_rows AS r", "(SELECT NEW.*) AS r"


@dataclass(frozen=True)
class Trigger:
    """One trigger and its function. ``table`` is the logical name; ``says`` the event."""

    name: str
    table: str
    real_table: str
    says: str
    function_sql: str
    trigger_sql: str

    @property
    def function(self) -> str:
        return f"tailrace.on_{self.name}()"

    @property
    def trigger_name(self) -> str:
        return f"tailrace_{self.name}"

    @property
    def stamp(self) -> str:
        """Changes with the SQL, so that a new release, or another mapping, replaces what is there."""
        return STAMP + hashlib.sha256((self.function_sql + self.trigger_sql).encode()).hexdigest()[:16]

    def function_statements(self) -> Iterator[str]:
        """To run before the trigger's."""
        yield self.function_sql
        yield f"REVOKE ALL ON FUNCTION {self.function} FROM PUBLIC"
        yield f"COMMENT ON FUNCTION {self.function} IS '{self.stamp}'"


def triggers_for(columns: Columns) -> list[Trigger]:
    """Every trigger that this backend can have."""
    made = [
        _trigger(columns, "users", "insert", user_created(columns)),
        _trigger(columns, "users", "delete", user_deleted(columns)),
        _trigger(columns, "posts", "insert", post_uploaded(columns)),
        _trigger(columns, "posts", "delete", post_deleted(columns)),
    ]
    if columns.has("posts.image") or columns.has("posts.video"):
        made.append(_attached_later(columns))
    if columns.has("post_hashtags.post_id") and columns.has("hashtags.name"):
        made.append(_trigger(columns, "post_hashtags", "insert", post_tagged(columns)))
    return made


def _trigger(columns: Columns, table: str, action: str, saying: Saying) -> Trigger:
    """For all rows of a statement at once: a third of the cost for each row of a big one."""
    timing = EACH_INSERT if action == "insert" else EACH_DELETE
    say = SAY.format(insert=insert_events(saying, CHANGED_ROWS))
    return _made(columns, table, action, saying.event, say, CHANGED_ROWS, timing)


def _attached_later(columns: Columns) -> Trigger:
    """Only where a picture or a video has come: likes and views are updates, too."""
    names = [name for name in ("posts.image", "posts.video") if columns.has(name)]
    pairs = [(columns.value(name, "NEW"), columns.value(name, "OLD")) for name in names]
    attached = " OR ".join(f"{new} IS DISTINCT FROM {old} AND {new} <> ''" for new, old in pairs)
    saying = post_uploaded(columns)
    say = SAY_ATTACHED.format(attached=attached, say=SAY.format(insert=insert_events(saying, NEW_ROW)))
    return _made(columns, "posts", "update", saying.event, say, NEW_ROW, EACH_UPDATE)


def _made(columns: Columns, table: str, action: str, event: str, say: str, rows: str, timing: str) -> Trigger:
    name, real = f"{table}_{action}", quoted_table(getattr(columns.backend, table))
    key = literal(getattr(columns.backend, table).c.id.name)
    function = f"tailrace.on_{name}()"
    function_sql = FUNCTION.format(function=function, say=say, event=event, key=key, rows=rows, table=table)
    trigger_sql = (
        f"CREATE OR REPLACE TRIGGER tailrace_{name} {timing.format(table=real)}\n    EXECUTE FUNCTION {function}"
    )
    return Trigger(name, table, real, event, function_sql, trigger_sql)
