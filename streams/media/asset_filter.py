"""Which assets are meant: conditions such as ``status=failed``, from a fixed list, so that no text becomes SQL."""

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from streams.instants import parse_past
from streams.media.recipe import AVIF, VIDEO, WEBP

FORM = re.compile(r"^\s*(\w+)\s*(!=|>=|=|<)\s*(.+?)\s*$")
EXAMPLE = "status=failed, kind=video, recipe=outdated or updated<7d"
OUTDATED = "outdated"

FIELDS = {
    "status": "asset.status",
    "kind": "asset.kind",
    "format": "asset.format",
    "post": "asset.post_id",
    "source": "asset.source",
    "error": "asset.error",
    "recipe": "",
    "updated": "asset.updated_at",
}
VALUES = {"status": ("queued", "processing", "ready", "failed"), "kind": ("image", "video")}

# Made by a recipe, all or in part.
MADE_BY = """EXISTS (SELECT FROM tailrace.media_renditions AS made WHERE made.post_id = asset.post_id
    AND made.source = asset.source AND made.recipe = :{name})"""

# Ready, and not by today's recipes alone, or not in every format of today.
IS_OUTDATED = """(asset.status = 'ready' AND (SELECT bool_or(made.recipe <> ALL(:{name}))
    OR count(DISTINCT made.recipe) FILTER (WHERE made.recipe = ANY(:{name}_formats)) < cardinality(:{name}_formats)
    FROM tailrace.media_renditions AS made WHERE made.post_id = asset.post_id AND made.source = asset.source))"""


class WrongCondition(ValueError):
    """It says nothing that we know; the message names what there is."""


@dataclass
class Condition:
    """SQL on ``asset`` with its parameters; all conditions of a list hold."""

    sql: list[str] = field(default_factory=list)
    parameters: dict[str, Any] = field(default_factory=dict)

    @property
    def where(self) -> str:
        """Never empty."""
        return " AND ".join(self.sql) or "true"


def conditions_of(texts: Sequence[str], avif: bool, now: Callable[[], datetime]) -> Condition:
    """Raises ``WrongCondition``."""
    condition = Condition()
    for number, text in enumerate(texts):
        found = FORM.match(text)
        if not found:
            raise WrongCondition(f"{text!r} is no condition; write e.g. {EXAMPLE}")
        _add(condition, f"value{number}", found[1], found[2], found[3], avif, now)
    return condition


def _add(
    condition: Condition, name: str, what: str, how: str, value: str, avif: bool, now: Callable[[], datetime]
) -> None:
    if what not in FIELDS:
        nearest = difflib.get_close_matches(what, FIELDS, n=1, cutoff=0)[0]
        raise WrongCondition(f"there is no field {what!r}, the nearest is {nearest}; there are {', '.join(FIELDS)}")
    if (how in ("<", ">=")) != (what == "updated"):
        raise WrongCondition(f"{what}{how}: `updated` takes < and >=, everything else = and !=; e.g. {EXAMPLE}")
    if value not in VALUES.get(what, (value,)):
        raise WrongCondition(f"{what} is one of {', '.join(VALUES[what])}, not {value!r}")
    if what == "recipe":
        _add_recipe(condition, name, how, value, avif)
    elif what == "updated":
        condition.sql.append(f"{FIELDS[what]} {how} :{name}")
        condition.parameters[name] = _moment(value, now())
    else:
        condition.sql.append(f"{FIELDS[what]} IS {'NOT ' if how == '=' else ''}DISTINCT FROM :{name}")
        condition.parameters[name] = value


def _add_recipe(condition: Condition, name: str, how: str, value: str, avif: bool) -> None:
    sql = (IS_OUTDATED if value == OUTDATED else MADE_BY).format(name=name)
    condition.sql.append(f"NOT {sql}" if how == "!=" else sql)
    condition.parameters[name] = value
    if value == OUTDATED:
        formats = [encoding.name for encoding in ((WEBP, AVIF) if avif else (WEBP,))]
        condition.parameters |= {name: [*formats, VIDEO], f"{name}_formats": formats}


def _moment(value: str, now: datetime) -> datetime:
    try:
        return parse_past(value, now).astimezone(UTC)
    except ValueError as error:
        raise WrongCondition(f"updated: {error}") from error
