"""A mail server of a test's own, so that each mail in it is one of the test's."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from streams.devstack.processes import free_port
from streams.devstack.smtp_sink import SmtpSink


@asynccontextmanager
async def running_sink(folder: Path) -> AsyncIterator[SmtpSink]:
    """Listens until the end."""
    sink = SmtpSink(folder, free_port())
    await sink.start()
    try:
        yield sink
    finally:
        await sink.stop()


def mailed(sink: SmtpSink) -> Counter[str]:
    """How many mails each address has got."""
    return Counter(str(mail["Delivered-To"]) for mail in sink.mails())
