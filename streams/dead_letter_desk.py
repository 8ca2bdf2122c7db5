"""Dead letters of what cannot be identified, published beside the work: a topic that takes none holds back only the
offsets of what belongs into it.
"""

import asyncio

import structlog

from streams.dead_letters import DeadLetters
from streams.records import Delivery
from streams.watermark import Watermark

log = structlog.get_logger(__name__)


class DeadLetterDesk:
    """Takes deliveries and acknowledges each when the broker has its dead letter, however long that takes."""

    def __init__(self, dead_letters: DeadLetters, watermark: Watermark) -> None:
        self._dead_letters = dead_letters
        self._watermark = watermark
        self._publishing: set[asyncio.Task[None]] = set()

    def take(self, delivery: Delivery, reason: str, error: BaseException | None = None) -> None:
        """Never waits: the watermark's cap bounds what is under way."""
        publishing = asyncio.create_task(self._publish(delivery, reason, error), name="dead letter")
        self._publishing.add(publishing)
        publishing.add_done_callback(self._ended)

    async def close(self) -> None:
        """What is not published by now is delivered again: its offset was not acknowledged."""
        for publishing in self._publishing:
            publishing.cancel()
        await asyncio.gather(*self._publishing, return_exceptions=True)

    async def _publish(self, delivery: Delivery, reason: str, error: BaseException | None) -> None:
        await self._dead_letters.publish(delivery.record, reason, error=error, wanted=lambda: delivery.live)
        self._watermark.finish(delivery, "dead")

    def _ended(self, publishing: asyncio.Task[None]) -> None:
        self._publishing.discard(publishing)
        if not publishing.cancelled() and (error := publishing.exception()):
            log.error("dead letter could not be made; its offset holds", error=repr(error))
