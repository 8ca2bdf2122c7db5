"""The data folder of `up` is ours or is left alone; what killed processes left is removed, and nothing else."""

import errno
import hashlib
import os
import sqlite3
from pathlib import Path

import pytest

from streams.devstack import fetch_jars, jars
from streams.devstack.errors import DevStackError, trouble_with_the_disk
from streams.devstack.leftovers import remove_leftovers, remove_parts, scratch_folder
from streams.devstack.stack import FOLDERS, RESETTING, Stack
from streams.devstack.state import LOCK, FolderLock, read_state


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder of somebody else, with names that ours has too."""
    for name in ("media", "logs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "dear").write_text("to somebody")
    return tmp_path


def _files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


async def test_a_folder_of_somebody_else_is_neither_reset_nor_used(project: Path) -> None:
    before = _files(project)

    with pytest.raises(DevStackError, match=f"not a data folder.*no {LOCK}.*--data"):
        Stack(project).reset()
    with pytest.raises(DevStackError, match=f"not a data folder.*no {LOCK}.*--data"):
        await Stack(project).__aenter__()

    assert _files(project) == before


def test_a_reset_removes_our_folders_and_keeps_the_rest(tmp_path: Path) -> None:
    stack = Stack(tmp_path)
    stack.reset()
    for name in (*FOLDERS, "notes"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()

    stack.reset()

    assert _files(tmp_path) == ["notes", "notes/file", LOCK]


def test_a_reset_that_stops_half_way_says_so_and_is_finished_later(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "data")
    stack.reset()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (stack.data / "kafka").mkdir()
    (stack.data / "postgres").symlink_to(elsewhere)

    with pytest.raises(DevStackError, match=r"postgres could not be removed whole .*by hand"):
        stack.reset()

    assert (stack.data / RESETTING).exists()
    (stack.data / "postgres").unlink()
    stack.reset()
    assert _files(stack.data) == [LOCK]
    assert elsewhere.exists()


@pytest.mark.parametrize("path", ["file", "file/below"])
def test_a_path_that_can_be_no_folder_is_refused(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(DevStackError, match=r"cannot hold the stack's data .*--data"):
        FolderLock(tmp_path / path).take()


def test_asking_who_runs_does_not_get_in_the_way_of_a_start(tmp_path: Path) -> None:
    lock, other = FolderLock(tmp_path), FolderLock(tmp_path)
    lock.take()
    lock.release()

    with pytest.raises(DevStackError, match="no stack runs"):
        read_state(tmp_path)
    lock.take()
    with pytest.raises(DevStackError, match="still starting"):
        read_state(tmp_path)

    with pytest.raises(DevStackError, match=f"in use by process {os.getpid()}"):
        other.take()
    lock.release()
    other.take()
    other.release()


def test_a_scratch_folder_is_removed_when_its_process_is_gone_and_not_before(tmp_path: Path) -> None:
    (tmp_path / "training-dead").mkdir()
    (tmp_path / "training-dead" / "kafka.aot").touch()
    (tmp_path / "kafka.aot").touch()

    with scratch_folder(tmp_path, "training-") as living:
        remove_leftovers(tmp_path, "training-")
        assert _files(tmp_path) == sorted(["kafka.aot", living.name])

    assert _files(tmp_path) == ["kafka.aot"]


def test_half_written_files_are_removed(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "1.jpg").touch()
    (tmp_path / "deep" / "2.part").touch()

    remove_parts(tmp_path)

    assert _files(tmp_path) == ["deep", "deep/1.jpg"]


def test_a_full_disk_is_told_wherever_it_comes_from() -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    forbidden = PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/data/mail")
    wrapped = RuntimeError("wrapped")
    wrapped.__cause__ = full

    assert "disk is full" in str(trouble_with_the_disk(ExceptionGroup("traffic", [wrapped])))
    assert "/data/mail: it cannot be written" in str(trouble_with_the_disk(forbidden))
    assert trouble_with_the_disk(sqlite3.Error("another")) is None


@pytest.fixture
def folder_of_jars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two jars in their place as kafka.lock has them, never checked; the network is away."""
    lock = tmp_path / "kafka.lock"
    folder = tmp_path / "kafka"
    folder.mkdir()
    for name in ("one", "two"):
        (folder / f"{name}-1.jar").write_text(name)
    lines = [f"org:{name}:1 {hashlib.sha256(name.encode()).hexdigest()}\n" for name in ("one", "two")]
    lock.write_text("".join(lines))
    monkeypatch.setattr(jars, "LOCK", lock)

    def away(jar: jars.Jar, scratch: Path) -> Path:
        raise DevStackError(f"{jar.file_name} could not be fetched")

    monkeypatch.setattr(fetch_jars, "_download", away)
    return folder


def test_jars_that_are_there_are_checked_once_and_not_fetched(folder_of_jars: Path) -> None:
    unchecked = [jar.artifact for jar in jars.missing_jars(folder_of_jars)]

    fetch_jars.fetch_missing(folder_of_jars)

    assert unchecked == ["one", "two"]
    assert jars.missing_jars(folder_of_jars) == []


def test_a_jar_that_was_cut_off_is_noticed_and_fetched_again(
    folder_of_jars: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch_jars.fetch_missing(folder_of_jars)
    (folder_of_jars / "two-1.jar").write_text("tw")

    with pytest.raises(DevStackError, match=r"two-1\.jar could not be fetched"):
        fetch_jars.fetch_missing(folder_of_jars)
    (tmp_path / "fetched").write_text("two")
    monkeypatch.setattr(fetch_jars, "_download", lambda jar, scratch: tmp_path / "fetched")
    fetch_jars.fetch_missing(folder_of_jars)

    assert (folder_of_jars / "two-1.jar").read_text() == "two"
    assert jars.missing_jars(folder_of_jars) == []
    assert sorted(path.name for path in folder_of_jars.iterdir()) == ["checked.json", "one-1.jar", "two-1.jar"]


def test_a_jar_of_another_hash_is_never_used(
    folder_of_jars: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder_of_jars / "two-1.jar").unlink()
    (tmp_path / "fetched").write_text("not two")
    monkeypatch.setattr(fetch_jars, "_download", lambda jar, scratch: tmp_path / "fetched")

    with pytest.raises(DevStackError, match="do not use it"):
        fetch_jars.fetch_missing(folder_of_jars)

    assert not (folder_of_jars / "two-1.jar").exists()
