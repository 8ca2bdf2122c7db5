"""Who or what is to be forgotten, and how to see that something is about it."""

from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["user", "post"]

FORGETTING = ("forget_user", "forget_post")
"""The tasks that forget; the ledger keeps that they ran, and for which id."""

DELETIONS = ("user.deleted", "post.deleted")
"""The events that have something forgotten; they say no more than an id."""

NAMES: dict[str, Kind] = {
    "user_id": "user",
    "recipient_id": "user",
    "sender_id": "user",
    "author_id": "user",
    "post_id": "post",
}
"""Arguments of tasks and fields of events by which one is named, and what they name."""


@dataclass(frozen=True)
class Subject:
    """A user or a post by its id."""

    kind: Kind
    id: str

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


def named_in(content: Any) -> set[Subject]:
    """Whom a fact, or a command by its arguments, is about. A command to forget somebody is about nobody."""
    if not isinstance(content, dict) or content.get("task") in FORGETTING:
        return set()
    named = content.get("args", content)
    if not isinstance(named, dict):
        return set()
    return {Subject(kind, str(named[name])) for name, kind in NAMES.items() if name in named}
