"""Whether the mail server takes connections."""

from typing import Any
from urllib.parse import unquote, urlsplit

from aiosmtplib import SMTP, SMTPAuthenticationError, SMTPException

from streams.settings import Settings

PORTS = {"smtp": 25, "smtps": 465, "smtp+starttls": 587, "smtps+starttls": 465}


async def check_mail(settings: Settings) -> tuple[str | None, dict[str, Any]]:
    """Connect, greet and, where the URL has a user, log in; nothing is sent. The problem, and what is known."""
    url = urlsplit(settings.smtp.url)
    port = url.port or PORTS[url.scheme]
    facts: dict[str, Any] = {"server": f"{url.hostname or 'localhost'}:{port}"}
    client = SMTP(
        hostname=url.hostname or "localhost",
        port=port,
        use_tls=url.scheme.startswith("smtps"),
        start_tls=url.scheme.endswith("+starttls"),
        username=unquote(url.username) if url.username else None,
        password=unquote(url.password) if url.password else None,
        timeout=4,
    )
    try:
        async with client:
            facts["says"] = (await client.ehlo()).message.splitlines()[0]
    except SMTPAuthenticationError as error:
        return f"refuses the login ({error.message}); check user and password in TAILRACE_SMTP__URL", facts
    except (SMTPException, OSError, TimeoutError) as error:
        return f"{facts['server']} cannot be used ({error}); check that it runs and TAILRACE_SMTP__URL", facts
    return None, facts
