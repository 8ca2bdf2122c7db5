"""Guides as their readers use them: what stands in their fences is typed into a shell, as it stands there."""

import asyncio
import os
import re
import shlex
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path

from streams.devstack.processes import Child, Program
from tests.object_server import s3_bucket
from tests.operations import Said
from tests.processes import running
from tests.waiting import eventually
from tests.warm_commands import write_command

ROOT = Path(__file__).resolve().parents[1]
SHELL = ""
"""Fences without a language hold what is typed into a shell."""

STARTED = timedelta(seconds=5)


def blocks(guide: Path, language: str = SHELL) -> list[str]:
    """What is fenced as this language, in order."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", guide.read_text(), re.MULTILINE | re.DOTALL)
    return [block for found, block in fenced if found == language]


def commands(guide: Path) -> list[str]:
    """Each command of the guide's shell blocks; one may have several lines."""
    found, begun = [], ""
    for line in "".join(blocks(guide)).splitlines():
        begun += line
        if not _is_whole(begun):
            begun += "\n"
            continue
        if begun.strip():
            found.append(begun)
        begun = ""
    return found


def _is_whole(typed: str) -> bool:
    """Whether a shell would begin: every quote is closed, and no line goes on."""
    try:
        shlex.split(typed, comments=True)
    except ValueError:
        return False
    return not typed.endswith("\\")


class Shell:
    """A bash: what one command exports, the next has."""

    def __init__(self, process: asyncio.subprocess.Process, scratch: Path) -> None:
        self._process = process
        self._scratch = scratch

    async def type(self, command: str, answer: str = "y", within: float = 60) -> Said:
        """The command to its end; whoever asks is answered."""
        typed, out, errors, answers = (self._scratch / name for name in ("typed", "out", "errors", "answers"))
        typed.write_text(f"{command}\n")
        answers.write_text(f"{answer}\n")
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(f". {typed} >{out} 2>{errors} <{answers}\necho $?\n".encode())
        async with asyncio.timeout(within):
            code = await self._process.stdout.readline()
        return Said(int(code), out.read_text(), errors.read_text())


@asynccontextmanager
async def open_shell(folder: Path, environment: Mapping[str, str], *, warm: bool) -> AsyncIterator[Shell]:
    """A shell in this folder, with these variables and `tailrace` on its path: the installed program, or where it must
    be fast, processes that are forked of one that has imported it (``tests.warm_commands``).
    """
    async with AsyncExitStack() as closing:
        scratch = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="shell-")))
        programs = scratch if warm else Path(sys.executable).parent
        if warm:
            await _serve_commands(closing, scratch)
        variables = {**os.environ, **environment, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
        process = await asyncio.create_subprocess_exec(
            *("bash", "--noprofile", "--norc"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=variables,
            cwd=folder,
        )
        closing.push_async_callback(_end, process)
        yield Shell(process, scratch)


async def _serve_commands(closing: AsyncExitStack, scratch: Path) -> None:
    address, log = scratch / "socket", scratch / "commands.log"
    argv = (sys.executable, "-m", "tests.warm_commands", str(address))
    server = await Child.start(Program("commands", argv, log, os.environ, folder=ROOT))
    closing.push_async_callback(server.stop, STARTED)
    write_command(scratch, address)

    def is_there() -> bool:
        assert server.exit_code is None, server.failure("ended")
        return address.exists()

    await eventually(is_there, within=60, what="a process that becomes commands")


async def _end(process: asyncio.subprocess.Process) -> None:
    assert process.stdin
    process.stdin.close()
    await process.wait()


@asynccontextmanager
async def reader(environment: dict[str, str], folder: Path, *, warm: bool) -> AsyncIterator[Shell]:
    """A shell from which `curl` finds the server at the guides' address. Beside it run a worker, and an S3 that has the
    bucket `archive`.
    """
    async with AsyncExitStack() as opened:
        options = opened.enter_context(s3_bucket("archive")).options
        login = {f"AWS_{name.upper()}": value for name, value in options.items() if name != "region"}
        worker = await opened.enter_async_context(running("worker", environment, folder, wait=False))
        server = await opened.enter_async_context(running("serve", environment, folder))
        (folder / ".curlrc").write_text(f"silent\nconnect-to = 127.0.0.1:8000:{server.url.removeprefix('http://')}\n")
        variables = {**environment, **login, "CURL_HOME": str(folder)}
        shell = await opened.enter_async_context(open_shell(folder, variables, warm=warm))
        await eventually(worker.is_ready, within=60, what="the worker is ready")
        yield shell
