"""What ``benchmarks.dispatch`` found, as figures for programs and as a table for people."""

import os
import platform
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from benchmarks.dispatch_meter import Drained, Spread, spread

WHAT = {
    ("tailrace", "noop"): "no effect; claimed and recorded in the ledger",
    ("celery", "noop"): "no effect; no record kept",
    ("tailrace", "row"): "one row, in the transaction that records the run",
    ("celery", "row"): "one row, committed; no record kept",
}


class Figures:
    """Everything that was measured, in the order of the runs."""

    def __init__(self) -> None:
        self.drained: dict[tuple[str, str], list[Drained]] = defaultdict(list)
        self.waits: dict[str, list[dict[str, float]]] = defaultdict(list)
        self.memory: dict[str, float] | None = None

    def add_drained(self, system: str, kind: str, drained: Drained) -> None:
        self.drained[system, kind].append(drained)

    def add_waits(self, system: str, waits: dict[str, float]) -> None:
        self.waits[system].append(waits)


def summary(figures: Figures, *, processes: int, runs: int, log_level: str) -> dict[str, Any]:
    """Minimum, median and maximum of each figure, and ours against the peer's, run by run."""
    return {
        "machine": {"cpus": os.cpu_count(), "python": platform.python_version(), "kernel": platform.release()},
        "processes": processes,
        "runs": runs,
        "log_level": log_level,
        "backlogs": {
            f"{system}_{kind}": {"what": WHAT[system, kind], **_backlog(found)}
            for (system, kind), found in figures.drained.items()
        },
        "ratios": _ratios(figures),
        "wait_ms": {
            system: {name: spread((one[name] for one in found), 2) for name in ("p50", "p99")}
            for system, found in figures.waits.items()
        },
        "memory": figures.memory and {name: round(value, 1) for name, value in figures.memory.items()},
    }


def _backlog(found: list[Drained]) -> dict[str, Any]:
    servers = found[0].servers
    return {
        "commands": found[0].commands,
        "per_s": spread(one.rate for one in found),
        "cpu_s_per_1m": spread((one.per_million(one.cpu) for one in found), 1),
        "servers_cpu_s_per_1m": {
            name: spread((one.per_million(one.servers[name]) for one in found), 1) for name in servers
        },
    }


def _ratios(figures: Figures) -> dict[str, Spread]:
    """Tailrace over Celery."""
    measures: dict[str, Callable[[Drained], float]] = {
        "rate": lambda one: one.rate,
        "cpu": lambda one: one.per_million(one.cpu),
        "cpu_with_servers": lambda one: one.per_million(one.cpu + sum(one.servers.values())),
    }
    return {
        f"{kind}_{name}": spread((of(own) / of(peer) for own, peer in pairs), 3)
        for kind in ("noop", "row")
        if (pairs := list(zip(figures.drained["tailrace", kind], figures.drained["celery", kind], strict=False)))
        for name, of in measures.items()
    }


def table(found: dict[str, Any]) -> str:
    """Medians, with the range of the rates."""
    lines = [f"{'backlog':<16}{'per s (min-max)':>26}{'CPU s per 1M':>15}  CPU s per 1M of servers"]
    for name, row in found["backlogs"].items():
        rate, cpu = row["per_s"], row["cpu_s_per_1m"]["median"]
        servers = ", ".join(f"{server} {one['median']:.0f}" for server, one in row["servers_cpu_s_per_1m"].items())
        rates = f"{rate['median']:.0f} ({rate['min']:.0f}-{rate['max']:.0f})"
        lines.append(f"{name:<16}{rates:>26}{cpu:>15.0f}  {servers}")
    for name, ratio in found["ratios"].items():
        lines.append(f"tailrace / celery, {name}: {ratio['median']:.2f} ({ratio['min']:.2f}-{ratio['max']:.2f})")
    for system, waits in found["wait_ms"].items():
        p50, p99 = waits["p50"]["median"], waits["p99"]["median"]
        lines.append(f"publish to start, {system}: p50 {p50:.1f} ms, p99 {p99:.1f} ms")
    if memory := found["memory"]:
        start, most, end = memory["start_mb"], memory["max_mb"], memory["end_mb"]
        lines.append(f"memory over {memory['commands']:.0f}: start {start:.0f}, max {most:.0f}, end {end:.0f} MB")
    return "\n".join(lines)
