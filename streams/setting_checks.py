"""What a setting's type alone cannot say: addresses whose parts must be there, files that must be.

Each check returns the value or raises ``ValueError`` that says what is allowed and never shows a password.
"""

from datetime import timedelta
from email.utils import parseaddr
from pathlib import Path
from urllib.parse import urlsplit

from schemas.topics import QUEUE_BY_NAME

DATABASE_FORM = "postgresql://user:password@host:port/database, with special characters of the password as %XX"
MAIL_FORM = "smtp://, smtps:// or smtp+starttls://, then user:password@host:port, special characters as %XX"

STORAGE_FORM = "s3://bucket/prefix, gs://bucket/prefix or az://container/prefix; what else it needs are options"

SHORTEST_SECRET = 16
SHORTEST_KEEP = timedelta(days=62)
SHORTEST_OLD_RENDITIONS_KEEP = timedelta(hours=2)


def checked_database_url(url: str) -> str:
    """A URL of PostgreSQL."""
    return _checked_url(url, ("postgresql", "postgres"), DATABASE_FORM)


def checked_mail_url(url: str) -> str:
    """A URL of a mail server."""
    checked = _checked_url(url, ("smtp", "smtps", "smtp+starttls"), MAIL_FORM)
    if urlsplit(url).path.strip("/"):
        raise ValueError(f"write {MAIL_FORM}; nothing follows the port")
    return checked


def checked_storage_url(url: str) -> str:
    """A URL of a store of objects. Who logs in stands in the options, not here."""
    checked = _checked_url(url, ("s3", "gs", "az"), STORAGE_FORM)
    if "@" in urlsplit(url).netloc:
        raise ValueError(f"write {STORAGE_FORM}")
    return checked


def checked_servers(servers: str) -> str:
    """Addresses of brokers, with commas between."""
    for server in servers.split(","):
        host, colon, port = server.strip().rpartition(":")
        if not (host and colon and port.isdigit() and 0 < int(port) < 65536):
            raise ValueError("write host:port, or several with commas between")
    return servers


def checked_sender(sender: str) -> str:
    """``Name <address>``, or an address."""
    local, at, domain = parseaddr(sender)[1].rpartition("@")
    if not (local and at and domain):
        raise ValueError("write Name <name@example.org>")
    return sender


def checked_file(path: Path) -> Path:
    """A file that can be read."""
    if not path.is_file():
        raise ValueError("no such file")
    return path


def checked_folder(path: Path) -> Path:
    """A folder that is there."""
    if not path.is_dir():
        raise ValueError("no such folder")
    return path


def checked_secrets(secrets: str) -> str:
    """One secret, or the new one and older ones with commas between."""
    if any(len(secret.strip()) < SHORTEST_SECRET for secret in secrets.split(",")):
        raise ValueError(
            f"at least {SHORTEST_SECRET} characters each, the newest first, with commas between; "
            "`openssl rand -hex 32` makes one"
        )
    return secrets


def checked_post_url(url: str) -> str:
    """The address of a post's page, with its place for the id."""
    if not url.startswith(("http://", "https://")) or url.count("{post_id}") != 1:
        raise ValueError("write https://your.site/posts/{post_id}")
    return url


def checked_positive(duration: timedelta) -> timedelta:
    """More than nothing."""
    if duration <= timedelta(0):
        raise ValueError("must be more than 0")
    return duration


def checked_queues(names: str) -> str:
    """Names of queues with commas between, or nothing."""
    for name in filter(None, (part.strip() for part in names.split(","))):
        _require_queue(name)
    return names


def checked_queue_concurrency(runs: dict[str, int]) -> dict[str, int]:
    """Name of queue -> runs at once."""
    for name, number in runs.items():
        _require_queue(name)
        if number < 1:
            raise ValueError(f"{name}: at least 1 run at once; to serve a queue not at all, leave it out of the queues")
    return runs


def checked_keep(duration: timedelta) -> timedelta:
    """Long enough that no command which still travels finds its month gone."""
    if duration < SHORTEST_KEEP:
        raise ValueError(f"at least {SHORTEST_KEEP.days}d, or repeats of older commands could not be recognised")
    return duration


def checked_old_renditions_keep(duration: timedelta) -> timedelta:
    """Longer than a run that makes them again may take."""
    if duration < SHORTEST_OLD_RENDITIONS_KEEP:
        raise ValueError("at least 2h, or a file could be deleted that is just being made again")
    return duration


def _require_queue(name: str) -> None:
    if name not in QUEUE_BY_NAME:
        raise ValueError(f"{name!r} is not a queue; they are {', '.join(QUEUE_BY_NAME)}")


def _checked_url(url: str, schemes: tuple[str, ...], form: str) -> str:
    # Not the parser's own message: it quotes parts of the URL.
    try:
        parts = urlsplit(url)
        valid = parts.scheme in schemes and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        valid = False
    if not valid:
        raise ValueError(f"write {form}")
    return url
