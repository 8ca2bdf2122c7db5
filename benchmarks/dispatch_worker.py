"""`tailrace worker` with the benchmark's tasks: `python -m benchmarks.dispatch_worker`."""

import uvloop

from benchmarks.dispatch_tasks import TASKS
from streams.log import configure_logging
from streams.settings import Settings
from streams.worker import run_worker


def main() -> None:
    """Work until SIGTERM, with settings from the environment."""
    settings = Settings.load()
    configure_logging(settings.log)
    uvloop.run(run_worker(settings, tasks=TASKS))


if __name__ == "__main__":
    main()
