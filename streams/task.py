"""What a task is: a plain async function of its arguments and a context that returns an outcome."""

import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, get_type_hints

import msgspec
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.backend import BackendTables
from schemas.commands import Command
from schemas.topics import QUEUE_BY_NAME
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.claims import Claim
    from streams.mail.mailer import Mailer
    from streams.media.renderer import Renderer
    from streams.media.storage import Storage

Effect = Callable[[AsyncConnection], Awaitable[Mapping[str, Any] | None]]
"""Writes rows on the connection of the record's own transaction; what it returns is added to the result."""


@dataclass(frozen=True)
class Done:
    """The work is done. ``effect`` commits with the ledger's row, or not at all."""

    result: Mapping[str, Any] = field(default_factory=dict)
    effect: Effect | None = None


@dataclass(frozen=True)
class Skip:
    """There is nothing to do, and why. ``effect`` as in ``Done``."""

    reason: str
    effect: Effect | None = None


@dataclass(frozen=True)
class Retry:
    """Not now: again after ``after``, or by the task's policy. The last attempt's retry is a dead letter, which
    tells of ``error``, the exception behind it.
    """

    reason: str
    after: timedelta | None = None
    error: BaseException | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Dead:
    """It can never work; a dead letter keeps it with this reason, and tells of ``error``, the exception behind it."""

    reason: str
    error: BaseException | None = field(default=None, compare=False)


Outcome = Done | Skip | Retry | Dead


class TryAgain(Exception):
    """Raised by a task or by its effect: what it needs asks to be left alone for ``after``, e.g. with Retry-After."""

    def __init__(self, reason: str, after: timedelta) -> None:
        super().__init__(reason)
        self.after = after


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how far apart a task is tried."""

    max_attempts: int = 4
    first: timedelta = timedelta(seconds=60)
    factor: float = 2.0
    jitter: float = 0.2

    def delay(self, attempt: int, rng: random.Random) -> timedelta:
        """The wait after the failed ``attempt`` (from 1), spread by ``jitter`` either way."""
        spread = 1 + self.jitter * rng.uniform(-1, 1)
        return self.first * (self.factor ** (attempt - 1)) * spread


@dataclass(frozen=True)
class Concurrency:
    """At most ``limit`` runs at once, over all workers, for each key that ``key`` makes of the arguments.

    Keys are shared by the tasks that make the same one: begin it with the task's name where that is not meant.
    A command that finds its key taken is parked for a moment; it costs no attempt.
    """

    key: Callable[[Any], str]
    limit: int = 1


@dataclass(frozen=True)
class Context:
    """What a task may use, handed in by the composition root."""

    command: Command
    claim: "Claim"
    settings: Settings
    engine: AsyncEngine
    backend: BackendTables
    mailer: "Mailer"
    renderer: "Renderer"
    storage: "Storage"
    now: Callable[[], datetime]
    log: structlog.typing.FilteringBoundLogger


Handler = Callable[[Any, Context], Awaitable[Outcome]]


@dataclass(frozen=True)
class Task:
    """A task as the worker knows it. ``args_of`` makes its arguments of a fact, or None for no command."""

    name: str
    queue: str
    handler: Handler
    args_type: type[msgspec.Struct]
    retry: RetryPolicy
    timeout: timedelta
    permanent: tuple[type[Exception], ...]
    on_dead: Callable[[Any, str], Effect] | None
    on: type[msgspec.Struct] | None
    args_of: Callable[[Any], msgspec.Struct | None] | None
    concurrency: Concurrency | None = None
    sends_mail: bool = False
    redo: bool = False


def task(
    *,
    queue: str,
    on: type[msgspec.Struct] | None = None,
    args: Callable[[Any], msgspec.Struct | None] | None = None,
    retry: RetryPolicy | None = None,
    timeout: timedelta = timedelta(minutes=5),
    permanent: tuple[type[Exception], ...] = (),
    on_dead: Callable[[Any, str], Effect] | None = None,
    concurrency: Concurrency | None = None,
    sends_mail: bool = False,
    redo: bool = False,
) -> Callable[[Handler], Task]:
    """Declare ``async def verb_object(args: SomeStruct, ctx: Context) -> Outcome`` as a task.

    ``on`` is the fact that causes it and ``args`` makes its arguments of that fact. Exceptions of the types
    in ``permanent`` are dead letters at once; any other is a retry by ``retry``. ``on_dead`` gives, for the
    arguments and the reason, the rows that say so; they commit with the ledger's ``dead``, however it came to it.
    ``concurrency`` bounds the runs at once for one key. ``sends_mail``: a replay runs it only where an operator asks
    for mails. ``redo``: its effect takes the place of what an earlier run of the same event left, so it may be redone.
    """
    if queue not in QUEUE_BY_NAME:
        raise ValueError(f"queue {queue!r} does not exist; one of {', '.join(QUEUE_BY_NAME)}")
    if (on is None) != (args is None):
        raise ValueError("`on` and `args` go together: the fact, and how it becomes arguments")
    if concurrency is not None and concurrency.limit < 1:
        raise ValueError(f"a concurrency limit of {concurrency.limit} lets nothing run; write 1 or more")

    def declare(handler: Handler) -> Task:
        hints = [hint for name, hint in get_type_hints(handler).items() if name != "return"]
        name = handler.__name__
        policy = retry or RetryPolicy()
        return Task(
            *(name, queue, handler, hints[0], policy, timeout, permanent, on_dead, on, args, concurrency),
            sends_mail=sends_mail,
            redo=redo,
        )

    return declare
