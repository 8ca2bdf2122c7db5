"""``examples/django`` as its README says: attached, used through its HTTP API; mail and renditions come."""

import asyncio
import os
import sys
import urllib.request
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import msgspec
import pytest

from streams.devstack.processes import Child, Program, free_port
from streams.devstack.stack import Stack
from streams.settings import Settings
from tests.backend import photo
from tests.clients import ROOT, unpacked_client
from tests.events import records_of
from tests.processes import run, started
from tests.waiting import eventually

EXAMPLE = ROOT / "examples" / "django"


@pytest.fixture
def project(stack: Stack, environment: dict[str, str]) -> dict[str, str]:
    """The variables that its README sets, for a database that is not there yet."""
    url = f"{stack.database_url.rsplit('/', 1)[0]}/social{uuid.uuid4().hex[:8]}"
    environment["TAILRACE_DATABASE__URL"] = url
    path = os.pathsep.join([str(unpacked_client()), os.environ.get("PYTHONPATH", "")])
    own = {"DATABASE_URL": url, "MEDIA_ROOT": environment["TAILRACE_MEDIA__ROOT"], "PYTHONPATH": path}
    return {**environment, **own, "SECRET_KEY": uuid.uuid4().hex}


async def _manage(project: dict[str, str], *arguments: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "manage.py",
        *arguments,
        cwd=EXAMPLE,
        env={**os.environ, **project},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0, printed.decode()


@asynccontextmanager
async def _site(project: dict[str, str], logs: Path) -> AsyncIterator[str]:
    """The development server of the project; its address."""
    port = free_port()
    command = (sys.executable, str(EXAMPLE / "manage.py"), "runserver", "--noreload", f"127.0.0.1:{port}")
    child = await Child.start(Program("django", command, logs / "django.log", {**os.environ, **project}))
    try:
        url = f"http://127.0.0.1:{port}/api"
        await eventually(lambda: _call(f"{url}/posts/0"), within=60, what=f"the site answers; {logs / 'django.log'}")
        yield url
    finally:
        await child.stop(timedelta(seconds=10))


async def _call(url: str, body: bytes | None = None, **headers: str) -> tuple[int, Any] | None:
    """Status and JSON; None where nobody listens."""

    def ask() -> tuple[int, Any] | None:
        request = urllib.request.Request(url, body, {name.replace("_", "-"): value for name, value in headers.items()})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, msgspec.json.decode(answer.read())
        except HTTPError as error:
            return error.code, msgspec.json.decode(error.read())
        except OSError:
            return None

    return await asyncio.to_thread(ask)


def _form(text: str, picture: Path) -> tuple[bytes, str]:
    """A form with a text and a picture, and its content type."""
    part = "--cut\r\nContent-Disposition: form-data; name="
    body = f'{part}"text"\r\n\r\n{text}\r\n{part}"image"; filename="sea.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
    return body.encode() + picture.read_bytes() + b"\r\n--cut--\r\n", "multipart/form-data; boundary=cut"


async def _attached(project: dict[str, str]) -> None:
    await _manage(project, "createdatabase")
    await _manage(project, "migrate", "--verbosity", "0")
    code, printed, errors = await run("attach", "--yes", environment=project)
    assert code == 0, printed + errors


def _mails_to(stack: Stack, address: str) -> list[EmailMessage]:
    return [mail for mail in stack.smtp.mails() if mail["To"] == address]


async def test_sign_up_upload_see_the_mail_and_the_renditions(
    project: dict[str, str], settings: Settings, stack: Stack, tmp_path: Path
) -> None:
    photo(tmp_path, "sea.jpg")
    name = f"ada{uuid.uuid4().hex[:6]}"
    await _attached(project)

    async with started("worker", project, tmp_path), _site(project, tmp_path) as site:
        signing = msgspec.json.encode({"username": name, "email": f"{name}@example.org", "password": "a-b-c-d-e"})
        status, user = await _call(f"{site}/signup", signing) or (0, {})
        assert status == 201, user
        form, kind = _form("Boats at the #sea", tmp_path / "sea.jpg")
        token = {"Authorization": f"Bearer {user['token']}"}
        status, post = await _call(f"{site}/posts", form, Content_Type=kind, **token) or (0, {})
        assert status == 201, post
        shown = await eventually(lambda: _rendered(site, post["post_id"]), within=60, what="the renditions")
        mails = await eventually(lambda: _mails_to(stack, f"{name}@example.org"), within=60, what="the welcome mail")
        tagged = await eventually(lambda: records_of(settings, "post.tagged"), within=60, what="post.tagged")
        forgotten = await _call(f"{site}/forget-me", b"", **token)
        gone = await eventually(lambda: records_of(settings, "user.deleted"), within=60, what="user.deleted")

    media = Path(project["MEDIA_ROOT"])
    assert {rendition["variant"] for rendition in shown["renditions"]} >= {"w320", "w640"}
    assert all((media / rendition["key"]).is_file() for rendition in shown["renditions"])
    assert len(mails) == 1
    assert [msgspec.json.decode(record.value)["hashtags"] for record in tagged] == [["sea"]]
    assert [record.key for record in gone] == [str(user["user_id"]).encode()]
    assert forgotten == (200, {"user_id": user["user_id"]})


async def _rendered(site: str, post_id: int) -> Any:
    status, post = await _call(f"{site}/posts/{post_id}") or (0, {})
    assert status == 200, post
    return post if post["renditions"] else None
