"""The names of archived files, which say what must be in them."""

import re
from collections.abc import Sequence

from streams.events_archive.records import Archived, WrongArchive

NAME = re.compile(r"(\d{3,})-(\d{20})-(\d{20})\.[a-z]+")


def file_name(first: Archived, last: Archived, form: str) -> str:
    """The key of the file that holds what lies from ``first`` to ``last`` of a partition."""
    return f"{first.topic}/{first.partition:03}-{first.offset:020}-{last.offset:020}.{form}"


def require_whole(name: str, records: Sequence[Archived]) -> None:
    """Raises ``WrongArchive`` where a file does not hold what its name says. A name of another kind says nothing."""
    match = NAME.fullmatch(name.rpartition("/")[2])
    if match is None:
        return
    partition, first, last = map(int, match.groups())
    held = [record.offset for record in records]
    if not held or (held[0], held[-1]) != (first, last) or {record.partition for record in records} != {partition}:
        begin_and_end = f"it begins at {held[0]} and ends at {held[-1]}" if held else "it holds nothing"
        raise WrongArchive(
            f"{name}: by its name it holds offsets {first} to {last} of partition {partition}, but {begin_and_end}: "
            "it was cut short or changed. Export it again, or take it away"
        )
