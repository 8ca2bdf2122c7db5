"""The command line of a benchmark: its sizes as options, what it has found as JSON."""

import argparse
import json
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import uvloop

from streams.log import configure_logging
from streams.setting_groups import Log


def run_benchmark(
    description: str | None, measure: Callable[..., Coroutine[Any, Any, object]], **sizes: int | float | str
) -> None:
    """Measure, print, and write with ``--out`` where that is asked for. ``sizes``: the options with their defaults, in
    the order in which ``measure`` takes them; ``False`` is a switch.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in sizes.items():
        option = f"--{name.replace('_', '-')}"
        if default is False:
            parser.add_argument(option, action="store_true")
        else:
            parser.add_argument(option, type=type(default), default=default)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    configure_logging(Log(level="error"))
    found = json.dumps(uvloop.run(measure(*(getattr(options, name) for name in sizes))), indent=2)
    sys.stdout.write(found + "\n")
    if options.out:
        options.out.write_text(found + "\n")
