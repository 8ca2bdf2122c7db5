"""What the contract of all tasks needs to know of one."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from schemas.events import Fact, Id
from tests.one_run import Workshop


@dataclass(frozen=True)
class Case:
    """A fact for any id, or the arguments of a task that has none; the rows that make it something to do, and
    everything that a run leaves outside.
    """

    cause: Callable[[Id], Fact] | object
    prepare: Callable[[Workshop], Awaitable[None]]
    effects: Callable[[Workshop], Awaitable[list[Any]]]
