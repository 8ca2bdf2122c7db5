"""Settings, all from environment variables ``TAILRACE_<GROUP>__<NAME>``, checked at start.

A wrong value or an unknown name stops the program with a message that says what is allowed. The groups are in
``streams.setting_groups`` (how it runs) and ``streams.task_settings`` (what the tasks do).
"""

import difflib
import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from streams.setting_groups import (
    IS_SECRET,
    Backend,
    Database,
    Group,
    Http,
    Kafka,
    Ledger,
    Log,
    Replay,
    Schedules,
    Trending,
    Worker,
)
from streams.task_settings import Cleanup, Mails, Media, Smtp, Tasks

PREFIX = "TAILRACE_"


class SettingsError(Exception):
    """A setting is wrong; the message names it, its value and what is allowed."""


class Settings(Group):
    """Everything that can be set. Read it once at start with ``Settings.load()``."""

    kafka: Kafka = Kafka()
    database: Database = Database()
    smtp: Smtp = Smtp()
    mail: Mails = Mails()
    media: Media = Media()
    http: Http = Http()
    worker: Worker = Worker()
    ledger: Ledger = Ledger()
    schedules: Schedules = Schedules()
    replay: Replay = Replay()
    trending: Trending = Trending()
    tasks: Tasks = Tasks()
    cleanup: Cleanup = Cleanup()
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


def _secrets() -> frozenset[str]:
    return frozenset(
        name for name, (group, field) in FIELDS.items() if _info(group, field).json_schema_extra == IS_SECRET
    )


def _info(group: str, field: str) -> FieldInfo:
    return cast(type[Group], Settings.model_fields[group].annotation).model_fields[field]


SECRETS = _secrets()
"""The variables whose values are never shown."""


def _unknown(name: str) -> str:
    nearest = difflib.get_close_matches(name, FIELDS, n=1, cutoff=0)
    return f"{name} is not a setting; the nearest is {nearest[0]}. `tailrace settings` lists them all."


JSON_OBJECTS = (dict[str, str], dict[str, int])
JSON_EXAMPLES = {
    "queue_concurrency": '{"maintenance": 2}',
    "storage_options": '{"endpoint": "https://...", "region": "..."}',
    "tables": '{"users": "accounts_user"}',
}


def _parsed(name: str, value: str) -> Any:
    group, field = FIELDS[name]
    if _info(group, field).annotation not in JSON_OBJECTS:
        return value
    try:
        return json.loads(value)
    except ValueError:
        shown, example = "***" if name in SECRETS else repr(value), JSON_EXAMPLES.get(field, JSON_EXAMPLES["tables"])
        raise SettingsError(f"{name}={shown}: a JSON object is expected, e.g. {example}") from None


def _explained(error: ValidationError) -> Iterator[str]:
    for problem in error.errors():
        message = problem["msg"].removeprefix("Value error, ")
        if len(problem["loc"]) < 2:  # of a whole group, whose values are not shown: a password may be among them
            yield f"{PREFIX}{str(problem['loc'][0]).upper()}__...: {message}"
            continue
        place = "__".join(str(part) for part in problem["loc"][:2]).upper()
        value = "***" if PREFIX + place in SECRETS else without_password(repr(problem["input"]))
        yield f"{PREFIX}{place}={value}: {message}"


def without_password(address: str) -> str:
    """The address as it may be shown and logged: what stands between the user's name and the host is hidden."""
    hidden = re.sub(r"((?:^|['\"])[^:/@]*:(?!//)|//[^:/@]*:).*@", r"\1***@", address)
    return re.sub(r"(password=)[^&'\"\s]*", r"\1***", hidden)
