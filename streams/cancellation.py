"""Whether a task has been told to end, whatever a driver makes of it amid a statement."""

import asyncio


def is_cancelled() -> bool:
    """True from ``cancel()`` on. For loops that go on after any error: a task cancelled during a COMMIT may get the
    driver's complaint instead of ``CancelledError``, and would otherwise never end.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
