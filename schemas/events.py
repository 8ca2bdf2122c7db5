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


Fact = UserCreated | PostUploaded | PostTagged

FACTS: dict[str, type[UserCreated] | type[PostUploaded] | type[PostTagged]] = {
    "user.created": UserCreated,
    "post.uploaded": PostUploaded,
    "post.tagged": PostTagged,
}
"""Event type, which is also the topic's name -> its schema."""
