"""Settings, all from environment variables ``TAILRACE_<GROUP>__<NAME>``, checked at start.

A wrong value or an unknown name stops the program with a message that says what is allowed.
"""

import difflib
import json
import os
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from streams import setting_checks as check
from streams.durations import parse_duration

PREFIX = "TAILRACE_"
Duration = Annotated[timedelta, BeforeValidator(parse_duration), AfterValidator(check.checked_positive)]
DatabaseUrl = Annotated[str, AfterValidator(check.checked_database_url)]


class SettingsError(Exception):
    """A setting is wrong; the message names it, its value and what is allowed."""


class Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Kafka(Group):
    """Where the brokers are, and how we log in. With SASL, user and password are needed."""

    bootstrap_servers: Annotated[str, AfterValidator(check.checked_servers)] = "127.0.0.1:9092"
    topic_prefix: str = Field("", pattern=r"^[A-Za-z0-9._-]*$", description="put before every topic and group")
    replication_factor: int = Field(1, ge=1)
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    username: str | None = None
    password: str | None = None
    ca_file: Annotated[Path, AfterValidator(check.checked_file)] | None = None

    @model_validator(mode="after")
    def _login_is_complete(self) -> Self:
        if self.security_protocol.startswith("SASL") and not (self.username and self.password):
            raise ValueError(
                "TAILRACE_KAFKA__SECURITY_PROTOCOL with SASL needs TAILRACE_KAFKA__USERNAME "
                "and TAILRACE_KAFKA__PASSWORD"
            )
        return self


class Database(Group):
    url: DatabaseUrl = "postgresql://127.0.0.1:5432/postgres"
    direct_url: DatabaseUrl | None = Field(None, description="beside a pooler")
    pool_size: int = Field(10, ge=2, le=200)


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


class Http(Group):
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535, description="0 takes a free one")
    public_url: str | None = None


class Worker(Group):
    name: str | None = None
    queues: Annotated[str, AfterValidator(check.checked_queues)] = Field("", description="served; empty: all")
    concurrency: int = Field(16, ge=1, le=1000, description="runs at once, of all queues together")
    queue_concurrency: Annotated[dict[str, int], AfterValidator(check.checked_queue_concurrency)] = Field(
        default_factory=dict, description='runs at once of single queues, JSON, e.g. {"maintenance": 2}'
    )
    pause_after_dead: int = Field(100, ge=0, description="dead runs in a row that pause their queue; 0: never")
    port: int = Field(8001, ge=0, le=65535, description="health and metrics; 0 takes a free one")
    lease: Duration = timedelta(seconds=15)
    max_unacknowledged: int = Field(1000, ge=1)
    stop_deadline: Duration = timedelta(seconds=10)
    data: Path | None = Field(None, description="folder for what Faust keeps; a temporary one by default")


class Ledger(Group):
    keep: Annotated[Duration, AfterValidator(check.checked_keep)] = Field(
        timedelta(days=400), description="months older than this are dropped"
    )
    sweep_after: Duration = Field(
        timedelta(minutes=10), description="overdue for so long, a waiting run is put on its queue again"
    )


class Schedules(Group):
    grace: Duration = Field(timedelta(minutes=1), description="an instant later than this has been missed")


class Trending(Group):
    block: int = Field(100_000, ge=1_000, description="offsets that one block of memory spans")
    flush: Duration = timedelta(milliseconds=500)
    max_batch: int = Field(200_000, ge=1, description="events counted and not stored before counting pauses")
    archive_after: Duration = timedelta(minutes=2)


class Tasks(Group):
    welcome_max_age: Duration = timedelta(hours=48)


class Backend(Group):
    """The backend's tables: their schema, and the names that differ from the defaults of ``schemas.backend``."""

    db_schema: str = "public"
    source: str = "/backend"
    tables: dict[str, str] = Field(default_factory=dict, description='JSON, e.g. {"users": "accounts_user"}')
    columns: dict[str, str] = Field(default_factory=dict, description='JSON, e.g. {"users.email": "mail"}')

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        if self.tables or self.columns:
            from schemas.backend import backend_tables  # noqa: PLC0415 - SQLAlchemy, only where it is needed

            backend_tables(self.db_schema, self.tables, self.columns)
        return self


class Log(Group):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["console", "json"] = "console"


class Settings(Group):
    """Everything that can be set. Read it once at start with ``Settings.load()``."""

    kafka: Kafka = Kafka()
    database: Database = Database()
    smtp: Smtp = Smtp()
    media: Media = Media()
    http: Http = Http()
    worker: Worker = Worker()
    ledger: Ledger = Ledger()
    schedules: Schedules = Schedules()
    trending: Trending = Trending()
    tasks: Tasks = Tasks()
    backend: Backend = Backend()
    log: Log = Log()

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Settings from the environment. Raises ``SettingsError`` that names every wrong one."""
        found = {k: v for k, v in (os.environ if environ is None else environ).items() if k.startswith(PREFIX)}
        wrong = [_unknown(name) for name in sorted(found) if name not in FIELDS]
        if wrong:
            raise SettingsError("\n".join(wrong))
        groups: dict[str, dict[str, Any]] = {}
        for name, value in found.items():
            group, field = FIELDS[name]
            groups.setdefault(group, {})[field] = _parsed(name, value)
        try:
            return cls.model_validate(groups)
        except ValidationError as error:
            # Not `from error`: its text holds the values as they are, passwords included.
            raise SettingsError("\n".join(_explained(error))) from None


def _fields() -> dict[str, tuple[str, str]]:
    return {
        f"{PREFIX}{group.upper()}__{name.upper()}": (group, name)
        for group, info in Settings.model_fields.items()
        for name in cast(type[Group], info.annotation).model_fields
    }


FIELDS = _fields()
"""Name of the environment variable -> group and field."""


def _unknown(name: str) -> str:
    nearest = difflib.get_close_matches(name, FIELDS, n=1, cutoff=0)
    return f"{name} is not a setting; the nearest is {nearest[0]}. `tailrace settings` lists them all."


JSON_OBJECTS = (dict[str, str], dict[str, int])


def _parsed(name: str, value: str) -> Any:
    group, field = FIELDS[name]
    if cast(type[Group], Settings.model_fields[group].annotation).model_fields[field].annotation not in JSON_OBJECTS:
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        example = '{"maintenance": 2}' if field == "queue_concurrency" else '{"users": "accounts_user"}'
        raise SettingsError(f"{name}={value!r}: a JSON object is expected, e.g. {example}") from error


def _explained(error: ValidationError) -> Iterator[str]:
    for problem in error.errors():
        message = problem["msg"].removeprefix("Value error, ")
        if len(problem["loc"]) < 2:  # of a whole group, whose values are not shown: a password may be among them
            yield f"{PREFIX}{str(problem['loc'][0]).upper()}__...: {message}"
            continue
        place = "__".join(str(part) for part in problem["loc"][:2]).upper()
        yield f"{PREFIX}{place}={without_password(repr(problem['input']))}: {message}"


def without_password(address: str) -> str:
    """The address as it may be shown and logged: what stands between the user's name and the host is hidden."""
    hidden = re.sub(r"((?:^|['\"])[^:/@]*:(?!//)|//[^:/@]*:).*@", r"\1***@", address)
    return re.sub(r"(password=)[^&'\"\s]*", r"\1***", hidden)
