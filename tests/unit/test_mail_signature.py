"""Mails that the sender's domain vouches for, and the pace at which they go."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import dkim
import pytest

from streams.mail.message import Composer
from streams.mail.pace import Pace
from streams.mail.signature import WrongKey
from streams.mail.template import WELCOME, Mail, Text
from streams.task_settings import Smtp

MAIL = Mail(WELCOME, "7", "user:7", "ada@example.org", {})
NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dkim") / "dkim.pem"
    subprocess.run(["openssl", "genrsa", "-traditional", "-out", path, "2048"], check=True, capture_output=True)
    return path


def public(key: Path) -> str:
    command = ["openssl", "rsa", "-in", str(key), "-pubout"]
    pem = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return "".join(line for line in pem.splitlines() if not line.startswith("-"))


def test_a_signature_holds_and_covers_how_to_unsubscribe(key: Path) -> None:
    composer = Composer(Smtp(sender="Us <hello@network.example>", dkim_key_file=key, dkim_selector="s1"))
    message = composer.compose(MAIL, Text("Hé", "a\n.\nb", "<p>a</p>"), "https://network.example/u/x", NOW)
    asked: list[bytes] = []

    def dns(name: bytes, timeout: int = 5) -> bytes:
        asked.append(name)
        return f"v=DKIM1; k=rsa; p={public(key)}".encode()

    assert dkim.verify(message, dnsfunc=dns)
    assert asked == [b"s1._domainkey.network.example."]
    assert not dkim.verify(message.replace(b"network.example/u/x", b"elsewhere.example/x"), dnsfunc=dns)


def test_a_key_that_is_none_names_its_setting(tmp_path: Path) -> None:
    wrong = tmp_path / "key.pem"
    wrong.write_text("no key")

    with pytest.raises(WrongKey, match="TAILRACE_SMTP__DKIM_KEY_FILE"):
        Composer(Smtp(dkim_key_file=wrong))


async def test_mails_are_spread_evenly_over_the_second() -> None:
    clock, starts = [100.0], []

    async def sleep(seconds: float) -> None:
        clock[0] += seconds

    pace = Pace(4, lambda: clock[0], sleep)
    for _ in range(5):
        await pace.wait()
        starts.append(clock[0] - 100)

    assert starts == [0, 0.25, 0.5, 0.75, 1.0]
