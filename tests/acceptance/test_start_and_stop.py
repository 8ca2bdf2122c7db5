"""Starting and stopping `tailrace worker` where something is missing."""

from datetime import timedelta
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from streams.devstack.processes import free_port
from tests.backend import sign_up
from tests.processes import run, started
from tests.waiting import eventually

GRACE = timedelta(seconds=12)


async def test_a_worker_without_a_broker_waits_and_stops_when_it_is_told_to(
    environment: dict[str, str], tmp_path: Path
) -> None:
    nowhere = {**environment, "TAILRACE_KAFKA__BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}"}
    log = tmp_path / "worker.log"

    async with started("worker", nowhere, tmp_path, wait=False) as worker:
        await eventually(lambda: log.exists() and "waiting for the broker" in log.read_text())
        await worker.child.stop(GRACE)

    assert worker.child.exit_code == 0


async def test_a_worker_without_topics_says_what_to_run(environment: dict[str, str]) -> None:
    code, _, errors = await run("worker", environment=environment)

    assert code == 1
    assert "topics are missing" in errors
    assert "run `tailrace migrate`" in errors


async def test_a_worker_that_is_told_to_stop_ends_what_runs_and_leaves_nothing_open(
    environment: dict[str, str], engine: AsyncEngine, tmp_path: Path
) -> None:
    await run("migrate", environment=environment)
    async with started("worker", environment, tmp_path) as worker:
        for number in range(60):
            await sign_up(engine, number)
        await eventually(lambda: _states(engine, "done"))
        await worker.child.stop(GRACE)

    assert worker.child.exit_code == 0
    assert await _states(engine, "running") == 0


async def _states(engine: AsyncEngine, state: str) -> int:
    async with engine.connect() as connection:
        query = text("SELECT count(*) FROM tailrace.task_runs WHERE state = :state")
        return int((await connection.execute(query, {"state": state})).scalar_one())
