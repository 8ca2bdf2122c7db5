"""A question to a view, checked, and its answer as programs read it."""

from typing import Any, NamedTuple

import msgspec

from streams.trending.answers import Answer
from streams.trending.ranking import TREND_WINDOWS
from streams.trending.surprise import Trend
from streams.trending.view import View
from streams.trending.windows import WINDOWS

RANKS = ("count", "trending")


class WrongQuestion(ValueError):
    """There is no such list; the message says which there are."""


class Question(NamedTuple):
    """Which list, and how much of it. Made by ``checked``."""

    window: str
    rank: str
    limit: int

    @classmethod
    def checked(cls, window: str, rank: str, limit: int) -> "Question":
        """The question. Raises ``WrongQuestion``."""
        for name, value, choices in (("rank", rank, RANKS), ("window", window, tuple(WINDOWS))):
            if value not in choices:
                raise WrongQuestion(f"{name}={value!r} is not offered; one of {', '.join(choices)}")
        if rank == "trending" and window not in TREND_WINDOWS:
            offered = ", ".join(TREND_WINDOWS)
            raise WrongQuestion(f"rank=trending compares whole hours: it goes with window={offered}, not with {window}")
        return cls(window, rank, limit)


def ask(view: View, question: Question) -> Answer:
    """What the view says."""
    by_rank = view.trending if question.rank == "trending" else view.top
    return by_rank(question.window, question.limit)


def as_plain(answer: Answer) -> dict[str, Any]:
    """The answer of ``GET /api/v1/trends/tags``."""
    shown: dict[str, Any] = {
        "window": answer.window,
        "rank": answer.rank,
        "as_of": answer.as_of,
        "complete": answer.complete,
        "from": answer.start,
        "to": answer.end,
    }
    if answer.half_life is None:
        return {**shown, "tags": [{"tag": tag, "uses": uses} for tag, uses in answer.tags]}
    return {**shown, "half_life_s": answer.half_life.total_seconds(), "tags": [*map(plain_trend, answer.trends)]}


def plain_trend(trend: Trend) -> dict[str, Any]:
    """Its fields by name; the age in seconds."""
    shown: dict[str, Any] = msgspec.to_builtins(trend)
    return {"age_s" if name == "age" else name: value for name, value in shown.items()}
