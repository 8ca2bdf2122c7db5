"""``tailrace attach`` and ``tailrace detach``, step by step: look, show, ask, do."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import asyncpg

from streams.attach import grants
from streams.attach.event_source import source_step
from streams.attach.inspection import Findings, inspect
from streams.attach.installing import Step, carry_out, installed, plan, removal, state_of
from streams.attach.triggers import Trigger, triggers_for
from streams.migrations import NEWEST
from streams.migrations.run import migrate
from streams.setting_groups import Backend

VERSION = "SELECT version_num FROM tailrace.schema_version"
HAS_VERSION = "SELECT to_regclass('tailrace.schema_version') IS NOT NULL"
SERVER = "SELECT current_setting('server_version_num')::int"

Tell = Callable[[str], None]


class CannotAttach(Exception):
    """The database is not as it must be; the message says what to do."""


@dataclass(frozen=True)
class Attachment:
    """What would be done, and what is there already."""

    findings: Findings
    triggers: Sequence[Trigger]
    schema: str | None
    steps: Sequence[Step]

    @property
    def migrates(self) -> bool:
        return self.schema != NEWEST

    @property
    def changes(self) -> bool:
        return bool(self.migrates or self.steps)

    def sql(self) -> str:
        """Everything that would run, to be read."""
        parts = []
        if self.migrates:
            verb = "upgrade" if self.schema else "create"
            parts.append(f"-- {verb} the schema tailrace (as `tailrace migrate` does)")
        for step in self.steps:
            parts += [f"-- {step.what}", *(f"{statement};" for statement in step.statements)]
        return "\n\n".join(parts)


async def look(
    connection: asyncpg.Connection, backend: Backend, worker_role: str | None, reads: tuple[str, ...]
) -> Attachment:
    """What attaching would do. Raises ``CannotAttach`` with all that is in the way."""
    findings = await inspect(connection, backend, reads=reads)
    if findings.problems or findings.grants:
        raise CannotAttach(_obstacles(findings))
    triggers = triggers_for(findings.columns)
    steps = plan(triggers, await installed(connection))
    source = await source_step(connection, backend.source)
    if source:
        steps.insert(0, source)
    if worker_role:
        steps.append(grants.on_our_schema(worker_role, await connection.fetchval(SERVER)))
    has_version = await connection.fetchval(HAS_VERSION)
    schema = await connection.fetchval(VERSION) if has_version else None
    if schema and schema > NEWEST:
        raise CannotAttach(f"the schema tailrace is at version {schema}, newer than this program ({NEWEST})")
    return Attachment(findings, triggers, schema, steps)


async def attach(connection: asyncpg.Connection, url: str, attachment: Attachment, tell: Tell) -> None:
    """Do it, and say each step that is done."""
    if attachment.migrates:
        await migrate(url)
        tell("schema tailrace: up to date")
    for step in attachment.steps:
        await carry_out(connection, step)
        tell(f"done: {step.what}")
    found = await installed(connection)
    for trigger in attachment.triggers:
        if state_of(trigger, found) == "disabled":
            tell(
                f"note: the trigger {trigger.trigger_name} on {trigger.real_table} is disabled; its events are not said"
            )


async def detach(connection: asyncpg.Connection, steps: Sequence[Step], tell: Tell) -> None:
    """Take the triggers away; with them go their functions."""
    for step in steps:
        await carry_out(connection, step)
        tell(f"done: {step.what}")


async def what_to_remove(connection: asyncpg.Connection, *, schema: bool) -> list[Step]:
    """The triggers, and the schema tailrace with all that it remembers where that is asked for."""
    steps = removal(await installed(connection))
    if schema and await connection.fetchval("SELECT to_regnamespace('tailrace') IS NOT NULL"):
        steps.append(Step("drop the schema tailrace with its data", ["DROP SCHEMA tailrace CASCADE"]))
    return steps


def _obstacles(findings: Findings) -> str:
    lines = [*findings.problems]
    if findings.grants:
        lines.append(f"the role {findings.role} lacks rights; let the owner of the tables run:")
        lines += [f"    {grant}" for grant in findings.grants]
    return "\n".join(lines)
