"""Bringing the triggers into a database and out of it again."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import asyncpg

from streams.attach.triggers import STAMP, Trigger

State = Literal["missing", "outdated", "disabled", "current"]

PATIENCE = "5s"
"""A trigger comes and goes under a lock that waits for the table's writers, while others wait behind it."""

# Our trigger functions, their stamps, and where their triggers are.
INSTALLED = """
    SELECT format('tailrace.%I()', function.proname) AS function, obj_description(function.oid, 'pg_proc') AS stamp,
           quote_ident(namespace.nspname) || '.' || quote_ident(class.relname) AS table,
           trigger.tgenabled::text AS enabled
      FROM pg_catalog.pg_proc AS function
      LEFT JOIN pg_catalog.pg_trigger AS trigger ON trigger.tgfoid = function.oid AND trigger.tgparentid = 0
      LEFT JOIN pg_catalog.pg_class AS class ON class.oid = trigger.tgrelid
      LEFT JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
     WHERE function.pronamespace = to_regnamespace('tailrace')
       AND starts_with(obj_description(function.oid, 'pg_proc'), $1)
     ORDER BY function.oid
"""


class TableInUse(Exception):
    """The backend holds a table for longer than we make others wait."""


@dataclass(frozen=True)
class Installed:
    """One function of ours as it is in the database; ``table`` is None where its trigger is gone."""

    function: str
    stamp: str
    table: str | None
    enabled: bool


@dataclass(frozen=True)
class Step:
    """What is done in one transaction, and for what."""

    what: str
    statements: Sequence[str]


async def installed(connection: asyncpg.Connection) -> list[Installed]:
    """Every trigger function of ours, of whatever version."""
    rows = await connection.fetch(INSTALLED, STAMP)
    return [Installed(row["function"], row["stamp"], row["table"], row["enabled"] != "D") for row in rows]


def state_of(trigger: Trigger, found: Iterable[Installed]) -> State:
    """How the database's trigger is beside the one that this version makes."""
    ours = [one for one in found if one.function == trigger.function]
    if not any(one.table for one in ours):
        return "missing"
    if len(ours) > 1 or ours[0].stamp != trigger.stamp or not _same(ours[0].table, trigger.real_table):
        return "outdated"
    return "current" if ours[0].enabled else "disabled"


def plan(wanted: Sequence[Trigger], found: Sequence[Installed]) -> list[Step]:
    """What makes the triggers as they should be; nothing where they are."""
    functions = {trigger.function for trigger in wanted}
    steps = [
        Step(f"drop {one.function}, which this backend no longer needs", [_drop(one.function)])
        for one in found
        if one.function not in functions
    ]
    for trigger in wanted:
        state = state_of(trigger, found)
        if state in ("missing", "outdated"):
            verb = "create" if state == "missing" else "replace"
            statements = [*_moved(trigger, found), *trigger.function_statements(), trigger.trigger_sql]
            steps.append(Step(f"{verb} the trigger that says {trigger.says} of {trigger.real_table}", statements))
    return steps


def removal(found: Sequence[Installed]) -> list[Step]:
    """What takes all of it away. By the function, which is ours, since only its owner may drop a table's trigger."""
    functions = dict.fromkeys(one.function for one in found)
    return [Step(f"drop {function} and its trigger", [_drop(function)]) for function in functions]


async def carry_out(connection: asyncpg.Connection, step: Step) -> None:
    """All of it or nothing. Raises ``TableInUse`` where the backend's writers do not let us in for a while."""
    try:
        async with connection.transaction():
            await connection.execute(f"SET LOCAL lock_timeout = '{PATIENCE}'")
            for statement in step.statements:
                await connection.execute(statement)
    except asyncpg.LockNotAvailableError as error:
        raise TableInUse(
            f"could not {step.what}: a transaction holds the table for longer than {PATIENCE}, and the backend's "
            "writers would wait behind us. What was done before stays; run the same command again when it has ended"
        ) from error


def _moved(trigger: Trigger, found: Iterable[Installed]) -> list[str]:
    """The trigger of a mapping that has changed is on another table: it goes first."""
    elsewhere = [
        one
        for one in found
        if one.function == trigger.function and one.table and not _same(one.table, trigger.real_table)
    ]
    return [_drop(trigger.function)] if elsewhere else []


def _drop(function: str) -> str:
    return f"DROP FUNCTION {function} CASCADE"


def _same(one: str | None, other: str) -> bool:
    return one is not None and one.replace('"', "") == other.replace('"', "")
