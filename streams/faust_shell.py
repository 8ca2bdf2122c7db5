"""Faust as the shell of a worker: consumer group, assignment and agents on topics of raw bytes.

What Faust does not promise is not asked of it: nothing raises inside an agent, offsets are acknowledged in
order by our watermark, there are no tables, and no topic is declared by it.
"""

import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import faust
from faust.types import TP

from streams.kafka_client import full_name, logical_name, worker_group
from streams.records import Delivery, Record
from streams.setting_groups import Kafka
from streams.watermark import Place, Watermark

Put = Callable[[Delivery], None]


class FaustShell:
    """One Faust app with an agent for each topic; an agent only takes records and hands them on."""

    def __init__(self, kafka: Kafka, data: Path) -> None:
        self._kafka = kafka
        self.app = faust.App(worker_group(kafka), **_options(kafka, data))
        self._joined = False

    def connect(self, watermark: Watermark, puts: Mapping[str, Put], partitions_lost: Callable[[], None]) -> None:
        """Hand the records of each topic (by its name without prefix) to its ``put``, tracked by the watermark;
        ``partitions_lost`` is told when some of these are no longer ours.
        """
        for topic, put in puts.items():
            self._agent(topic, watermark, put)

        async def forget(_app: Any, revoked: Any = (), *_: Any, **__: Any) -> None:
            watermark.forget([self._place(tp) for tp in revoked])
            partitions_lost()

        async def joined(_app: Any, *_: Any, **__: Any) -> None:
            self._joined = True

        # Faust keeps only weak references to receivers.
        self._receivers = forget, joined
        _connect(self.app.on_partitions_revoked, forget)
        _connect(self.app.on_partitions_assigned, joined)

    def problem(self) -> str | None:
        """For health: not in the consumer group yet."""
        return None if self._joined else "has not joined the consumer group yet"

    def _agent(self, topic: str, watermark: Watermark, put: Put) -> None:
        source = self.app.topic(
            full_name(self._kafka, topic),
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
        )

        async def take(stream: Any) -> None:
            # No await between the event and the watermark: a rebalance must find each event tracked.
            async for event in stream.noack().events():
                put(watermark.take(_record(topic, event.message), event.ack))

        self.app.agent(source, name=f"take.{topic}")(take)

    def pause(self, place: Place) -> None:
        """Stop fetching the partition; what has been fetched still arrives.

        By what Faust calls when a buffer is full. Its ``pause_partitions`` drops what it has fetched and not
        delivered yet, and later takes the hole for a gap in the log and commits past it.
        """
        self.app.consumer.on_buffer_full(self._tp(place))

    def resume(self, place: Place) -> None:
        """Fetch it again, if it is still ours."""
        if (tp := self._tp(place)) in self.app.consumer.assignment():
            self.app.consumer.on_buffer_drop(tp)

    def assignment(self) -> list[Place]:
        """The partitions that this worker holds; none before it has joined the group."""
        return [self._place(tp) for tp in self.app.consumer.assignment()] if self._joined else []

    async def position(self, place: Place) -> int:
        """The offset that is fetched next."""
        return int(await self.app.consumer.position(self._tp(place)) or 0)

    async def start(self) -> None:
        """Join the group and take records."""
        _deliver_without_futures(self.app)
        await self.app.start()

    async def stop(self) -> None:
        """Commit what is acknowledged and leave the group."""
        await self.app.consumer.commit()
        await self.app.stop()

    async def crashed(self) -> BaseException | None:
        """Returns, with the reason, if Faust has given up."""
        await self.app._crashed.wait()
        reason: BaseException | None = self.app.crash_reason
        return reason

    def _tp(self, place: Place) -> TP:
        return TP(full_name(self._kafka, place[0]), place[1])

    def _place(self, tp: TP) -> Place:
        return logical_name(self._kafka, tp.topic), tp.partition


def _deliver_without_futures(app: Any) -> None:
    """For each record Faust waits for its delivery or for a rebalance, whichever comes first, at the price of four
    futures. Ours are delivered at once: the agents never let a buffer fill. So wait only where a rebalance goes on.

    Source: faust/transport/consumer.py, ``Consumer._drain_messages`` of 0.15.3, to which we are pinned. Without it a
    no-op command costs a fifth more.
    """
    consumer, flow, wait_first = app.consumer, app.flow_control, app.consumer.wait_first

    async def deliver(*waiting: Any, timeout: Any = None) -> Any:
        if len(waiting) != 2 or timeout is not None or not flow.is_active() or consumer.suspend_flow.is_set():
            return await wait_first(*waiting, timeout=timeout)
        delivery, suspension = waiting
        suspension.close()
        return await delivery

    consumer.wait_first = deliver


def _connect(signal: Any, receiver: Callable[..., Any]) -> None:
    signal.connect(receiver)


def _record(topic: str, message: Any) -> Record:
    headers = message.headers or []
    pairs = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
    return Record(
        topic=topic,
        partition=message.partition,
        offset=message.offset,
        key=message.key,
        value=message.value,
        headers=pairs,
        timestamp=round(message.timestamp * 1000),
    )


def _options(kafka: Kafka, data: Path) -> dict[str, Any]:
    options: dict[str, Any] = {
        "broker": [f"kafka://{server.strip()}" for server in kafka.bootstrap_servers.split(",")],
        "datadir": data,
        "store": "memory://",
        "web_enabled": False,
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "processing_guarantee": "at_least_once",
        "consumer_auto_offset_reset": "earliest",
        # A dead worker is noticed in 6 s; Faust's default of 60 stalled its partitions for 48.
        "broker_session_timeout": 6.0,
        "broker_heartbeat_interval": 2.0,
        "broker_commit_interval": 0.5,
        "broker_max_poll_records": 500,
        "stream_buffer_maxsize": 8192,
        # True waits without a deadline for unacknowledged events and stalls each rebalance past the session.
        "stream_wait_empty": False,
    }
    if kafka.security_protocol != "PLAINTEXT":
        options["broker_credentials"] = _credentials(kafka)
    return options


def _credentials(kafka: Kafka) -> Any:
    context = None
    if kafka.security_protocol.endswith("SSL"):
        context = ssl.create_default_context(cafile=kafka.ca_file)
    if kafka.security_protocol == "SSL":
        return faust.SSLCredentials(context=context)
    return faust.SASLCredentials(
        username=kafka.username, password=kafka.password, mechanism=kafka.sasl_mechanism, ssl_context=context
    )
