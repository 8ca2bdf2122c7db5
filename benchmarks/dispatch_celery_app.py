"""Celery's side, run by Celery's own environment.

As a module it is the application that `celery worker` loads. As a program it publishes:
`python -m benchmarks.dispatch_celery_app TASK COUNT [RATE]`, as fast as it can or at RATE a second.
"""

import os
import sys
import time
from functools import cache
from typing import Any

import psycopg
from celery import Celery  # type: ignore[import-not-found]

from benchmarks.dispatch_notes import note_wait

app = Celery("dispatch", broker=os.environ["DISPATCH_BROKER"])
# What a careful user sets for throughput: no results, no events, many tasks fetched ahead. Acknowledged early, which is
# Celery's default: a task that was begun when its worker was killed is lost.
app.conf.update(
    task_ignore_result=True,
    worker_prefetch_multiplier=128,
    worker_send_task_events=False,
    worker_disable_rate_limits=True,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
)


@cache
def _database() -> Any:
    """One connection a process, each statement a transaction."""
    return psycopg.connect(os.environ["DISPATCH_DATABASE"], autocommit=True)


def _do_nothing(number: int, published: float) -> None:
    """No effect."""


def _write_row(number: int, published: float) -> None:
    """One row, committed."""
    _database().execute("INSERT INTO benchmark_rows (command) VALUES (%s)", (number,))


def _measure_wait(number: int, published: float) -> None:
    """Notes how long the message took from its publisher to here."""
    note_wait(published)


do_nothing = app.task(name="do_nothing")(_do_nothing)
write_row = app.task(name="write_row")(_write_row)
measure_wait = app.task(name="measure_wait")(_measure_wait)


def publish(task: str, count: int, rate: float) -> None:
    """Send ``count`` messages; ``rate`` 0 is as fast as it goes."""
    began = time.perf_counter()
    with app.producer_pool.acquire(block=True) as producer:
        for number in range(count):
            if rate:
                time.sleep(max(0.0, began + number / rate - time.perf_counter()))
            app.tasks[task].apply_async((number, time.time()), producer=producer)


if __name__ == "__main__":
    publish(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]) if len(sys.argv) > 3 else 0.0)
