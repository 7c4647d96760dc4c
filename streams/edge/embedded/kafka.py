"""One Kafka broker on loopback: KRaft, broker and controller in one process, data that survives restarts and other ports."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from streams.edge.embedded import jars, java
from streams.edge.embedded.errors import StackError, from_os_error
from streams.edge.embedded.ports import LOOPBACK, answers, claim, free_port
from streams.edge.embedded.process import Child, died

START_SECONDS = 120.0
# A controlled shutdown takes about a second; it is longer when the disk is slow, since Kafka flushes every open log.
STOP_SECONDS = 30.0

# 512 MiB hold a combined node with room; the serial collector and the first compiler tier start faster and use fewer threads
# than the defaults, which suits one machine shared with the workers.
JVM_OPTIONS = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true")

CONFIG = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "PLAINTEXT",
    "auto.create.topics.enable": "false",  # a mistyped topic must be an error, not a new topic with wrong partitions
    "group.initial.rebalance.delay.ms": "0",  # its 3 s wait for more members, which one machine does not have
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "8",  # default 50: files and start time for nothing here
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "8",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "log.cleaner.dedupe.buffer.size": str(64 * 1024 * 1024),  # default 128 MiB, a quarter of the heap
}

_LOG4J = """\
status = error
appender.file.type = RollingFile
appender.file.name = file
appender.file.fileName = {log}
appender.file.filePattern = {log}.%i
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{{ISO8601}} %-5p %m (%c)%n
appender.file.policies.type = Policies
appender.file.policies.size.type = SizeBasedTriggeringPolicy
appender.file.policies.size.size = 10MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 3
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %p %m%n%throwable{{short.message}}
appender.console.filter.threshold.type = ThresholdFilter
appender.console.filter.threshold.level = error
rootLogger.level = info
rootLogger.appenderRef.file.ref = file
rootLogger.appenderRef.console.ref = console
"""


class Broker:
    """The broker. Its files are in `<data>/kafka`, its logs `<data>/logs/kafka.log` (all) and `kafka.err` (errors only)."""

    def __init__(
        self,
        data: Path,
        port: int = 9092,
        *,
        config: Mapping[str, str] | None = None,
        progress: jars.Progress = jars.silent,
    ) -> None:
        """Starts nothing yet.

        Args:
            port: of clients; 0 takes a free one at the first start and keeps it over later ones.
            config: broker settings on top of `CONFIG`.
        """
        self.port = port
        self.child: Child | None = None
        self._home = data / "kafka"
        self._logs = data / "logs"
        self._config = {**CONFIG, **(config or {})}
        self._progress = progress

    @property
    def bootstrap(self) -> str:
        """Address for clients; the port is known after `start`."""
        return f"{LOOPBACK}:{self.port}"

    def start(self) -> None:
        """Returns when the broker answers a metadata request and lists itself.

        Raises:
            StackError: no Java, no jars, port taken, data not usable, the broker ended or did not answer within 120 s.
        """
        if self.child is not None and self.child.exit_code() is None:
            return
        runtime = java.find()
        class_path = os.pathsep.join(str(path) for path in jars.class_path(self._progress))
        self.port = claim(self.port, "Kafka", "--kafka-port")
        with self._progress("starting Kafka"):
            log4j = self._write_config()
            command = [
                str(runtime.path), *JVM_OPTIONS, f"-Dlog4j2.configurationFile={log4j}",
                f"-Dkafka.logs.dir={self._logs}", "-cp", class_path,
            ]  # fmt: skip
            self._format(command)
            server = [*command, "kafka.Kafka", str(self._home / "server.properties")]
            self.child = Child("Kafka", server, self._logs / "kafka.err")
            self._await_ready(self.child)

    def stop(self, *, kill: bool = False, seconds: float = STOP_SECONDS) -> None:
        """SIGTERM and a clean shutdown, SIGKILL after `seconds`; with `kill` SIGKILL at once. Nothing when it does not run."""
        if self.child is not None:
            if kill:
                self.child.kill()
            else:
                self.child.stop(seconds)
            self.child = None

    def pause(self) -> None:
        """Stops it in its tracks (SIGSTOP): connections stay open, nothing is answered."""
        self._running().pause()

    def resume(self) -> None:
        """Ends `pause`."""
        self._running().resume()

    def _running(self) -> Child:
        if self.child is None:
            raise StackError("Kafka is not running")
        return self.child

    def _write_config(self) -> Path:
        controller = free_port()
        config = {
            **self._config,
            "listeners": f"PLAINTEXT://{self.bootstrap},CONTROLLER://{LOOPBACK}:{controller}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap}",
            # The voter is configured, not stored with the data, so that ports can differ between runs.
            "controller.quorum.voters": f"1@{LOOPBACK}:{controller}",
            "log.dirs": str(self._home / "data"),
        }
        log4j = self._home / "log4j2.properties"
        try:
            self._home.mkdir(parents=True, exist_ok=True)
            _write_properties(self._home / "server.properties", config)
            _write_properties(self._home / "format.properties", {**config, "log.dirs": str(self._home / "formatting")})
            log4j.write_text(_LOG4J.format(log=self._logs / "kafka.log"), encoding="utf-8")
        except OSError as error:
            raise from_os_error(error, "write Kafka's configuration", self._home) from None
        return log4j

    def _format(self, command: list[str]) -> None:
        """Gives new storage its cluster id; beside the final place and moved there, so that a cut-off format is no state."""
        if (self._home / "data" / "meta.properties").exists():
            return
        shutil.rmtree(self._home / "formatting", ignore_errors=True)
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        arguments = ["kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(self._home / "format.properties")]
        child = Child("formatting Kafka's storage", [*command, *arguments], self._logs / "kafka-format.log")
        code = child.wait(START_SECONDS)
        if code is None:
            child.kill()
            raise StackError(
                f"formatting Kafka's storage did not end within {START_SECONDS:.0f} s:\n{child.last_lines()}"
            )
        if code != 0:
            raise died(child, code)
        try:
            (self._home / "formatting").rename(self._home / "data")
        except OSError as error:
            raise from_os_error(error, "move Kafka's formatted storage into place", self._home) from None

    def _await_ready(self, child: Child) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            code = child.exit_code()
            if code is not None:
                raise died(child, code, [self._logs / "kafka.log"])
            if answers(self.port) and _lists_itself(self.bootstrap):
                return
            if time.monotonic() > deadline:
                tail = child.last_lines()
                child.kill()
                raise StackError(
                    f"Kafka did not answer at {self.bootstrap} within {START_SECONDS:.0f} s; see {self._logs / 'kafka.log'}\n{tail}"
                )
            time.sleep(0.1)


def _write_properties(path: Path, values: Mapping[str, str]) -> None:
    # Backslash is the only character of our values that the format of java.util.Properties would read differently.
    lines = (f"{name}={value.replace(chr(92), chr(92) * 2)}" for name, value in values.items())
    path.write_text("\n".join((*lines, "")), encoding="utf-8")


def _lists_itself(bootstrap: str) -> bool:
    # In a thread of its own: the caller may be inside a running event loop.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(_metadata_has_broker(bootstrap))).result()


async def _metadata_has_broker(bootstrap: str) -> bool:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=5000)
    try:
        await admin.start()
        cluster = await admin.describe_cluster()
        return bool(cluster["brokers"])  # fenced brokers are not listed (KIP-631)
    except (KafkaError, TimeoutError, OSError):
        return False
    finally:
        await admin.close()
