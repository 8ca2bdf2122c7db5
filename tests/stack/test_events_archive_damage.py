"""Files that are damaged, cut short or not there are found before anything is imported; exports can be repeated."""

import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from streams.events_archive import exporting
from streams.events_archive.exporting import export
from streams.events_archive.importing import import_events
from streams.media.errors import StorageFailed
from streams.media.local_folder import LocalFolder
from streams.media.storage import Content
from streams.settings import Settings
from streams.topics import create_topics
from tests.commands_here import typed
from tests.events import records_of, user_created
from tests.replays import publish

EVENTS = 60


@pytest.fixture(autouse=True)
async def ground(settings: Settings) -> None:
    await create_topics(settings)
    await publish(settings, [user_created(number) for number in range(EVENTS)])


def cut_in_a_line(content: bytes) -> bytes:
    return content[:-20]


def cut_between_lines(content: bytes) -> bytes:
    return content[: content[:-1].rindex(b"\n") + 1]


def flip_a_bit(content: bytes) -> bytes:
    middle = len(content) // 3
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


DAMAGES: list[tuple[str, Callable[[bytes], bytes], str]] = [
    ("jsonl", cut_in_a_line, "is no record as `tailrace export` writes it"),
    ("jsonl", cut_between_lines, "it was cut short or changed. Export it again, or take it away"),
    ("jsonl", lambda _: b"", "the file is empty"),
    ("parquet", cut_in_a_line, "it is no Parquet file as `tailrace export` writes it"),
    ("parquet", flip_a_bit, "it is no Parquet file as `tailrace export` writes it"),
]


async def test_a_damaged_file_is_named_and_nothing_is_imported_or_cleared(
    settings: Settings, environment: Mapping[str, str], tmp_path: Path
) -> None:
    for form in ("jsonl", "parquet"):
        await export(settings, LocalFolder(tmp_path / form), "user.created", None, None, form, datetime.now(UTC))
    await import_events(settings, LocalFolder(tmp_path / "jsonl"), "user.created")

    for form, damage, message in DAMAGES:
        last = max((tmp_path / form / "user.created").iterdir())
        whole = last.read_bytes()
        last.write_bytes(damage(whole))
        said = await typed(environment, "import", "user.created", str(tmp_path / form), "--clear")
        last.write_bytes(whole)

        assert (said.code, said.out) == (1, "")
        assert f"user.created/{last.name}: " in said.errors and message in said.errors, said
    assert len(await records_of(settings, "user.created.imported")) == EVENTS


async def test_what_is_not_there_or_not_installed_is_said_and_nothing_is_written(
    settings: Settings, environment: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "archive"
    await typed(environment, "export", "user.created", "--out", str(place), "--format", "parquet")
    (tmp_path / "a file").touch()
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    without = [
        await typed(environment, "export", "user.created", "--out", str(tmp_path / "other"), "--format", "parquet"),
        await typed(environment, "import", "user.created", str(place)),
    ]
    missing = await typed(environment, "import", "user.created", str(tmp_path / "nowhere"))
    inner = await typed(environment, "import", "user.created", str(place / "user.created"))
    no_folder = await typed(environment, "export", "user.created", "--out", str(tmp_path / "a file"))

    assert all("install the extra `tailrace[parquet]`" in said.errors for said in without), without
    assert f"there is no folder '{tmp_path / 'nowhere'}'" in missing.errors
    assert "Name the folder or URL that `tailrace export --out` was given" in inner.errors
    assert "Not a directory" in no_folder.errors and "Check that it is a folder" in no_folder.errors
    assert [said.code for said in (*without, missing, inner, no_folder)] == [1] * 5
    assert not (tmp_path / "other").exists()
    assert await records_of(settings, "user.created.imported") == []


class Failing(LocalFolder):
    """A folder on a disk that is full after some files."""

    left = 3

    async def put(self, files: Mapping[str, Content]) -> None:
        if not self.left:
            raise StorageFailed("no space left")
        self.left -= 1
        await super().put(files)


async def test_an_export_that_was_cut_short_is_repeated_as_it_was_and_shares_its_files_with_others(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "IN_A_FILE", 4)
    place, now = LocalFolder(tmp_path / "archive"), datetime.now(UTC)

    with pytest.raises(StorageFailed):
        await export(settings, Failing(tmp_path / "archive"), "user.created", None, None, "jsonl", now)
    part = _files(tmp_path)
    whole = await export(settings, place, "user.created", None, None, "jsonl", now)
    repeated = _files(tmp_path)
    later = await export(settings, place, "user.created", "offset:6", None, "jsonl", now)

    assert len(part) == 3 and part.items() <= repeated.items()
    assert whole.records == EVENTS and len(repeated) == len(whole.files)
    assert len(set(later.files) - set(whole.files)) == 4, "the first of each partition begins within a file"
    assert max(content.count(b"\n") for content in repeated.values()) == 4


def _files(tmp_path: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (tmp_path / "archive" / "user.created").iterdir()}
