"""Which tags people use: a few much, most little, and not the same ones for long."""

import random
from collections.abc import Sequence
from itertools import accumulate


class Fashion:
    """Zipf-like popularity over tags whose order moves with every post."""

    def __init__(self, tags: Sequence[str], rng: random.Random, turnover: float = 0.03) -> None:
        """``turnover`` is the chance that a post makes some tag the most popular of all."""
        self._tags, self._rng, self._turnover = list(tags), rng, turnover
        self._weights = list(accumulate(1 / rank for rank in range(1, len(tags) + 1)))

    def tags_of_a_post(self) -> list[str]:
        """Up to four different tags, sorted; sometimes none."""
        if self._rng.random() < self._turnover:
            self._tags.insert(0, self._tags.pop(self._rng.randrange(len(self._tags))))
        count = self._rng.choice((0, 1, 1, 2, 2, 3, 4))
        return sorted(set(self._rng.choices(self._tags, cum_weights=self._weights, k=count)))
