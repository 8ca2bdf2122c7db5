"""The watermark: offsets are acknowledged in order, whatever the order in which work ends."""

from hypothesis import given
from hypothesis import strategies as st

from streams.clock import Clock
from streams.metrics import Metrics
from streams.records import Delivery, Record
from streams.watermark import Place, Watermark


class Consumer:
    """Keeps what a consumer would be told."""

    def __init__(self, limit: int = 1000) -> None:
        self.acknowledged: list[int] = []
        self.paused: list[Place] = []
        self.resumed: list[Place] = []
        self.watermark = Watermark(limit, Metrics(), self.paused.append, self.resumed.append, Clock())

    def take(self, offset: int, partition: int = 0) -> Delivery:
        record = Record("queue.emails", partition, offset, None, b"", [], 0)
        return self.watermark.take(record, lambda: self.acknowledged.append(offset))


@given(st.permutations(range(12)), st.integers(0, 12))
def test_nothing_is_acknowledged_before_all_below_it(order: list[int], ended: int) -> None:
    consumer = Consumer()
    deliveries = [consumer.take(offset) for offset in range(12)]

    for offset in order[:ended]:
        consumer.watermark.finish(deliveries[offset], "done")

    finished = set(order[:ended])
    expected = next((offset for offset in range(12) if offset not in finished), 12)
    assert consumer.acknowledged == list(range(expected))
    assert consumer.watermark.balance() == 0


def test_a_partition_pauses_at_the_cap_and_resumes_when_half_of_it_is_free() -> None:
    consumer = Consumer(limit=4)
    deliveries = [consumer.take(offset) for offset in range(4)]
    assert consumer.paused == [("queue.emails", 0)]

    consumer.watermark.finish(deliveries[0], "done")
    assert consumer.resumed == []
    consumer.watermark.finish(deliveries[1], "done")

    assert consumer.resumed == [("queue.emails", 0)]


def test_one_slow_delivery_does_not_hold_another_partition() -> None:
    consumer = Consumer()
    consumer.take(5, partition=0)
    other = consumer.take(9, partition=1)

    consumer.watermark.finish(other, "done")

    assert consumer.acknowledged == [9]


def test_what_was_revoked_is_never_acknowledged() -> None:
    consumer = Consumer()
    first, second = consumer.take(0), consumer.take(1)

    consumer.watermark.forget([("queue.emails", 0)])
    consumer.watermark.finish(first, "done")
    consumer.watermark.finish(second, "done")

    assert consumer.acknowledged == []
    assert not first.live
    assert consumer.watermark.balance() == 0


def test_a_partition_that_is_delivered_again_begins_anew() -> None:
    consumer = Consumer()
    stale = [consumer.take(offset) for offset in (10, 11, 12)]

    again = consumer.take(10)
    consumer.watermark.finish(stale[2], "done")
    consumer.watermark.finish(again, "done")

    assert consumer.acknowledged == [10]
    assert consumer.watermark.balance() == 0


def test_a_delivery_that_ends_twice_counts_once() -> None:
    consumer = Consumer()
    delivery = consumer.take(3)

    consumer.watermark.finish(delivery, "done")
    consumer.watermark.finish(delivery, "dead")

    assert consumer.acknowledged == [3]
    assert consumer.watermark.balance() == 0
