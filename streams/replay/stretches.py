"""Which offsets a replay reads, and which of those that were asked for retention has taken already."""

from collections.abc import Mapping
from datetime import datetime

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.kafka_client import full_name
from streams.partition_spans import Span, admin_client, partition_spans
from streams.replay.request import Bound, Request, WrongReplay
from streams.setting_groups import Kafka


class Stretch(msgspec.Struct, frozen=True):
    """Offsets from ``begin`` up to, not including, ``end`` of a partition."""

    partition: int
    begin: int
    end: int


class Gap(Stretch, frozen=True):
    """A stretch that was asked for and is gone. ``perhaps``: it was asked for by time, so what it held is not known."""

    perhaps: bool = False


async def find_stretches(
    kafka: Kafka, consumer: AIOKafkaConsumer, request: Request, start: Bound, end: Bound
) -> tuple[list[Stretch], list[Gap]]:
    """What there is to read now, and what is gone. Raises ``WrongReplay`` for partitions or offsets that are not there.

    A time begins a partition at its first record that is as late. It ends none: what is late for its time may come at
    any place, so who asks by time reads on and looks at each record.
    """
    topic = full_name(kafka, request.topic)
    async with admin_client(kafka) as admin:
        spans = await partition_spans(admin, consumer, [topic])
    if not spans:
        raise WrongReplay(f"the broker has no topic {request.topic}; `tailrace migrate` creates it")
    chosen = _chosen(request, {here.partition: span for here, span in spans.items()})
    by_time = await _by_time(consumer, topic, chosen, start) if isinstance(start, datetime) else {}
    stretches, gaps = [], []
    for partition, span in chosen.items():
        begin, gap = _begin(request, start, partition, span, by_time.get(partition))
        gaps += [gap] if gap else []
        stretches.append(Stretch(partition, begin, max(begin, _end(request, end, partition, span))))
    return stretches, gaps


def _chosen(request: Request, spans: Mapping[int, Span]) -> dict[int, Span]:
    for partition in request.partitions:
        if partition not in spans:
            known = ", ".join(map(str, spans))
            raise WrongReplay(f"{request.topic} has no partition {partition}; it has {known}")
    return {number: span for number, span in spans.items() if not request.partitions or number in request.partitions}


Found = tuple[int, datetime | None]
"""The first offset that is as late as was asked, and the time of the partition's first record."""


async def _by_time(
    consumer: AIOKafkaConsumer, topic: str, spans: Mapping[int, Span], since: datetime
) -> dict[int, Found]:
    partitions = {number: TopicPartition(topic, number) for number in spans}
    at = max(0, int(since.timestamp() * 1000))
    found = await consumer.offsets_for_times(dict.fromkeys(partitions.values(), at))
    first = await consumer.offsets_for_times(dict.fromkeys(partitions.values(), 0))
    answer: dict[int, Found] = {}
    for number, here in partitions.items():
        oldest = datetime.fromtimestamp(first[here].timestamp / 1000, since.tzinfo) if first[here] else None
        answer[number] = (found[here].offset if found[here] else spans[number].end, oldest)
    return answer


def _begin(request: Request, start: Bound, partition: int, span: Span, by_time: Found | None) -> tuple[int, Gap | None]:
    if by_time is not None and isinstance(start, datetime):
        offset, oldest = by_time
        lost = span.begin > 0 and (oldest is None or start < oldest)
        return max(offset, span.begin), Gap(partition, 0, span.begin, perhaps=True) if lost else None
    wanted = _offset(start, partition)
    if wanted is None:
        return span.begin, Gap(partition, 0, span.begin) if span.begin else None
    if wanted > span.end:
        holds = f"holds {span.begin} to {span.end - 1}" if span.begin < span.end else f"is empty, up to {span.end}"
        raise WrongReplay(f"--from offset {wanted}: partition {partition} of {request.topic} {holds}")
    return max(wanted, span.begin), Gap(partition, wanted, span.begin) if wanted < span.begin else None


def _end(request: Request, end: Bound, partition: int, span: Span) -> int:
    wanted = _offset(end, partition)
    if wanted is None:
        return span.end
    if wanted > span.end:
        raise WrongReplay(
            f"--to offset {wanted}: partition {partition} of {request.topic} ends at {span.end}; "
            "leave --to out to read up to its end"
        )
    return wanted


def _offset(bound: Bound, partition: int) -> int | None:
    return bound.get(partition, bound.get(None)) if isinstance(bound, Mapping) else None
