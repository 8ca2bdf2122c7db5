"""The page's files: all served, none from elsewhere, and text that can never become markup."""

import re
from collections.abc import AsyncIterator
from importlib import resources

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from streams.metrics import Metrics
from streams.web.middleware import new_application
from streams.web.page_routes import FILES, add_page

Client = TestClient[web.Request, web.Application]


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    app = new_application(Metrics())
    add_page(app)
    async with TestClient(TestServer(app)) as opened:
        yield opened


def _sources() -> dict[str, str]:
    folder = resources.files("streams.web") / "page"
    return {file.name: file.read_text() for file in folder.iterdir() if file.is_file()}


def test_every_file_of_the_page_is_served() -> None:
    assert {name for name, _ in FILES.values()} == set(_sources())


@pytest.mark.parametrize(("path", "content_type"), [(path, kind) for path, (_, kind) in FILES.items()])
async def test_a_file_has_its_type_and_is_asked_for_again(client: Client, path: str, content_type: str) -> None:
    answer = await client.get(path)

    assert answer.status == 200
    assert answer.content_type == content_type
    assert answer.headers["Cache-Control"] == "no-cache"


async def test_what_the_page_refers_to_is_there(client: Client) -> None:
    page = await (await client.get("/")).text()

    for path in re.findall(r'(?:src|href)="(/page/[^"]+)"', page):
        assert (await client.get(path)).status == 200, path


async def test_the_browser_may_load_and_run_only_files_of_ours(client: Client) -> None:
    policy = (await client.get("/")).headers["Content-Security-Policy"]

    assert "default-src 'self'" in policy
    assert "unsafe" not in policy


def test_no_file_refers_to_another_host() -> None:
    allowed = "http://www.w3.org/2000/svg"

    for name, source in _sources().items():
        assert not re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]+", source.replace(allowed, "")), name


def test_text_never_becomes_markup() -> None:
    ways = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|\bon\w+=\"")

    for name, source in _sources().items():
        assert not ways.findall(source), name
