"""What can go wrong with the development stack, said so that the reader knows what to do."""

from collections import deque
from pathlib import Path


class DevStackError(Exception):
    """The stack cannot do what was asked; the message says why and what helps."""


def last_lines(log: Path, count: int = 15) -> str:
    """The end of a log file, indented, to stand in an error message."""
    if not log.exists():
        return "  (it wrote no log)"
    with log.open(errors="replace") as lines:
        return "".join(f"  {line}" for line in deque(lines, maxlen=count)).rstrip()
