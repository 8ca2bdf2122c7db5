"""What can go wrong with the development stack, said so that the reader knows what to do."""

import errno
import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path

FULL = "the disk is full. Free some space, or give a folder on another disk with --data."
FORBIDDEN = "it cannot be written. Check who owns it, or give another folder with --data."
OF_THE_DISK = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EACCES: FORBIDDEN,
    errno.EPERM: FORBIDDEN,
    errno.EROFS: FORBIDDEN,
}
SQL_DISK_FULL = "53100"


class DevStackError(Exception):
    """The stack cannot do what was asked; the message says why and what helps."""


def last_lines(log: Path, count: int = 15) -> str:
    """The end of a log file, indented, to stand in an error message."""
    if not log.exists():
        return "  (it wrote no log)"
    with log.open(errors="replace") as lines:
        end = "".join(f"  {line}" for line in deque(lines, maxlen=count)).rstrip()
    return f"{end}\n{FULL[0].upper()}{FULL[1:]}" if os.strerror(errno.ENOSPC) in end else end


def trouble_with_the_disk(error: BaseException) -> str | None:
    """What to do if this, or what it came from, is a full or forbidden disk; None if it is something else."""
    for one in _with_its_causes(error):
        if getattr(one, "sqlstate", None) == SQL_DISK_FULL:
            return f"PostgreSQL says: {FULL}"
        if isinstance(one, OSError) and one.errno in OF_THE_DISK and (one.filename or one.errno == errno.ENOSPC):
            return f"{one.filename or 'a file'}: {OF_THE_DISK[one.errno]}"
    return None


def _with_its_causes(error: BaseException) -> Iterator[BaseException]:
    waiting, seen = [error], set[int]()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        # SQLAlchemy keeps the driver's error in `orig`, a task group its tasks' errors in `exceptions`.
        further = [one.__cause__, one.__context__, getattr(one, "orig", None), *getattr(one, "exceptions", ())]
        waiting += [cause for cause in further if isinstance(cause, BaseException)]
