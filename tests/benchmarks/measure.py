"""One run of one engine: start it, time it, stop it, read what it found."""

from __future__ import annotations

import asyncio
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal

import psutil
from msgspec import Struct

from streams.core import backtest
from streams.edge import reader
from streams.edge.embedded.stack import EmbeddedStack
from streams.edge.topics import DEAD_LETTER
from tests.benchmarks import cluster, kafka_streams
from tests.benchmarks.plan import RULE_OUTPUT, Job, Run
from tests.benchmarks.rule import decode_pair
from tests.support.worker import ROOT, environment

DEADLINE = 3600.0
"""Seconds after which a run has failed."""

PYTHON_ENGINES = ("touchstream", "quixstreams", "bytewax", "faust_guide", "librdkafka_loop")

IN_REDIS = "_redis"
"""Behind the name of a peer that keeps identities where touchstream does."""


def engines(job: Job) -> list[str]:
    """All engines that do this job."""
    more = ["kafka_streams", "kafka_streams_2_threads"]
    if job == "whole_worker":
        more = ["touchstream_2_workers", *(engine + IN_REDIS for engine in ("quixstreams", "bytewax"))]
    return [*PYTHON_ENGINES, *more]


class Result(Struct, frozen=True):
    """One run: input records a second, the engine's own processor time a record (all threads; it depends less on what else the
    machine does), peak resident memory, and the findings in a form that compares (see `found`)."""

    engine: str
    rate: float
    seconds: float
    cpu_us: float
    rss_mb: float
    found: frozenset[tuple[str, str]]


class Failed(Exception):
    """An engine did not finish; the text has the end of its log."""


class Child:
    """The engine's process, what it has said, and the most memory it had."""

    def __init__(self, command: list[str], env: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.log: list[str] = []
        self.moments: dict[str, float] = {}
        self.rss = 0
        self.cpu: list[float] = []
        self._observed = psutil.Process(self.process.pid)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if match := re.search(r"(first|done) (\d+)$", line):
                self.moments.setdefault(match[1], int(match[2]) / 1e9)
            elif re.search(
                r"ready: \d+ timelines restored", line
            ):  # `touchstream worker` says it before its first record
                self.moments.setdefault("first", time.time())
            self.log = [*self.log[-60:], line]

    def over(self) -> bool:
        """Whether it has ended or says that its work is done; also looks at its memory."""
        if self.process.poll() is None:
            self.rss = max(self.rss, self._observed.memory_info().rss)
            if "first" in self.moments:
                used = self._observed.cpu_times()
                self.cpu = [*self.cpu[:1], used.user + used.system]
        return self.process.poll() is not None or "done" in self.moments


@contextmanager
def child(command: list[str], env: dict[str, str]) -> Iterator[Child]:
    """A process that is killed at the end of the block."""
    started = Child(command, env)
    try:
        yield started
    finally:
        if started.process.poll() is None:
            started.process.send_signal(signal.SIGKILL)
        started.process.wait(30)


def make_run(stack: EmbeddedStack, job: Job, prefix: str, records: int, engine: str = "load") -> Run:
    """A run with a group of its own; its directory is not made yet."""
    group = f"bench-{engine.replace('_', '-')}-{uuid.uuid4().hex[:6]}"
    directory, threads = str(Path(tempfile.gettempdir()) / group), 2 if "2_threads" in engine else 1
    identities: Literal["memory", "redis"] = "redis" if engine.endswith(IN_REDIS) else "memory"
    return Run(job, stack.bootstrap, stack.redis_url, prefix, group, directory, records, threads, identities)


def measure(stack: EmbeddedStack, job: Job, prefix: str, records: int, engine: str) -> Result:
    """Raises Failed when the engine ends or does not get to the end."""
    run = make_run(stack, job, prefix, records, engine)
    Path(run.data_dir).mkdir()
    try:
        asyncio.run(cluster.prepare(run))
        with ExitStack() as started:
            command, env = _command(engine, run), environment(run.settings())
            count = 2 if engine.endswith("_2_workers") else 1
            processes = [started.enter_context(child(command, env)) for _ in range(count)]
            seconds = _wait(run, processes)
        used = sum(process.cpu[-1] - process.cpu[0] for process in processes if process.cpu)
        rss = sum(process.rss for process in processes) / 2**20
        return Result(engine, records / seconds, seconds, used / records * 1e6, rss, found(run))
    finally:
        shutil.rmtree(run.data_dir, ignore_errors=True)
        asyncio.run(cluster.recreate(run.bootstrap, [], remove=run.group))


def _command(engine: str, run: Run) -> list[str]:
    if engine.startswith("touchstream") and run.job == "whole_worker":
        return [sys.executable, "-m", "streams", "worker"]
    if engine.startswith("kafka_streams"):
        return kafka_streams.command(run)
    return [sys.executable, "-m", f"tests.benchmarks.engines.{engine.removesuffix(IN_REDIS)}", run.encode()]


def _wait(run: Run, children: list[Child]) -> float:
    """Seconds from the first record to the end."""
    deadline = time.monotonic() + DEADLINE

    def stop() -> bool:
        over = [child.over() for child in children]  # each is looked at
        return any(over) or time.monotonic() > deadline

    committed = asyncio.run(cluster.ended(run, stop))
    end = time.time() if committed else children[0].moments.get("done")
    begun = [child.moments["first"] for child in children if "first" in child.moments]
    if end is None or not begun:
        codes, log = [child.process.poll() for child in children], "".join(children[0].log)
        raise Failed(f"the engine did not finish (exit codes {codes}):\n{log}")
    return end - min(begun)


def found(run: Run) -> frozenset[tuple[str, str]]:
    """Findings folded by id and content without what depends on the order of arrival (revision, detected or amended);
    `rule_only`: (customer and earlier id, later id). Dead letters fail the run: the input has nothing bad."""

    async def read() -> frozenset[tuple[str, str]]:
        settings = run.settings()
        if run.job == "rule_only":
            names = [run.topic(RULE_OUTPUT)]
            pairs = [
                decode_pair(r.value or b"") async for r in reader.read(settings, names, start="beginning", follow=False)
            ]
            return frozenset((f"{pair.customer} {pair.earlier}", pair.later) for pair in pairs)
        dead = [r async for r in reader.read(settings, [run.topic(DEAD_LETTER)], start="beginning", follow=False)]
        if dead:
            raise Failed(f"{len(dead)} touches became dead letters, the first at {dead[0].address}")
        held = backtest.standing(await reader.findings(settings))
        return frozenset((finding.finding_id, " ".join(finding.touch_ids)) for finding in held)

    return asyncio.run(read())
