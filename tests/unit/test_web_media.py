"""Renditions are served, and nothing else that the disk has."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from streams.metrics import Metrics
from streams.task_settings import Media
from streams.web.media import add_media, rendition_file
from streams.web.middleware import new_application

Client = TestClient[web.Request, web.Application]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A media root with one rendition, and around it what must stay private."""
    media = tmp_path / "media"
    (media / "renditions" / "17").mkdir(parents=True)
    (media / "renditions" / "17" / "abc-w320.webp").write_bytes(b"RIFF-picture")
    (media / "renditions" / "17" / ".abc-w320.webp").write_bytes(b"half written")
    (media / "renditions" / "notes.txt").write_bytes(b"private")
    (media / "original.webp").write_bytes(b"private")
    (tmp_path / "secret.webp").write_bytes(b"private")
    (media / "renditions" / "link.webp").symlink_to(tmp_path / "secret.webp")
    (media / "renditions" / "loop.webp").symlink_to(media / "renditions" / "loop.webp")
    return media


@pytest.fixture
async def client(root: Path) -> AsyncIterator[Client]:
    app = new_application(Metrics())
    add_media(app, Media(root=root))
    async with TestClient(TestServer(app)) as opened:
        yield opened


async def test_a_rendition_is_served_to_be_kept_for_ever(client: Client) -> None:
    answer = await client.get("/media/renditions/17/abc-w320.webp")

    assert answer.status == 200
    assert await answer.read() == b"RIFF-picture"
    assert answer.headers["Content-Type"] == "image/webp"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"


@pytest.mark.parametrize(
    "path",
    [
        "../original.webp",
        "%2e%2e/original.webp",
        "..%2foriginal.webp",
        "17/../../original.webp",
        "17/%2e%2e/%2e%2e/%2e%2e/secret.webp",
        "%2fetc%2fpasswd",
        "/etc/passwd",
        "link.webp",
        "loop.webp",
        "notes.txt",
        "17",
        "17/.abc-w320.webp",
        "17/absent.webp",
        "17/abc-w320.webp%00.txt",
        "x" * 3000 + ".webp",
    ],
)
async def test_whatever_else_the_path_says_is_404(client: Client, path: str) -> None:
    answer = await client.get(URL(f"/media/renditions/{path}", encoded=True))

    assert answer.status == 404
    assert b"private" not in await answer.read()


def test_a_media_root_that_does_not_exist_has_no_files(tmp_path: Path) -> None:
    assert rendition_file(tmp_path / "absent", "17/abc-w320.webp") is None
