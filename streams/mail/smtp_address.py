"""Where the mail server is and how it is talked to, from one URL."""

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

DEFAULT_PORTS = {"smtp": 25, "smtps": 465, "smtp+starttls": 587}


@dataclass(frozen=True)
class ServerAddress:
    """A mail server, and our account there if it wants one."""

    scheme: str
    host: str
    port: int
    username: str | None
    password: str | None

    @classmethod
    def parse(cls, url: str) -> "ServerAddress":
        """Of ``smtp://``, ``smtps://`` or ``smtp+starttls://user:password@host:port``. Raises ``ValueError``."""
        parts = urlsplit(url)
        expected = "write smtp://, smtps:// or smtp+starttls://, then user:password@host:port"
        # Without the value: it may hold a password.
        if parts.scheme not in DEFAULT_PORTS or not parts.hostname or parts.path.strip("/"):
            raise ValueError(f"TAILRACE_SMTP__URL is wrong; {expected}")
        try:
            port = parts.port or DEFAULT_PORTS[parts.scheme]
        except ValueError as error:
            raise ValueError(f"TAILRACE_SMTP__URL has a wrong port; {expected}") from error
        username, password = (unquote(text) if text else None for text in (parts.username, parts.password))
        return cls(parts.scheme, parts.hostname, port, username, password)
