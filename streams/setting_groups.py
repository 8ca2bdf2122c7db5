"""The settings of how Tailrace runs: servers, workers, ledger, schedules, trends, the backend's tables, logs."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from streams import setting_checks as check
from streams.durations import parse_duration

Duration = Annotated[timedelta, BeforeValidator(parse_duration), AfterValidator(check.checked_positive)]
DatabaseUrl = Annotated[str, AfterValidator(check.checked_database_url)]


IS_SECRET: JsonDict = {"secret": True}
"""Extra of a field whose value is never shown, nor quoted in an error."""


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
    password: str | None = Field(None, json_schema_extra=IS_SECRET)
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


class Http(Group):
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535, description="0 takes a free one")
    public_url: str | None = None
    token: str | None = Field(
        None,
        min_length=16,
        description="bearer token of programs that may change something",
        json_schema_extra=IS_SECRET,
    )
    events_per_second: int = Field(1000, ge=1, description="that a server takes in; twice as many at once")
    max_body: int = Field(1_000_000, ge=1024, le=64_000_000, description="bytes of one request with events")


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


class Replay(Group):
    window: int = Field(200, ge=1, le=1000, description="runs of one replay that are open at once, at most")
    max_live_growth: float = Field(
        1.15, gt=1, description="a replay may make live work wait so many times as long to start as it waits without"
    )
    max_live_lag: Duration = Field(
        timedelta(milliseconds=250),
        description="live work that waits longer to start makes a replay slower in any case",
    )


class Trending(Group):
    block: int = Field(100_000, ge=1_000, description="offsets that one block of memory spans")
    flush: Duration = timedelta(milliseconds=500)
    max_batch: int = Field(200_000, ge=1, description="events counted and not stored before counting pauses")
    archive_after: Duration = timedelta(minutes=2)
    half_life: Duration = Field(timedelta(hours=2), description="in which a peak of a tag is worth half")
    snapshot_tags: int = Field(50, ge=1, le=200, description="tags of an hour's snapshot, and hashtags marked by it")
    snapshot_keep: Duration = Field(timedelta(days=400), description="snapshots of older hours are deleted")


class Backend(Group):
    """The backend's tables: their schema, and the names that differ from the defaults of ``schemas.backend``."""

    db_schema: str = "public"
    source: str = "/backend"
    keys: Literal["bigint", "uuid"] = Field("bigint", description="type of the primary keys")
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
