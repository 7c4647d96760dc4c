"""One Kafka broker on loopback: KRaft, broker and controller in one process.

Its data survives restarts, and ports may differ between them.
"""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from streams.edge.embedded import jars, java
from streams.edge.embedded.errors import StackError, from_os_error
from streams.edge.embedded.ports import LOOPBACK, free_port
from streams.edge.embedded.process import Child, died
from streams.edge.embedded.server import Server

# 512 MiB hold a combined node with room; the serial collector and the first compiler tier start faster and use fewer
# threads than the defaults, which suits one machine shared with the workers.
JVM_OPTIONS = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true")

CONFIG = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "PLAINTEXT",
    "auto.create.topics.enable": "false",  # a mistyped topic must be an error, not a new topic with wrong partitions
    "group.initial.rebalance.delay.ms": "0",  # its 3 s wait for more members, which one machine does not have
    # After kill -9 the controller refuses the broker until its old session has ended (default 9 s): 15 s to restart,
    # against 8 s with these.
    "broker.session.timeout.ms": "4000",
    "broker.heartbeat.interval.ms": "1000",
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


class Broker(Server):
    """The broker. Files in `<data>/kafka`, logs in `<data>/logs`: `kafka.log` (everything), `kafka.err` (errors)."""

    name = "Kafka"
    port_option = "--kafka-port"
    start_seconds = 120.0
    # A controlled shutdown takes about a second; longer when the disk is slow, since Kafka flushes every open log.
    stop_seconds = 30.0

    def __init__(
        self,
        data: Path,
        port: int = 9092,
        *,
        config: Mapping[str, str] | None = None,
        progress: jars.Progress = jars.silent,
    ) -> None:
        """Starts nothing yet; `config` are broker settings on top of `CONFIG`."""
        super().__init__(data, port, progress)
        self._config = {**CONFIG, **(config or {})}
        self._java: list[str] = []

    @property
    def bootstrap(self) -> str:
        """Address for clients."""
        return self.address

    @property
    def log(self) -> Path:
        """Errors, and what the JVM says by itself."""
        return self.logs / "kafka.err"

    @property
    def more_logs(self) -> Sequence[Path]:
        """The broker's full log; it rolls at 10 MB and keeps three old files."""
        return (self.logs / "kafka.log",)

    def prepare(self) -> None:
        """Finds Java and the jars."""
        runtime = java.find()
        class_path = os.pathsep.join(str(path) for path in jars.class_path(self.progress))
        log4j = f"-Dlog4j2.configurationFile={self.home / 'log4j2.properties'}"
        self._java = [str(runtime.path), *JVM_OPTIONS, log4j, "-cp", class_path]

    def command(self) -> list[str]:
        """Writes the configuration and formats new storage."""
        controller = free_port()
        config = {
            **self._config,
            "listeners": f"PLAINTEXT://{self.address},CONTROLLER://{LOOPBACK}:{controller}",
            "advertised.listeners": f"PLAINTEXT://{self.address}",
            # The voter is configured, not stored with the data, so that ports can differ between runs.
            "controller.quorum.voters": f"1@{LOOPBACK}:{controller}",
            "log.dirs": str(self.home / "data"),
        }
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            _write_properties(self.home / "server.properties", config)
            _write_properties(self.home / "format.properties", {**config, "log.dirs": str(self.home / "formatting")})
            log4j = _LOG4J.format(log=self.logs / "kafka.log")
            (self.home / "log4j2.properties").write_text(log4j, encoding="utf-8")
            if not (self.home / "data" / "meta.properties").exists():
                self._format()
        except OSError as error:
            raise from_os_error(error, "prepare Kafka's storage", self.home) from None
        return [*self._java, "kafka.Kafka", str(self.home / "server.properties")]

    def responds(self) -> bool:
        """Whether a metadata request is answered with a broker in it; one that is not ready is fenced and not listed."""
        # In a thread of its own: the caller may be inside a running event loop.
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(lambda: asyncio.run(_metadata_has_broker(self.address))).result()

    def _format(self) -> None:
        """Gives storage its cluster id; done beside the final place and moved, so that a cut-off format leaves no state."""
        shutil.rmtree(self.home / "formatting", ignore_errors=True)
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        arguments = [
            "kafka.tools.StorageTool",
            "format",
            f"--cluster-id={cluster_id}",
            "-c",
            str(self.home / "format.properties"),
        ]
        child = Child("formatting Kafka's storage", [*self._java, *arguments], self.logs / "kafka-format.log")
        code = child.wait(self.start_seconds)
        if code is None:
            child.kill()
            raise StackError(f"{child.name} did not end within {self.start_seconds:.0f} s:\n{child.last_lines()}")
        if code != 0:
            raise died(child, code, self.more_logs)
        (self.home / "formatting").rename(self.home / "data")


def _write_properties(path: Path, values: Mapping[str, str]) -> None:
    # Backslash is the only character of our values that the format of java.util.Properties would read differently.
    lines = (f"{name}={value.replace(chr(92), chr(92) * 2)}" for name, value in values.items())
    path.write_text("\n".join((*lines, "")), encoding="utf-8")


async def _metadata_has_broker(bootstrap: str) -> bool:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=5000)
    try:
        await admin.start()
        cluster = await admin.describe_cluster()
        return bool(cluster["brokers"])
    except (KafkaError, TimeoutError, OSError):
        return False
    finally:
        await admin.close()
