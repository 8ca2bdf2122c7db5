"""In which order the files of tests come, and which of them are the core."""

from pathlib import PurePath

FOLDERS = ("acceptance", "faults", "stack", "contract", "releases", "unit")
"""Files that take minutes come first: at the end neither of two processes waits for the other for long."""

CORE_FOLDERS = ("tests", "unit", "releases")
CORE_FILES = {
    *("test_tasks.py", "test_tables.py", "test_ledger.py", "test_ledger_months.py", "test_relay.py"),
    *("test_pipeline.py", "test_bad_input.py", "test_dispatcher.py", "test_faulty_tasks.py", "test_backpressure.py"),
    *("test_queue_states.py", "test_dead_letters.py", "test_redrive.py", "test_sweeper.py", "test_trimming.py"),
    *("test_schedule_ticks.py", "test_schedule_timers.py", "test_trending.py", "test_trending_view.py"),
}
"""What turns events into effects, once each: the tests on servers without which nothing else need be tried."""


def place_of(file: PurePath) -> int:
    """Where the folder of this file stands in the order; last, if it is none of these."""
    folder = file.parent.name
    return FOLDERS.index(folder) if folder in FOLDERS else len(FOLDERS)


def is_core(file: PurePath) -> bool:
    return file.parent.name in CORE_FOLDERS or file.name in CORE_FILES
