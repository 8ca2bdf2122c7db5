"""A process that has imported what commands need, and forks for each `tailrace ...` that a shell asks it for: a command
is a process as ever, with the shell's folder, variables and files, and starts in a few hundredths of a second.

``python -m tests.warm_commands SOCKET`` serves; ``write_command`` makes the program `tailrace` that asks it.
"""

import contextlib
import importlib
import json
import os
import socket
import sys
from pathlib import Path

IMPORTED = (
    *("agents", "streams.cli", "streams.cli_kafka", "streams.run_here", "streams.runs_tables", "streams.enqueueing"),
    *("streams.replay.starting", "streams.replay.shown", "streams.trending.rebuild", "streams.trending.view"),
    *("streams.events_archive.exporting", "streams.events_archive.importing", "streams.schedules.timer"),
)
STANDARD = (0, 1, 2)
FAILED = 70

ASK = """#!{python} -IS
import json, os, socket, sys

with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    socket.send_fds(server, [b"!"], [0, 1, 2])
    with server.makefile("rw") as line:
        print(json.dumps([sys.argv, os.getcwd(), dict(os.environ)]), file=line, flush=True)
        sys.exit(int(line.readline() or {failed}))
"""


def write_command(folder: Path, address: Path) -> None:
    """A program `tailrace` in this folder, which asks the server at this address to be it."""
    program = folder / "tailrace"
    program.write_text(ASK.format(python=sys.executable, address=str(address), failed=FAILED))
    program.chmod(0o755)


def serve(address: str) -> None:
    """Returns once for each command, in a process of that command's own."""
    for module in IMPORTED:
        importlib.import_module(module)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        server.listen()
        while True:
            asked, _ = server.accept()
            if os.fork() == 0:
                break
            asked.close()
            _bury()
    if command := os.fork():
        _, status = os.waitpid(command, 0)
        asked.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
        os._exit(0)
    _become(asked)


def _bury() -> None:
    """Those that have answered."""
    with contextlib.suppress(ChildProcessError):
        while os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG):
            pass


def _become(asked: socket.socket) -> None:
    """What the shell has started: its files, folder, variables and words."""
    _, files, _, _ = socket.recv_fds(asked, 1, len(STANDARD))
    with asked.makefile() as line:
        sys.argv, folder, environment = json.loads(line.readline())
    asked.close()
    for given, standard in zip(files, STANDARD, strict=True):
        os.dup2(given, standard)
        os.close(given)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)


if __name__ == "__main__":
    serve(sys.argv[1])
    importlib.import_module("streams.cli").main()
