"""Says when work waits for so long that the topic's retention may take it before it is done."""

from collections.abc import Callable
from datetime import timedelta

from schemas.topics import TOPIC_BY_NAME
from streams.clock import Clock
from streams.watermark import Watermark

WAITED = timedelta(minutes=1)
"""Old events that arrive late and are done at once are no problem."""


def retention_problem(watermark: Watermark, clock: Clock) -> Callable[[], str | None]:
    """For health: a topic whose oldest record that is not dealt with is older than half of what the topic keeps."""

    def problem() -> str | None:
        now, present = clock.monotonic(), clock.now()
        for (topic, partition), (delivery, since) in watermark.oldest().items():
            retention = TOPIC_BY_NAME[topic].retention
            age = present - delivery.record.published_at
            if retention and age > retention / 2 and now - since > WAITED.total_seconds():
                return (
                    f"{topic}:{partition} waits at offset {delivery.record.offset} with work that is {age.days} days "
                    f"old, and the topic keeps {retention.days} days: add workers, or raise its retention.ms"
                )
        return None

    return problem
