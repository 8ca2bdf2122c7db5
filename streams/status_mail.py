"""Whether the mail server takes connections."""

from typing import Any

from aiosmtplib import SMTP, SMTPAuthenticationError, SMTPException

from streams.mail.smtp_address import ServerAddress
from streams.settings import Settings


async def check_mail(settings: Settings) -> tuple[str | None, dict[str, Any]]:
    """Connect, greet and, where the URL has a user, log in; nothing is sent. The problem, and what is known."""
    address = ServerAddress.parse(settings.smtp.url)
    facts: dict[str, Any] = {"server": f"{address.host}:{address.port}"}
    client = SMTP(
        hostname=address.host,
        port=address.port,
        use_tls=address.scheme == "smtps",
        start_tls=address.scheme == "smtp+starttls",
        username=address.username,
        password=address.password,
        local_hostname="localhost",  # else the machine's name is looked up, which can take long
        timeout=4,
    )
    try:
        async with client:
            facts["says"] = (await client.ehlo()).message.encode(errors="replace").decode().partition("\n")[0]
    except SMTPAuthenticationError as error:
        return f"refuses the login ({error.message}); check user and password in TAILRACE_SMTP__URL", facts
    except (SMTPException, OSError, TimeoutError) as error:
        return f"{facts['server']} cannot be used ({error}); check that it runs and TAILRACE_SMTP__URL", facts
    return None, facts
