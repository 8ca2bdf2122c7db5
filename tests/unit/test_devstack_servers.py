"""Servers of the stack that do not do in time what they should."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from streams.devstack import aot, postgres
from streams.devstack.aot import cache_file, train
from streams.devstack.errors import DevStackError
from streams.devstack.postgres import Postgres
from streams.devstack.readiness import tell_nobody


class Broker:
    """Stands for the broker that writes Java's cache when it ends, and that is killed if that takes too long."""

    ending = 143

    def __init__(
        self, folder: Path, cache: Path, log: Path, ports: object, tell: object, options: tuple[str, ...], *_: object
    ) -> None:
        self.output = Path(options[0].partition("=")[2])
        self.exit_code: int | None = None

    async def start(self) -> None:
        self.output.write_text("cut o")

    async def stop(self, grace: timedelta) -> None:
        if self.ending == 143:
            self.output.write_text("whole")
        self.exit_code = self.ending

    async def kill(self) -> None:
        self.exit_code = self.exit_code or -9


async def test_a_cache_that_java_did_not_finish_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aot, "Kafka", Broker)
    monkeypatch.setattr(Broker, "ending", -9)

    with pytest.raises(DevStackError, match=r"did not finish its cache \(exit code -9\)"):
        await train(tmp_path)

    assert list(tmp_path.iterdir()) == []


async def test_a_cache_that_java_finished_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aot, "Kafka", Broker)

    await train(tmp_path)

    assert cache_file(tmp_path).read_text() == "whole"
    assert list(tmp_path.iterdir()) == [cache_file(tmp_path)]


class NeverStarted(Postgres):
    async def _started(self) -> bool:
        await asyncio.sleep(0)
        return False


async def test_a_postgres_that_does_not_start_in_time_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "START_DEADLINE", timedelta(milliseconds=50))
    monkeypatch.setattr(postgres, "HANDOVER", timedelta(milliseconds=50))
    cluster = tmp_path / "postgres" / "18"
    cluster.mkdir(parents=True)
    (cluster / "PG_VERSION").touch()
    log = tmp_path / "postgres.log"
    log.write_text("FATAL: lock file exists\n")

    with pytest.raises(DevStackError, match=r"(?s)was not ready after .*postgres\.log ends:.*lock file exists"):
        await NeverStarted(tmp_path / "postgres", log, 1, False, tell_nobody).start()
