"""What the workers' group has acknowledged, as the broker knows it."""

from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.topics import TOPIC_BY_NAME
from streams.kafka_client import full_name
from streams.setting_groups import Kafka


class GroupOffsets:
    """Asks for the group's offsets in some topics, without being a member."""

    def __init__(self, kafka: Kafka, consumer: AIOKafkaConsumer, topics: tuple[str, ...]) -> None:
        self._consumer = consumer
        self._places = {
            TopicPartition(full_name(kafka, topic), number): (topic, number)
            for topic in topics
            for number in range(TOPIC_BY_NAME[topic].partitions)
        }

    async def committed(self) -> dict[tuple[str, int], int]:
        """By topic and partition: the offset from which a new worker would read."""
        return {place: await self._consumer.committed(at) or 0 for at, place in self._places.items()}

    async def unacknowledged(self) -> dict[tuple[str, int], tuple[int, int]]:
        """By topic and partition: that offset and the end, where they differ."""
        ends = await self._consumer.end_offsets(list(self._places))
        found = await self.committed()
        both = {place: (found[place], ends[at]) for at, place in self._places.items()}
        return {place: (offset, end) for place, (offset, end) in both.items() if offset != end}
