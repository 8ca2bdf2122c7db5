"""Records survive the way through files, byte for byte, and what is no such file is refused with its place."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from streams.events_archive.exporting import export
from streams.events_archive.importing import import_events
from streams.events_archive.places import place_named
from streams.events_archive.records import Archived, WrongArchive, from_lines, from_parquet, to_lines, to_parquet
from streams.media.local_folder import LocalFolder
from streams.replay.request import WrongReplay
from streams.settings import Settings

RECORDS = [
    Archived(
        "user.created", 0, 7, 1_767_225_600_123, b"7", [("ce_id", b"a"), ("odd", b"\xff\x00"), ("none", None)], b"{}"
    ),
    Archived("user.created", 3, 2**40, 0, None, [], None),
    Archived("user.created", 1, 0, 253_402_300_799_000, b"\xff", [("x", b"")], b"not json \x00"),
]


@pytest.mark.parametrize(("write", "read"), [(to_lines, from_lines), (to_parquet, from_parquet)])
def test_records_come_back_as_they_were(
    write: Callable[[Sequence[Archived]], bytes], read: Callable[[bytes], list[Archived]]
) -> None:
    assert read(write(RECORDS)) == RECORDS
    assert write(RECORDS) == write(RECORDS)


def test_a_record_without_an_id_gets_that_of_its_place() -> None:
    assert RECORDS[0].headers_with_identity("user.created") == RECORDS[0].headers
    assert RECORDS[1].headers_with_identity("user.created") == [
        ("ce_id", b"3:1099511627776"),
        ("ce_source", b"kafka:user.created"),
    ]


@pytest.mark.parametrize(
    ("read", "content", "message"),
    [
        (from_lines, b"{}\n", "line 1 is no record"),
        (from_lines, to_lines(RECORDS) + b"x", "line 4 is no record"),
        (from_parquet, b"PAR1", "no Parquet file"),
    ],
)
def test_what_is_no_such_file_is_refused(read: Callable[[bytes], list[Archived]], content: bytes, message: str) -> None:
    with pytest.raises(WrongArchive, match=message):
        read(content)


@pytest.mark.parametrize(
    ("place", "options", "message"),
    [
        ("ftp://there", {}, "no place; write a folder, or a URL that begins with s3, gs, az://"),
        ("folder", {"region": "x"}, "a folder has none"),
        ("s3://bucket", {"regoin": "x"}, "the nearest is region"),
    ],
)
def test_a_place_that_cannot_be_used_is_refused(place: str, options: dict[str, str], message: str) -> None:
    with pytest.raises(WrongArchive, match=message):
        place_named(place, options)


async def test_what_cannot_be_exported_or_imported_is_refused_with_what_can(tmp_path: Path) -> None:
    settings, place = Settings.load({}), LocalFolder(tmp_path)

    with pytest.raises(WrongReplay, match=r"events cannot be read from 'user.crated'; there are user.created"):
        await export(settings, place, "user.crated", None, None, "jsonl", datetime.now(UTC))
    with pytest.raises(WrongArchive, match=r"no file of user.created lies there"):
        await import_events(settings, place, "user.created")
    with pytest.raises(WrongArchive, match=r"no event type 'user.crated'; there are user.created"):
        await import_events(settings, place, "user.crated")
