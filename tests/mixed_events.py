"""What a backend says in a day, mixed: users and posts of every kind, with the rows and pictures that they are about,
and what must come of them.
"""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.envelope import Headers
from schemas.events import Fact
from streams.kafka_client import full_name, producer_for
from streams.publisher import record_of
from streams.settings import Settings
from tests.backend import BACKEND, photo
from tests.events import post_uploaded, user_created

Raw = tuple[str, bytes | None, bytes | None, Headers, int]
"""Topic, key, value, headers and timestamp of a record."""

UNDECODABLE = (b"no JSON", b'{"user_id": 1, "post_id": 1}', None)

SPOILT, TWICE, AGES = 3, (4, 5), {2: timedelta(days=900), 6: timedelta(days=20)}
"""Of twenty events one cannot be decoded, two are said twice, one is older than the ledger and one is late. Of twenty
users and posts nobody knows the first; the second user has been there for long, and the eighth picture is none.
"""

LONG_A_USER = timedelta(days=3)
WELCOME, MEDIA = "send_welcome_email", "process_media_upload"
AUTHOR = 8
"""A user who is there."""


@dataclass
class Day:
    """``records`` in the order in which they are published, and the backend's rows. The rest must come of them:
    ``runs`` by task and state, so many ``letters``, and what a replay counts of each topic (``commands``, ``spoilt``).
    """

    records: list[Raw] = field(default_factory=list)
    users: list[dict[str, Any]] = field(default_factory=list)
    posts: list[dict[str, Any]] = field(default_factory=list)
    runs: Counter[tuple[str, str]] = field(default_factory=Counter)
    commands: Counter[tuple[str, str]] = field(default_factory=Counter)
    spoilt: Counter[str] = field(default_factory=Counter)

    @property
    def letters(self) -> int:
        """Dead letters of facts, and of commands that the ledger cannot know."""
        return self.spoilt.total() + sum(count for (_, fate), count in self.commands.items() if fate == "too_old")

    def say(self, fact: Fact, times: int = 1) -> None:
        self.records += [record_of(fact, datetime.now(UTC))] * times

    def spoil(self, topic: str, number: int) -> None:
        """A record that nobody can decode."""
        now = int(datetime.now(UTC).timestamp() * 1000)
        self.records.append((topic, str(number).encode(), UNDECODABLE[number % len(UNDECODABLE)], [], now))
        self.spoilt[topic] += 1

    def expect(self, task: str, state: str | None, times: int = 1) -> None:
        """The task runs once, however often the event is said; without a state, it is refused."""
        self.commands[task, "done" if state else "too_old"] += times
        if state:
            self.runs[task, state] += 1


def a_day(count: int, pictures: int, root: Path) -> Day:
    """``count`` events or some more, every second about a post; the first posts have pictures."""
    day, rng = Day(), random.Random(7)
    for number in range(count // 2):
        if number % 20 == SPOILT:
            day.spoil("user.created", number)
            day.spoil("post.uploaded", number)
        else:
            _user(day, number)
            _post(day, number, number < pictures, root)
    rng.shuffle(day.records)
    return day


def _user(day: Day, number: int) -> None:
    kind, now = number % 20, datetime.now(UTC)
    times = 2 if kind in TWICE else 1
    day.say(user_created(number, created_at=now - AGES.get(kind, timedelta())), times)
    day.expect(WELCOME, {0: "skipped", 1: "skipped", 2: None}.get(kind, "done"), times)
    if kind:
        joined = now - LONG_A_USER if kind == 1 else now
        name, address = f"u{number}", f"u{number}@example.org"
        day.users.append({"id": number, "username": name, "email": address, "date_joined": joined, "is_active": True})


def _post(day: Day, number: int, has_picture: bool, root: Path) -> None:
    kind, now = number % 20, datetime.now(UTC)
    key = f"posts/{number}.jpg" if has_picture and kind != 1 else None
    times = 2 if kind in TWICE else 1
    said_at = now - AGES.get(kind, timedelta())
    tags = [f"tag{number % 7}", f"#Tag{kind}"]
    day.say(post_uploaded(number, AUTHOR, *tags, image=key, created_at=said_at), times)
    if key:
        photo(root, key, (60 + number % 9, 40))
        if kind == 7:
            (root / key).write_bytes(b"no picture at all")
        day.expect(MEDIA, {0: "skipped", 2: None, 7: "skipped"}.get(kind, "done"), times)
    if kind:
        row = {"id": number, "author_id": AUTHOR, "content": "look", "image": key, "visibility": "public"}
        day.posts.append({**row, "created_at": said_at, "updated_at": said_at})


async def fill_backend(engine: AsyncEngine, day: Day) -> None:
    """The rows that the events are about."""
    async with engine.begin() as connection:
        await connection.execute(insert(BACKEND.users), day.users)
        await connection.execute(insert(BACKEND.posts), day.posts)


async def publish_day(settings: Settings, day: Day) -> None:
    """All of it, in order."""
    producer, under_way = producer_for(settings.kafka, linger_ms=5), []
    await producer.start()
    try:
        for topic, key, value, headers, timestamp in day.records:
            name = full_name(settings.kafka, topic)
            under_way.append(await producer.send(name, value, key=key, headers=headers, timestamp_ms=timestamp))
        await asyncio.gather(*under_way)
    finally:
        await producer.stop()
