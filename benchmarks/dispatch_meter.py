"""What both sides are measured with: processor time, memory, waits."""

import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import psutil

Spread = dict[str, float]


def spread(values: Iterable[float], digits: int = 0) -> Spread:
    """Minimum, median and maximum."""
    found = sorted(values)
    named = {"min": found[0], "median": statistics.median(found), "max": found[-1]}
    return {name: round(value, digits) for name, value in named.items()}


def percentile(ordered: Sequence[float], share: float) -> float:
    """Of values in order; ``share`` 0.99 is p99."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def tree(pids: Iterable[int]) -> list[psutil.Process]:
    """These processes and all that they have started."""
    roots = [psutil.Process(pid) for pid in pids]
    return [process for root in roots for process in (root, *root.children(recursive=True))]


def cpu_seconds(pids: Iterable[int]) -> float:
    """Processor time of these processes and what they have started, those that have ended included."""
    total = 0.0
    for process in tree(pids):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def resident_mb(pids: Iterable[int]) -> float:
    """Memory of the largest of these processes."""
    return max(process.memory_info().rss for process in tree(pids)) / 1e6


@dataclass(frozen=True)
class Drained:
    """One backlog worked off."""

    commands: int
    seconds: float
    cpu: float
    servers: Mapping[str, float]

    @property
    def rate(self) -> float:
        return self.commands / self.seconds

    def per_million(self, seconds: float) -> float:
        return seconds / self.commands * 1e6


class Stopwatch:
    """Wall clock and processor time from now on; ``servers`` are the roots of each, by name."""

    def __init__(self, workers: Sequence[int], servers: Mapping[str, int]) -> None:
        self._workers, self._servers = workers, servers
        self._cpu = cpu_seconds(workers)
        self._server_cpu = {name: cpu_seconds([pid]) for name, pid in servers.items()}
        self._began = time.perf_counter()

    def drained(self, commands: int) -> Drained:
        seconds = time.perf_counter() - self._began
        servers = {name: cpu_seconds([pid]) - self._server_cpu[name] for name, pid in self._servers.items()}
        return Drained(commands, seconds, cpu_seconds(self._workers) - self._cpu, servers)
