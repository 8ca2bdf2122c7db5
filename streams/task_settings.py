"""The settings of what the tasks do: mail, media, and limits of single tasks."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from streams import setting_checks as check
from streams.setting_groups import IS_SECRET, Duration, Group


class Smtp(Group):
    url: Annotated[str, AfterValidator(check.checked_mail_url)] = "smtp://127.0.0.1:25"
    sender: Annotated[str, AfterValidator(check.checked_sender)] = "Tailrace <hello@tailrace.example>"
    timeout: Duration = timedelta(seconds=20)
    connections: int = Field(8, ge=1, le=200, description="open at once")
    idle: Duration = Field(timedelta(seconds=20), description="a connection without a mail for so long is closed")
    mails_per_connection: int = Field(100, ge=1)
    rate: float = Field(0, ge=0, description="mails a second of one worker; 0: as many as it can")
    dkim_key_file: Annotated[Path, AfterValidator(check.checked_file)] | None = None
    dkim_selector: str = Field("tailrace", pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$")


class Mails(Group):
    """What mails say, and how their readers and the mail provider answer."""

    templates: Annotated[Path, AfterValidator(check.checked_folder)] | None = None
    locale: str = Field("en", pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$", description="of who has none")
    post_url: Annotated[str, AfterValidator(check.checked_post_url)] | None = None
    secret: Annotated[str, AfterValidator(check.checked_secrets)] | None = Field(None, json_schema_extra=IS_SECRET)
    webhook_secret: Annotated[str, AfterValidator(check.checked_secrets)] | None = Field(
        None, json_schema_extra=IS_SECRET
    )


class Media(Group):
    """Where pictures are, and how far a process that decodes one may go. Options without a store are refused."""

    root: Path = Path("media")
    storage: Annotated[str, AfterValidator(check.checked_storage_url)] | None = Field(
        None, description="s3://bucket/prefix, gs:// or az://, instead of the folder"
    )
    storage_options: dict[str, str] = Field(
        default_factory=dict,
        description='JSON, e.g. {"endpoint": "https://...", "region": "..."}',
        json_schema_extra=IS_SECRET,
    )
    scratch: Path | None = Field(None, description="folder for files under way; by default the system's")
    max_bytes: int = Field(16_000_000, ge=1)
    max_pixels: int = Field(25_000_000, ge=1)
    avif: bool = Field(False, description="renditions in AVIF, too")
    max_frames: int = Field(300, ge=1, description="of a picture that moves; one with more stands still")
    max_moving_pixels: int = Field(60_000_000, ge=0, description="of all frames of a picture that moves")
    video_max_bytes: int = Field(500_000_000, ge=1)
    video_max_length: Duration = timedelta(minutes=10)
    video_max_pixels: int = Field(9_000_000, ge=1, description="of a frame")
    video_max_frames: int = Field(40_000, ge=1)
    video_timeout: Duration = Field(timedelta(minutes=10), description="processor time of one video")
    processes: int = Field(2, ge=1, le=64)
    timeout: Duration = Field(timedelta(seconds=30), description="processor time of one picture")
    max_memory_mb: int = Field(1024, ge=256, description="address space of one process that decodes")

    @model_validator(mode="after")
    def _storage_is_complete(self) -> Self:
        if self.storage_options and not self.storage:
            raise ValueError("TAILRACE_MEDIA__STORAGE_OPTIONS needs TAILRACE_MEDIA__STORAGE")
        if self.storage:
            from streams.media.object_store import ObjectStore  # noqa: PLC0415 - a library, only where it is needed

            ObjectStore.at(self.storage, self.storage_options)
        return self


class Tasks(Group):
    welcome_max_age: Duration = timedelta(hours=48)
    digest_active_within: Duration = Field(timedelta(days=7), description="since the last login")
    digest_per_second: int = Field(50, ge=1, description="digests that are due together are spread at this pace")


class Cleanup(Group):
    """What is deleted, and after how long."""

    inactive_after: Duration = Field(timedelta(days=30), description="without a sign of life, a user's sessions go")
    refresh_tokens_keep: Duration = Field(timedelta(days=30), description="of graphql_jwt; older ones have expired")
    notifications_keep: Duration = Field(timedelta(days=30), description="read ones that are older go")
    old_posts_enabled: bool = Field(False, description="until then, old posts are listed and stay")
    old_posts_age: Duration = Field(timedelta(days=365), description="younger posts stay")
    old_posts_max_views: int = Field(10, ge=0, description="posts with so many views or more stay")
    old_posts_max_share: float = Field(0.05, gt=0, le=1, description="of all posts; if more match, none is deleted")
    take_along: str = Field("", description="unknown tables whose rows are deleted with a post, with commas between")
    deleted_posts_keep: Duration = Field(timedelta(days=30), description="deleted posts are purged after so long")

    old_renditions_keep: Annotated[Duration, AfterValidator(check.checked_old_renditions_keep)] = Field(
        timedelta(days=7), description="files whose place others have taken stay for so long, for pages that show them"
    )

    @property
    def tables_taken_along(self) -> list[str]:
        """The names in ``take_along``."""
        return [name.strip() for name in self.take_along.split(",") if name.strip()]
