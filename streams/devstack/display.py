"""What ``tailrace up`` shows: a line of progress while it starts, then a line for each thing done."""

import time
from pathlib import Path

from rich.console import Console
from rich.status import Status
from rich.text import Text

COLOURS = {"mail": "cyan", "photo": "magenta", "trend": "yellow", "retry": "red", "dead": "red", "error": "red"}
WIDTH = 9


def seconds_since_start() -> float:
    """Since this process was started, its interpreter's own start included."""
    started_ticks = int(Path("/proc/self/stat").read_text().rsplit(") ", 1)[1].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started_ticks / TICKS_PER_SECOND


# Linux reports times in /proc in hundredths of a second on every architecture. Source: proc(5), sysconf(3).
TICKS_PER_SECOND = 100


class Display:
    """On a terminal one moving line until ``started``; elsewhere a line for each step."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        self._steps: dict[str, str] = {}
        self._status: Status | None = None
        if self._console.is_terminal:
            self._status = self._console.status("starting")
            self._status.start()

    def step(self, part: str, message: str) -> None:
        """``part`` is now at this."""
        before = self._steps.get(part, "")
        self._steps[part] = message
        if self._status:
            self._status.update(Text(", ".join(f"{name}: {at}" for name, at in self._steps.items())))
        elif before.partition(",")[0] != message.partition(",")[0]:
            # After the comma stands how far it is: too much for a log.
            self.line(part, message)

    def line(self, kind: str, message: str) -> None:
        """One thing that happened."""
        text = Text(f"{seconds_since_start():6.1f} s  ", style="dim")
        text.append(kind.ljust(WIDTH), style=COLOURS.get(kind, "bold"))
        text.append(message, style="default")
        self._console.print(text, soft_wrap=True)

    def show(self, *lines: str) -> None:
        """Text as it is."""
        for line in lines:
            self._console.print(Text(line), soft_wrap=True)

    def started(self) -> None:
        """Everything runs, or nothing will: take the moving line away."""
        if self._status:
            self._status.stop()
            self._status = None
