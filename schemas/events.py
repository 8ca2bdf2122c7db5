"""Facts: what happened in the backend, in the past tense, as JSON on the topic of the same name.

Unknown fields are accepted, so that a publisher may be newer than a worker; an unknown ``version`` is not.
Ids are integers or strings, instants RFC 3339 with an offset.
"""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

Id = int | str
Instant = Annotated[datetime, msgspec.Meta(tz=True)]
Visibility = Literal["public", "followers", "private"]


class UserCreated(msgspec.Struct, kw_only=True, frozen=True):
    """A user signed up. Key: the user's id."""

    user_id: Id
    email: str
    username: str
    created_at: Instant
    first_name: str | None = None
    locale: str | None = None
    time_zone: str | None = None
    version: Literal[1] = 1

    @property
    def key(self) -> Id:
        return self.user_id

    @property
    def natural_id(self) -> str:
        return f"user.created:{self.user_id}"

    @property
    def occurred_at(self) -> datetime:
        return self.created_at


class PostUploaded(msgspec.Struct, kw_only=True, frozen=True):
    """A post was published, or its picture or video was attached. Key: the author's id.

    ``image`` and ``video`` are keys relative to the media root.
    """

    post_id: Id
    author_id: Id
    created_at: Instant
    visibility: Visibility
    image: str | None = None
    video: str | None = None
    hashtags: list[str] | None = None
    text: str | None = None
    language: str | None = None
    version: Literal[1] = 1

    @property
    def key(self) -> Id:
        return self.author_id

    @property
    def natural_id(self) -> str:
        """One id for one cause: the post, and the picture where one is attached."""
        media = self.image or self.video
        return f"post.uploaded:{self.post_id}" + (f":{media}" if media else "")

    @property
    def occurred_at(self) -> datetime:
        return self.created_at


class PostTagged(msgspec.Struct, kw_only=True, frozen=True):
    """Tags of a post that its ``post.uploaded`` did not know. Key: the author's id."""

    post_id: Id
    author_id: Id
    created_at: Instant
    visibility: Visibility
    hashtags: list[str]
    version: Literal[1] = 1

    @property
    def key(self) -> Id:
        return self.author_id

    @property
    def natural_id(self) -> str:
        return f"post.tagged:{self.post_id}:" + ",".join(sorted(self.hashtags))

    @property
    def occurred_at(self) -> datetime:
        return self.created_at


class UserDeleted(msgspec.Struct, kw_only=True, frozen=True):
    """A user is gone for good, by a person's will or the backend's. Key: the user's id.

    It says nothing else of the user: what Tailrace keeps of one goes by the id.
    """

    user_id: Id
    deleted_at: Instant
    version: Literal[1] = 1

    @property
    def key(self) -> Id:
        return self.user_id

    @property
    def natural_id(self) -> str:
        return f"user.deleted:{self.user_id}"

    @property
    def occurred_at(self) -> datetime:
        return self.deleted_at


class PostDeleted(msgspec.Struct, kw_only=True, frozen=True):
    """A post is gone. Key: the author's id, so that it comes after the post's other events."""

    post_id: Id
    author_id: Id
    deleted_at: Instant
    version: Literal[1] = 1

    @property
    def key(self) -> Id:
        return self.author_id

    @property
    def natural_id(self) -> str:
        return f"post.deleted:{self.post_id}"

    @property
    def occurred_at(self) -> datetime:
        return self.deleted_at


Fact = UserCreated | PostUploaded | PostTagged | UserDeleted | PostDeleted

FACTS: dict[str, type[Fact]] = {
    "user.created": UserCreated,
    "post.uploaded": PostUploaded,
    "post.tagged": PostTagged,
    "user.deleted": UserDeleted,
    "post.deleted": PostDeleted,
}
"""Event type, which is also the topic's name -> its schema."""
