"""Which settings the stack decides and which it leaves to whoever starts it.

The stack decides where things are, all of it: one address of another deployment that came through from the caller's
environment would let the relay of ``up`` publish that deployment's outbox.
"""

from collections.abc import Mapping

DROPPED = (
    "TAILRACE_KAFKA__SASL_MECHANISM",
    "TAILRACE_KAFKA__USERNAME",
    "TAILRACE_KAFKA__PASSWORD",
    "TAILRACE_KAFKA__CA_FILE",
    "TAILRACE_HTTP__PUBLIC_URL",
    "TAILRACE_MAIL__POST_URL",
    "TAILRACE_SMTP__DKIM_KEY_FILE",
    # Must be another one after each restart, and `up` restarts its worker.
    "TAILRACE_WORKER__NAME",
    "TAILRACE_WORKER__DATA",
    # The sample's pictures are in a folder, and its tables as Django makes them.
    "TAILRACE_MEDIA__STORAGE",
    "TAILRACE_MEDIA__STORAGE_OPTIONS",
    "TAILRACE_MEDIA__SCRATCH",
    "TAILRACE_BACKEND__KEYS",
    "TAILRACE_BACKEND__TABLES",
    "TAILRACE_BACKEND__COLUMNS",
)
"""Of another deployment, and of no use with the servers of the stack."""


def places(bootstrap_servers: str, database_url: str, smtp_url: str, media_root: str) -> dict[str, str]:
    """Every setting that says where things are, with the servers of a stack."""
    return {
        "TAILRACE_KAFKA__BOOTSTRAP_SERVERS": bootstrap_servers,
        "TAILRACE_KAFKA__SECURITY_PROTOCOL": "PLAINTEXT",
        "TAILRACE_KAFKA__TOPIC_PREFIX": "",
        "TAILRACE_KAFKA__REPLICATION_FACTOR": "1",
        "TAILRACE_DATABASE__URL": database_url,
        "TAILRACE_DATABASE__DIRECT_URL": database_url,
        "TAILRACE_BACKEND__DB_SCHEMA": "public",
        "TAILRACE_SMTP__URL": smtp_url,
        "TAILRACE_MEDIA__ROOT": media_root,
        "TAILRACE_HTTP__HOST": "127.0.0.1",
    }


def for_programs(caller: Mapping[str, str], ours: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The environment of what the stack starts, and the caller's settings that were set aside for it."""
    kept = {name: value for name, value in caller.items() if name not in DROPPED}
    aside = [name for name, value in caller.items() if name in DROPPED or ours.get(name, value) != value]
    return kept | dict(ours), sorted(aside)
