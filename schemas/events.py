"""Facts: what happened in the backend, in the past tense, as JSON on the topic of the same name.

Unknown fields are accepted, so that a publisher may be newer than a worker; an unknown ``version`` is not.
Ids are integers or strings, instants RFC 3339 with an offset.
"""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

Id = int | str
Part = Annotated[float, msgspec.Meta(ge=0, le=1)]
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

    ``image`` and ``video`` are keys relative to the media root. ``image_focus`` is the point that crops of the
    picture keep: x and y from its top left, as viewers see it, from 0 to 1.
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
    image_focus: tuple[Part, Part] | None = None
    version: Literal[1] = 1

    @property
    def key(self) -> Id:
        return self.author_id

    @property
    def natural_id(self) -> str:
        """One id for one cause: the post, and the picture and the video that are attached."""
        return "post.uploaded:" + ":".join([str(self.post_id), *filter(None, (self.image, self.video))])

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


class AssetRendition(msgspec.Struct, frozen=True):
    """A file that was made of a picture or video; ``key`` is relative to the media root, ``bytes`` its length."""

    variant: str
    key: str
    width: int
    height: int
    bytes: int
    format: str
    recipe: str


class AssetReady(msgspec.Struct, kw_only=True, frozen=True):
    """A post's picture or video is ready to be shown. Key: the post's id. Tailrace says it, for the backend.

    ``source`` is its key relative to the media root; ``width`` and ``height`` are the original's, as a viewer sees
    it, and ``digest`` names its content. ``blurhash`` and ``colour`` (#rrggbb) can be shown until a file is there.
    """

    post_id: Id
    source: str
    kind: Literal["image", "video"]
    format: str
    digest: str
    width: int
    height: int
    blurhash: str
    colour: str
    renditions: list[AssetRendition]
    ready_at: Instant
    duration_ms: int | None = None
    version: Literal[1] = 1

    @property
    def key(self) -> Id:
        return self.post_id

    @property
    def natural_id(self) -> str:
        """One id for the same files of the same post, however often they are made."""
        recipes = ",".join(sorted({rendition.recipe for rendition in self.renditions}))
        return f"asset.ready:{self.post_id}:{self.digest}:{recipes}"

    @property
    def occurred_at(self) -> datetime:
        return self.ready_at


Fact = UserCreated | PostUploaded | PostTagged | UserDeleted | PostDeleted

FACTS: dict[str, type[Fact]] = {
    "user.created": UserCreated,
    "post.uploaded": PostUploaded,
    "post.tagged": PostTagged,
    "user.deleted": UserDeleted,
    "post.deleted": PostDeleted,
}
"""Event type, which is also the topic's name -> its schema."""

ANNOUNCEMENTS: dict[str, type[AssetReady]] = {"asset.ready": AssetReady}
"""What Tailrace says itself, for the backend: event type, also the topic's name -> its schema. No worker reads it."""
