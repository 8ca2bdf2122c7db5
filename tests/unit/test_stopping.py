"""What signals do to a program that stops in order."""

import signal
import subprocess
import sys

import pytest

PROGRAM = """
import asyncio
from streams.starting import stopped_by_signals

async def main():
    with stopped_by_signals() as stopped:
        print("begun", flush=True)
        await stopped.wait()
        print("stopping", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_a_program_at_once_that_does_not_stop(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(number)
        stopping = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        code = process.wait(timeout=20)

    assert stopping == "stopping\n"
    assert code == 128 + signal.SIGTERM
