"""How letters are shown, and the pace at which they are sent."""

import pytest

from streams.dead_letter import Letter, Place
from streams.dead_letter_topics import Marked
from streams.dead_letter_views import Newest, letter_as_text
from streams.printable import printable
from streams.records import Record
from streams.redrive import Pace


def pair(offset: int, died: str, value: bytes | None = b"{}") -> Marked:
    headers: list[tuple[str, bytes | None]] = [("tailrace-at", died.encode())]
    return Letter(Place("queue.media.dlq", 0, offset), Record("queue.media", 0, offset, None, value, headers, 0)), None


def test_only_the_newest_are_kept_newest_first() -> None:
    newest = Newest(2)

    newest.add([pair(1, "2026-03-04T12:00:01Z"), pair(2, "2026-03-04T12:00:03Z")])
    newest.add([pair(3, "2026-03-04T12:00:02Z"), pair(4, "2026-03-04T12:00:00Z")])

    assert [found.place for found in newest.sorted()] == ["queue.media.dlq:0:2", "queue.media.dlq:0:3"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b'{"a":1}', '"a": 1'),
        (b"\xff\x00", "base64 /wA="),
        (b"not json \x1b[2J", r"not json \x1b[2J"),
        (None, "(none)"),
        (b'{"a":"\x1b"}', r"\x1b"),
    ],
)
def test_bytes_are_shown_as_json_text_or_base64(value: bytes | None, shown: str) -> None:
    text = letter_as_text(pair(1, "", value))

    assert shown in text
    assert "\x1b" not in text


def test_letters_of_all_languages_are_printable() -> None:
    assert printable("né à 東京\u202e\n") == "né à 東京\\u202e\\n"


class Wrist:
    """A clock that goes on only when somebody sleeps."""

    def __init__(self) -> None:
        self.time = 100.0

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds


async def test_a_pace_is_kept_from_the_second_on_and_a_delay_is_not_made_up_for() -> None:
    wrist = Wrist()
    pace = Pace(10, wrist.monotonic, wrist.sleep)
    times = []

    for number in range(5):
        await pace.wait()
        times.append(round(wrist.time - 100, 3))
        wrist.time += 1 if number == 2 else 0

    assert times == [0, 0.1, 0.2, 1.2, 1.3]
