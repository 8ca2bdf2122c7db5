"""How many keys a range has: as many as are done in a quarter of a second or so."""

from dataclasses import dataclass
from datetime import timedelta

SMALLEST, FIRST, LARGEST = 100, 2_000, 50_000
SHORT, LONG = timedelta(milliseconds=150), timedelta(milliseconds=400)

LIMIT = timedelta(milliseconds=800)
"""A statement that takes longer is stopped, and its range halved: no lock on the backend's rows outlives a second."""


@dataclass
class Pace:
    """Doubled after a range that was short, halved after one that was long."""

    size: int = FIRST

    def learn(self, took: timedelta) -> None:
        if took < SHORT:
            self.size = min(self.size * 2, LARGEST)
        elif took > LONG:
            self.slow_down()

    def slow_down(self) -> None:
        self.size = max(self.size // 2, SMALLEST)

    @property
    def limit(self) -> timedelta:
        """For one statement; none for the smallest range, which has to be done some time."""
        return LIMIT if self.size > SMALLEST else timedelta()
