"""Settings as variables, for a test that has servers and a database."""

import uuid
from pathlib import Path

from streams.devstack.stack import Stack


def environment_on(stack: Stack, database_url: str, folder: Path) -> dict[str, str]:
    """These servers and this database; topics, media root and free ports of its own."""
    media = folder / "media"
    media.mkdir()
    return {
        "TAILRACE_KAFKA__BOOTSTRAP_SERVERS": stack.bootstrap_servers,
        "TAILRACE_KAFKA__TOPIC_PREFIX": f"t{uuid.uuid4().hex[:8]}.",
        "TAILRACE_DATABASE__URL": database_url,
        "TAILRACE_SMTP__URL": stack.smtp_url,
        "TAILRACE_MEDIA__ROOT": str(media),
        "TAILRACE_HTTP__PORT": "0",
        "TAILRACE_HTTP__PUBLIC_URL": "https://network.example",
        "TAILRACE_MAIL__SECRET": "a secret of the tests",
        "TAILRACE_WORKER__PORT": "0",
    }
