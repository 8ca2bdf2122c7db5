"""The embedded stack: it dies with its parent, keeps its data and ports, and is held by one at a time."""

import asyncio
import os
import signal
import smtplib
import sys
import textwrap
from collections.abc import AsyncIterator
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path

import asyncpg
import psutil
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.topics import TOPIC_BY_NAME
from streams.devstack.errors import DevStackError
from streams.devstack.processes import Child, Program
from streams.devstack.smtp_sink import DROP, SmtpSink, accept, answering
from streams.devstack.stack import ANY_PORTS, Stack
from streams.devstack.state import read_state
from streams.kafka_client import full_name, producer_for
from streams.settings import Settings
from streams.topics import create_topics
from tests.survivors import alive
from tests.waiting import eventually

PARENT = textwrap.dedent("""
    import asyncio, sys
    from pathlib import Path
    from streams.devstack.stack import ANY_PORTS, Stack

    async def main():
        async with Stack(Path(sys.argv[1]), ports=ANY_PORTS, durable=False) as stack:
            pids = Path(sys.argv[2])
            pids.with_suffix(".part").write_text(f"{stack.kafka.pid} {stack.postgres.pid}")
            pids.with_suffix(".part").rename(pids)
            await asyncio.Event().wait()

    asyncio.run(main())
""")


async def test_a_kill_of_the_parent_leaves_no_process(tmp_path: Path) -> None:
    pids_file, log = tmp_path / "pids", tmp_path / "parent.log"
    argv = (sys.executable, "-c", PARENT, str(tmp_path / "data"), str(pids_file))
    parent = await Child.start(Program("parent", argv, log, os.environ))
    await eventually(pids_file.exists, 60, f"the stack to start; see {log}")
    family = psutil.Process(parent.pid).children(recursive=True)
    assert {int(pid) for pid in pids_file.read_text().split()} <= {process.pid for process in family}

    os.kill(parent.pid, signal.SIGKILL)

    await parent.wait()
    await eventually(lambda: not alive(family), 10, "every process to be gone")


async def test_a_second_holder_is_refused_and_told_who_holds_the_folder(stack: Stack) -> None:
    with pytest.raises(DevStackError) as refused:
        await Stack(stack.data, ports=ANY_PORTS).__aenter__()

    assert f"in use by process {os.getpid()}" in str(refused.value)
    assert "--data" in str(refused.value)


async def test_its_settings_are_kept_for_other_programs(stack: Stack) -> None:
    environment = read_state(stack.data)

    assert environment == stack.environment()
    assert Settings.load(environment).database.url == stack.database_url


def test_where_no_stack_runs_there_are_no_settings(tmp_path: Path) -> None:
    with pytest.raises(DevStackError, match=r"no stack runs in .*tailrace up"):
        read_state(tmp_path)


@pytest.fixture(scope="module")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """To be killed: nobody else's, and without the topics of other tests, which a broker would have to read again."""
    async with Stack(tmp_path_factory.mktemp("servers"), ports=ANY_PORTS) as running:
        yield running


@pytest.mark.faults
async def test_postgres_keeps_what_was_committed_when_it_is_killed(servers: Stack) -> None:
    connection = await asyncpg.connect(servers.database_url)
    await connection.execute("CREATE TABLE kept AS SELECT 41 + 1 AS answer")

    await servers.postgres.kill()
    await servers.postgres.start()

    again = await asyncpg.connect(servers.database_url)
    assert await again.fetchval("SELECT answer FROM kept") == 42
    await again.close()
    connection.terminate()


@pytest.mark.faults
async def test_kafka_keeps_what_it_acknowledged_when_it_is_killed(servers: Stack) -> None:
    settings = Settings.load(servers.environment())
    await create_topics(settings)
    name = full_name(settings.kafka, next(iter(TOPIC_BY_NAME)))
    producer = producer_for(settings.kafka)
    await producer.start()
    await producer.send_and_wait(name, b"kept", partition=0)
    await producer.stop()

    await servers.kafka.kill()
    await servers.kafka.start()

    consumer = AIOKafkaConsumer(bootstrap_servers=servers.bootstrap_servers, auto_offset_reset="earliest")
    await consumer.start()
    consumer.assign([TopicPartition(name, 0)])
    assert (await asyncio.wait_for(consumer.getone(), 20)).value == b"kept"
    await consumer.stop()


def _mail() -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "a@example.org", "b@example.org", "Grüße"
    mail["Message-ID"] = "<one@example.org>"
    mail.set_content("Hello")
    return mail


async def _send(sink: SmtpSink) -> None:
    def send() -> None:
        with smtplib.SMTP("127.0.0.1", sink.port, timeout=5) as client:
            client.send_message(_mail())

    await asyncio.to_thread(send)


async def test_a_mail_is_kept_with_its_recipient(sink: SmtpSink) -> None:
    await _send(sink)

    kept = sink.mails()
    assert [mail["Message-ID"] for mail in kept] == ["<one@example.org>"]
    assert (kept[0]["Subject"], kept[0]["Delivered-To"]) == ("Grüße", "b@example.org")


@pytest.mark.parametrize(
    ("answer", "at", "error", "kept"),
    [
        ("451 not now", "RCPT", smtplib.SMTPRecipientsRefused, 0),
        ("550 never", "RCPT", smtplib.SMTPRecipientsRefused, 0),
        ("552 too big", "DATA", smtplib.SMTPDataError, 0),
        (DROP, "RCPT", (smtplib.SMTPException, OSError), 0),
        (DROP, "DATA", (smtplib.SMTPException, OSError), 0),
        (DROP, "ANSWER", (smtplib.SMTPException, OSError), 1),
    ],
)
async def test_it_refuses_and_hangs_up_as_told(
    sink: SmtpSink, answer: str, at: str, error: type[Exception] | tuple[type[Exception], ...], kept: int
) -> None:
    sink.policy = answering(answer, at=at)  # type: ignore[arg-type]  # the stages above

    with pytest.raises(error):
        await _send(sink)
    sink.policy = accept
    await _send(sink)

    assert len(sink.mails()) == kept + 1


async def test_it_is_away_and_comes_back_at_the_same_port(sink: SmtpSink) -> None:
    await sink.stop()
    with pytest.raises(OSError):
        await _send(sink)

    await sink.start()
    await _send(sink)

    assert len(sink.mails()) == 1


async def test_a_child_that_ignores_the_signal_is_killed_after_the_grace(tmp_path: Path) -> None:
    marker = tmp_path / "deaf"
    script = f"import signal, pathlib; signal.signal(15, signal.SIG_IGN); pathlib.Path({str(marker)!r}).touch()"
    argv = (sys.executable, "-c", f"{script}; signal.pause()")
    child = await Child.start(Program("deaf", argv, tmp_path / "deaf.log", os.environ))
    await eventually(marker.exists, what="it to start")

    await child.stop(timedelta(milliseconds=200))

    assert child.exit_code == -signal.SIGKILL
