"""The settings of what the tasks do: mail, media, and limits of single tasks."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from streams import setting_checks as check
from streams.setting_groups import Duration, Group


class Smtp(Group):
    url: Annotated[str, AfterValidator(check.checked_mail_url)] = "smtp://127.0.0.1:25"
    sender: Annotated[str, AfterValidator(check.checked_sender)] = "Tailrace <hello@tailrace.example>"
    timeout: Duration = timedelta(seconds=20)


class Media(Group):
    root: Path = Path("media")
    max_bytes: int = Field(16_000_000, ge=1)
    max_pixels: int = Field(25_000_000, ge=1)
    processes: int = Field(2, ge=1, le=64)
    timeout: Duration = Field(timedelta(seconds=30), description="processor time of one picture")
    max_memory_mb: int = Field(1024, ge=256, description="address space of one process that decodes")


class Tasks(Group):
    welcome_max_age: Duration = timedelta(hours=48)
