"""Mail servers that want an encrypted connection and a login."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword

from streams.mail.errors import Temporary
from streams.mail.smtp import MailServer
from streams.settings import Settings
from tests.certificates import write_certificate

MESSAGE = b"Subject: Hello\r\n\r\nHello\r\n"


class Recipients:
    """Keeps for whom mails came."""

    def __init__(self) -> None:
        self.found: list[str] = []

    async def handle_DATA(self, server: SMTP, session: object, envelope: Envelope) -> str:
        self.found += envelope.rcpt_tos
        return "250 OK"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def trusted(certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the machine's own store had it."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))


@pytest.fixture
async def listen(certificate: tuple[Path, Path]) -> AsyncIterator[Callable[..., Any]]:
    """Starts a server that knows `me` with `s3:cret/` and gives its port and the recipients of its mails."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    servers: list[asyncio.Server] = []

    async def listen(*, encrypted: bool = False, **options: Any) -> tuple[int, Recipients]:
        kept = Recipients()
        if not encrypted:
            options["tls_context"] = context
        listening = await asyncio.get_running_loop().create_server(
            lambda: SMTP(kept, hostname="tls.test", authenticator=_knows_me, **options),
            *("127.0.0.1", 0),
            ssl=context if encrypted else None,
        )
        servers.append(listening)
        return listening.sockets[0].getsockname()[1], kept

    yield listen
    for listening in servers:
        listening.close()


def _knows_me(server: SMTP, session: object, envelope: Envelope, mechanism: str, data: object) -> AuthResult:
    known = LoginPassword(b"me", b"s3:cret/")
    return AuthResult(success=data == known, handled=False)


async def send(url: str) -> None:
    async def begin() -> None:
        return None

    settings = Settings.load({"TAILRACE_SMTP__URL": url, "TAILRACE_SMTP__TIMEOUT": "5s"})
    await MailServer(settings.smtp).submit("ada@example.org", MESSAGE, begin)


async def test_a_mail_goes_through_starttls_with_a_login(trusted: None, listen: Callable[..., Any]) -> None:
    port, kept = await listen(require_starttls=True, auth_required=True)

    await send(f"smtp+starttls://me:s3%3Acret%2F@127.0.0.1:{port}")

    assert kept.found == ["ada@example.org"]


async def test_a_mail_goes_through_tls_from_the_first_byte(trusted: None, listen: Callable[..., Any]) -> None:
    port, kept = await listen(encrypted=True, auth_require_tls=False)

    await send(f"smtps://me:s3%3Acret%2F@127.0.0.1:{port}")

    assert kept.found == ["ada@example.org"]


async def test_a_url_without_the_starttls_that_a_server_wants_costs_no_mail(listen: Callable[..., Any]) -> None:
    port, kept = await listen(require_starttls=True)

    with pytest.raises(Temporary, match="530 Must issue a STARTTLS command first"):
        await send(f"smtp://127.0.0.1:{port}")

    assert kept.found == []


async def test_a_wrong_password_is_no_fault_of_the_mail(trusted: None, listen: Callable[..., Any]) -> None:
    port, kept = await listen(require_starttls=True, auth_required=True)

    with pytest.raises(Temporary, match=r"535 5\.7\.8") as raised:
        await send(f"smtp+starttls://me:wr0ng@127.0.0.1:{port}")

    assert "wr0ng" not in str(raised.value) and kept.found == []


@pytest.mark.parametrize("scheme", ["smtps", "smtp+starttls"])
async def test_a_server_that_nobody_vouches_for_is_told_nothing(scheme: str, listen: Callable[..., Any]) -> None:
    port, kept = await listen(encrypted=scheme == "smtps", auth_require_tls=False)

    with pytest.raises(Temporary, match=r"is not available: .*certificate verify failed"):
        await send(f"{scheme}://me:s3%3Acret%2F@127.0.0.1:{port}")

    assert kept.found == []
