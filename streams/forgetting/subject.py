"""Who or what is to be forgotten, and how to see that something is about it."""

from dataclasses import dataclass
from typing import Any, Literal

FORGETTING = ("forget_user", "forget_post")
"""The tasks that forget; the ledger keeps that they ran, and for which id."""

DELETIONS = ("user.deleted", "post.deleted")
"""The events that have something forgotten; they say no more than an id."""

NAMES = {"user": ("user_id", "recipient_id", "sender_id", "author_id"), "post": ("post_id",)}
"""Arguments of tasks and fields of events by which one is named."""


@dataclass(frozen=True)
class Subject:
    """A user or a post by its id."""

    kind: Literal["user", "post"]
    id: str

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"

    def is_named_in(self, content: Any) -> bool:
        """Whether a fact, or a command by its arguments, is about it."""
        if not isinstance(content, dict) or content.get("task") in FORGETTING:
            return False
        named = content.get("args", content)
        return isinstance(named, dict) and any(
            name in named and str(named[name]) == self.id for name in NAMES[self.kind]
        )
