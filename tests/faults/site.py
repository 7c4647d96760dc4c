"""An installation to be hurt: embedded servers behind proxies, workers under the product's supervisor, the checker beside them."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from msgspec.structs import replace

from streams.core.touch import Touch
from streams.edge import topic_admin
from streams.edge.embedded import jars
from streams.edge.embedded.kafka import Broker
from streams.edge.embedded.ports import LOOPBACK, free_port
from streams.edge.embedded.stack import EmbeddedStack
from streams.edge.supervisor import Backoff, Workers
from streams.settings import Settings
from tests.faults.checker import Checker, Sample
from tests.faults.load import Load, publish_before
from tests.faults.proxy import Proxy
from tests.support.stack import POLICY
from tests.support.waiting import wait_until

WORKERS = 3
PARTITIONS = 4
LAUNCH = Path(__file__).with_name("launch.py")
PATIENCE = 180.0
"""Seconds within which whatever was hurt must have recovered; the machine may be slow."""

_ENDED = re.compile(
    r"(worker-\d+) \(pid (\d+)\) ended with (.+?) after \d+ s; restarting in [\d.]+ s; the end of its log"
)


class ProxiedBroker(Broker):
    """A broker with one more listener, whose advertised address is the proxy's: clients that come through it stay with it."""

    def __init__(self, data: Path, proxy: Proxy) -> None:
        super().__init__(data, 0, config={"log.segment.delete.delay.ms": "1000"}, progress=jars.silent)
        self._proxy = proxy
        proxy.target = free_port()

    def command(self) -> list[str]:
        """As ever, with the second listener written into the configuration."""
        command = super().command()
        path = self.home / "server.properties"
        values = dict(line.split("=", 1) for line in path.read_text().splitlines() if line)
        values["listeners"] += f",PROXIED://{LOOPBACK}:{self._proxy.target}"
        values["advertised.listeners"] += f",PROXIED://{self._proxy.address}"
        values["listener.security.protocol.map"] += ",PROXIED:PLAINTEXT"
        path.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
        return command


@dataclass(frozen=True)
class Ended:
    """What the supervisor said of a worker's end: `how` is "exit code 70" or "signal 9 (SIGKILL)"."""

    name: str
    pid: int
    how: str
    text: str


@dataclass
class Site:
    """What a fault can reach. Made by `running`."""

    settings: Settings
    """For clients that are not to be hurt: straight to the servers."""

    workers_settings: Settings
    stack: EmbeddedStack
    kafka_proxy: Proxy
    redis_proxy: Proxy
    checker: Checker
    directory: Path
    rng: random.Random
    before: list[Touch] = field(default_factory=list)
    load: Load | None = None
    """The load of the fault under way."""

    said: list[Ended] = field(default_factory=list)
    unclear: list[str] = field(default_factory=list)
    """Lines of the supervisor that are not about an end and restart."""

    _crews: list[Workers] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def hire(self, count: int) -> Workers:
        """More workers, supervised until they are dismissed."""
        command = (sys.executable, str(LAUNCH), str(self.directory))
        logs = self.directory / f"crew-{len(list(self.directory.glob('crew-*')))}"
        logs.mkdir()
        crew = Workers(self.workers_settings, [free_port() for _ in range(count)], logs, self._hear, command=command)
        with self._lock:
            crew.step()
            self._crews.append(crew)
        return crew

    def dismiss(self, crew: Workers) -> None:
        """Stop a crew in order."""
        with self._lock:
            self._crews.remove(crew)
        crew.stop()

    def begin(self) -> None:
        """A new fault: what was said is over, and back-off starts anew, as if the workers had lived for long."""
        del self.said[:]
        with self._lock:
            for crew in self._crews:
                for slot in crew._slots:
                    slot.backoff = Backoff()

    def pids(self) -> list[int]:
        """Of all workers that run."""
        with self._lock:
            return [pid for crew in self._crews for pid in crew.pids()]

    def victim(self) -> int:
        """A worker that runs, at random."""
        return self.rng.choice(wait_until(self.pids, PATIENCE, "a worker to run"))

    def prepare(self, **change: object) -> None:
        """What `launch` applies to the next worker that starts."""
        fresh = self.directory / "next.new"
        fresh.write_text(json.dumps(change))
        fresh.rename(self.directory / "next.json")

    def prepared(self) -> bool:
        """Whether that worker has not started yet."""
        return (self.directory / "next.json").exists()

    def replace_one(self, **change: object) -> None:
        """Kill a worker so that the one after it starts with a change; returns once that has begun."""
        self.prepare(**change)
        self.kill(self.victim())
        wait_until(lambda: not self.prepared(), PATIENCE, "the changed worker to start")

    def kill(self, pid: int, number: signal.Signals = signal.SIGKILL) -> None:
        """Signal one of our workers."""
        psutil.Process(pid).send_signal(number)

    def ended(self, pid: int) -> bool:
        """Whether the supervisor has said that this worker ended."""
        return any(end.pid == pid for end in self.said)

    def wait_end(self, how: str, what: str) -> None:
        """Until a worker has ended in this way; `what` says it in words."""
        wait_until(lambda: any(end.how == how for end in self.said), PATIENCE, what)

    def log_of(self, pid: int) -> str:
        """What the supervisor quoted of the log of an ended worker."""
        return "\n".join(end.text for end in self.said if end.pid == pid)

    def all_run(self) -> bool:
        """Whether every worker that there should be runs."""
        with self._lock:
            return all(len(crew.pids()) == len(crew._slots) for crew in self._crews)

    def wait_recovered(self) -> Sample:
        """Until all input that stands in Kafka now is committed; the look that showed it."""
        until = self.checker.fresh(PATIENCE).ends
        wait_until(lambda: self.checker.drained(self.checker.sample, until), PATIENCE, "the backlog to be committed")
        return self.checker.sample

    def wait_drained(self) -> None:
        """Until every worker runs, and all input, that of the workers included, is committed and in the books."""

        def done() -> bool:
            return self.all_run() and self.checker.drained(self.checker.fresh(PATIENCE))

        wait_until(done, PATIENCE, "every input record to be committed")
        self.checker.fresh(PATIENCE)

    def members(self) -> int:
        """Members of the workers' consumer group, as the broker says."""
        return asyncio.run(members(self.settings))

    def _hear(self, line: str) -> None:
        found = _ENDED.match(line)
        if found:
            self.said.append(Ended(found[1], int(found[2]), found[3], line))
        else:
            self.unclear.append(line)

    def _supervise(self, stop: Callable[[], bool]) -> None:
        while not stop():
            with self._lock:
                for crew in self._crews:
                    crew.step()
            time.sleep(0.1)


