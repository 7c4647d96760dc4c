"""One worker under load: an orderly end, and memory that a backlog or a slow broker does not fill."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from itertools import islice
from typing import Self

import psutil
import pytest

from streams.edge.embedded.stack import EmbeddedStack
from streams.edge.topics import TOUCH_TOPICS
from streams.settings import Settings
from tests.faults.checker import Checker
from tests.faults.load import Load, epoch
from tests.faults.site import members
from tests.support.drained import wait_drained
from tests.support.publishing import publish
from tests.support.waiting import wait_until
from tests.support.worker import Worker

pytestmark = [pytest.mark.stack, pytest.mark.timeout(400)]


def test_stop_under_load_commits_and_leaves_the_group(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """SIGTERM under load: exit 0, the group has no member left, and whatever was sent on is committed, so nothing is done twice."""
    touches = epoch(1, seed=3)
    with Checker(settings) as checker, Worker(settings) as worker:
        load = Load(settings, touches, rate=200)
        load.start()
        try:
            wait_until(
                lambda: checker.sample.committed and len(load.acknowledged) > 600, 120, "the worker to be at work"
            )
            assert members_of(settings) == 1
            began = time.monotonic()
            assert worker.stop() == 0, "".join(worker.log[-30:])
            took = time.monotonic() - began
            assert members_of(settings) == 0
        finally:
            load.stop()
        committed = checker.fresh().committed
        inputs = {settings.topic(name) for name in TOUCH_TOPICS.values()}
        sent_on = {(origin[0], origin[1]): origin[2] for origin in sorted(checker.books.stands_at)}
        assert sent_on.keys() <= committed.keys()
        assert {place: at + 1 for place, at in sent_on.items() if committed[place] <= at} == {}
        assert sum(end for place, end in checker.sample.ends.items() if place[0] in inputs) > sum(
            at for place, at in committed.items() if place[0] in inputs
        ), "it was stopped behind the load, not under it"
        assert [*checker.books.violations, *checker.books.shrunk()] == []
    with capsys.disabled():
        print(f"\nstopped under load in {took:.1f} s")


def members_of(settings: Settings) -> int:
    """Members of the workers' group."""
    return asyncio.run(members(settings))


class Watched:
    """The largest RSS (bytes) of a process inside `with`, sampled ten times a second."""

    def __init__(self, worker: Worker) -> None:
        assert worker.process is not None
        self._process = psutil.Process(worker.process.pid)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.peak = 0

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            self.peak = max(self.peak, self._process.memory_info().rss)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def test_memory_does_not_grow_with_a_backlog(
    make_settings: Callable[..., Settings], stack: EmbeddedStack, capsys: pytest.CaptureFixture[str]
) -> None:
    """A worker that finds 30,000 waiting touches of few customers, and a broker that stands still in between, stays within half as
    much again, and 64 MB, of its memory at work on a trickle."""
    settings = make_settings(max_batch_records=500)
    touches = list(islice(epoch(1, seed=5), 34_000))
    with Worker(settings) as worker:
        with Watched(worker) as steady:
            publish(settings, touches[:4_000])
            wait_drained(settings)
        assert worker.stop() == 0, "".join(worker.log[-30:])
    publish(settings, touches[4_000:])
    with Worker(settings) as worker:
        with Watched(worker) as behind:
            stack.broker.pause()
            try:
                time.sleep(5)
            finally:
                stack.broker.resume()
            with Checker(settings) as checker:
                wait_until(lambda: checker.drained(checker.fresh()), 240, "the backlog to be committed")
            assert [*checker.books.violations, *checker.books.shrunk()] == []
        assert worker.stop() == 0, "".join(worker.log[-30:])
    with capsys.disabled():
        print(
            f"\nRSS {steady.peak >> 20} MB at a trickle, {behind.peak >> 20} MB at most behind a backlog of 30,000 touches"
        )
    assert behind.peak < 1.5 * steady.peak + (64 << 20)
