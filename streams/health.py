"""What is wrong in this process, by component. No progress is not ready: a client may hang silently."""

import time
from collections.abc import Callable
from datetime import timedelta

Check = Callable[[], str | None]


class Progress:
    """Of a component that must beat at least once in ``within``. Made by ``Health.progress``."""

    def __init__(self, within: timedelta, now: Callable[[], float]) -> None:
        self._within = within.total_seconds()
        self._now = now
        self._last: float | None = None

    def beat(self) -> None:
        """A round of work has ended, be it with nothing to do. Cheap enough for every round."""
        self._last = self._now()

    def problem(self) -> str | None:
        """Why it is not getting on, or None. A component that has never beaten is not ready yet."""
        if self._last is None:
            return "has not started yet"
        silent = self._now() - self._last
        return f"no progress for {silent:.0f} s" if silent > self._within else None


class Health:
    """The checks that the components of one process have registered."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._checks: dict[str, Check] = {}

    def add(self, name: str, check: Check) -> None:
        """Ask ``check`` from now on: it returns a problem or None, at once and without I/O."""
        if name in self._checks:
            raise ValueError(f"the health check {name!r} exists already; give each component its own name")
        self._checks[name] = check

    def progress(self, name: str, within: timedelta = timedelta(seconds=15)) -> Progress:
        """A check that is a problem until the first beat, and when none came for longer than ``within``."""
        progress = Progress(within, self._now)
        self.add(name, progress.problem)
        return progress

    def problems(self) -> dict[str, str]:
        """Name of component -> what is wrong with it. Empty means ready."""
        return {name: found for name, check in self._checks.items() if (found := check()) is not None}