async def members(settings: Settings) -> int:
    """How many members the installation's consumer group has."""
    from aiokafka.admin import AIOKafkaAdminClient

    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap)
    await admin.start()
    try:
        (answer,) = await admin.describe_consumer_groups([settings.app_id])
        return len(answer.groups[0][-1 if isinstance(answer.groups[0][-1], list) else -2])
    finally:
        await admin.close()


@contextmanager
def running(directory: Path, seed: int, workers: int = WORKERS, **overrides: object) -> Iterator[Site]:
    """A site with its workers at work, inside the block."""
    with ExitStack() as open_now:
        kafka_proxy, redis_proxy = open_now.enter_context(Proxy()), open_now.enter_context(Proxy())
        stack = EmbeddedStack(directory / "data", 0, 0)
        stack._broker = ProxiedBroker(stack.data, kafka_proxy)
        stack.start()
        open_now.callback(stack.stop)
        redis_proxy.target = stack.redis.port
        values: dict[str, object] = {
            "bootstrap": stack.bootstrap, "redis_url": stack.redis_url, "partitions": PARTITIONS, "id_key": "faults",
            "session_timeout": 6.0, "commit_interval": 0.5, "metrics_port": 0, "max_batch_records": 200,
            "policy_path": str(POLICY),
        }  # fmt: skip
        settings = Settings(**{**values, **overrides})  # type: ignore[arg-type]
        asyncio.run(topic_admin.create_missing(settings))
        theirs = replace(settings, bootstrap=kafka_proxy.address, redis_url=f"redis://{redis_proxy.address}/0")
        checker = open_now.enter_context(Checker(settings))
        (directory / "workers").mkdir()
        site = Site(
            settings, theirs, stack, kafka_proxy, redis_proxy, checker, directory / "workers", random.Random(seed)
        )
        stopped = threading.Event()
        thread = threading.Thread(target=site._supervise, args=(stopped.is_set,), name="supervisor")
        site.hire(workers)
        thread.start()
        try:
            site.before = publish_before(settings)
            site.wait_drained()
            yield site
        finally:
            stopped.set()
            thread.join(60)
            for pid in site.pids():  # a stopped process does not hear SIGTERM
                os.kill(pid, signal.SIGCONT)
            for crew in list(site._crews):
                crew.stop()
