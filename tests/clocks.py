"""Clocks that stand still until a test moves them."""


class Seconds:
    """A monotonic clock."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds

    def __call__(self) -> float:
        return self.seconds
