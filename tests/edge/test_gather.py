"""What waits is taken together, in order, up to the limit; a rebalance drops it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from streams.edge import gather
from streams.edge.gather import Gather, NotNow
from streams.edge.lane import Write
from streams.edge.metrics import Metrics
from streams.edge.transport import Records


class Stream:
    """Micro-batches as a Faust stream gives them; `more` can be awaited for in between."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Records] = asyncio.Queue()

    def add(self, *offsets: int) -> Records:
        """One more micro-batch."""
        records = Records(SimpleNamespace(topic="t", partition=0, offset=offset) for offset in offsets)
        self.queue.put_nowait(records)
        return records

    async def events(self) -> AsyncIterator[Any]:
        """Endless, as Faust's."""
        while True:
            yield SimpleNamespace(
                value=await self.queue.get(), message=SimpleNamespace(topic="t", partition=0, offset=0)
            )


class Desk:
    """A stage that notes what it is given and waits until it may go on, and a lane that notes writes."""

    def __init__(self, limit: int) -> None:
        self.given: list[list[list[int]]] = []
        self.written: list[Write] = []
        self.may_go = asyncio.Event()
        self.away = False
        self.app = SimpleNamespace(metrics=Metrics(CollectorRegistry()), should_stop=False, writes=self)
        self.gather = Gather(self.app, self.stage, limit)
        self.stream = Stream()
        self.tasks = [asyncio.ensure_future(self.gather.follow(self.stream)), asyncio.ensure_future(self.gather.run())]

    async def stage(self, batches: list[Records]) -> list[Write]:
        """See the class."""
        self.given.append([[record.offset for record in records] for records in batches])
        await self.may_go.wait()
        if self.away:
            raise NotNow("Redis is away")
        return [Write([])]

    async def submit(self, write: Write) -> None:
        """The lane's."""
        self.written.append(write)

    async def settle(self) -> None:
        """Let everything that can happen happen."""
        for _ in range(50):
            await asyncio.sleep(0)

    async def end(self) -> None:
        """Stop the tasks."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


def test_what_came_meanwhile_is_taken_together() -> None:
    """While one round is under way the next micro-batches gather, and become one round, in order; then all are done."""

    async def run() -> None:
        desk = Desk(limit=100)
        first = desk.stream.add(0, 1)
        await desk.settle()
        rest = [desk.stream.add(n) for n in (2, 3, 4)]
        await desk.settle()
        assert desk.given == [[[0, 1]]]
        assert not first.done
        desk.may_go.set()
        await desk.settle()
        assert desk.given == [[[0, 1]], [[2], [3], [4]]]
        assert len(desk.written) == 2
        assert all(records.done for records in (first, *rest))
        await desk.end()

    asyncio.run(run())


def test_a_round_is_bounded() -> None:
    """At most `limit` records make a round, a larger micro-batch one of its own, and no more than that is read ahead."""

    async def run() -> None:
        desk = Desk(limit=3)
        desk.stream.add(0)
        await desk.settle()
        for offsets in ((1, 2), (3, 4), (5, 6, 7, 8), (9,)):
            desk.stream.add(*offsets)
        await desk.settle()
        assert desk.stream.queue.qsize() >= 1
        desk.may_go.set()
        await desk.settle()
        assert desk.given == [[[0]], [[1, 2]], [[3, 4]], [[5, 6, 7, 8]], [[9]]]
        await desk.end()

    asyncio.run(run())


def test_a_rebalance_drops_what_waits_and_lets_the_round_end() -> None:
    """`drop` returns when the round under way has ended; what waited, also for room, is neither processed nor done."""

    async def run() -> None:
        desk = Desk(limit=2)
        under_way = desk.stream.add(0)
        await desk.settle()
        waiting = [desk.stream.add(1, 2), desk.stream.add(3, 4)]
        await desk.settle()
        dropping = asyncio.ensure_future(desk.gather.drop())
        await desk.settle()
        assert not dropping.done()
        desk.may_go.set()
        await dropping
        await desk.settle()
        assert desk.given == [[[0]]]
        assert under_way.done
        assert not any(records.done for records in waiting)
        after = desk.stream.add(5)
        await desk.settle()
        assert desk.given == [[[0]], [[5]]]
        assert after.done
        await desk.end()

    asyncio.run(run())


def test_a_round_put_off_in_a_rebalance_is_dropped() -> None:
    """A stage that cannot go on gives its round back while the partitions are being revoked: that is not processed either."""

    async def run() -> None:
        desk = Desk(limit=100)
        desk.away = True
        dropped = desk.stream.add(0)
        await desk.settle()
        dropping = asyncio.ensure_future(desk.gather.drop())
        await desk.settle()
        desk.may_go.set()
        await dropping
        desk.away = False
        assert desk.gather._take() == []
        assert not dropped.done
        await desk.end()

    asyncio.run(run())


def test_a_stage_that_cannot_go_on_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a stage puts off is given to it again, in the same order and before what came later, and is not done until then; a
    rebalance in between drops it as if it had only waited."""
    monkeypatch.setattr(gather, "RETRY_AFTER", 0)

    async def run() -> None:
        desk = Desk(limit=100)
        desk.away = True
        desk.may_go.set()
        first = [desk.stream.add(0), desk.stream.add(1)]
        await desk.settle()
        assert desk.given[-1] == [[0], [1]] and desk.written == []
        assert not any(records.done for records in first)
        later = desk.stream.add(2)
        desk.away = False
        await desk.settle()
        assert [batch for given in desk.given[-2:] for batch in given][-3:] == [[0], [1], [2]]
        assert all(records.done for records in (*first, later))

        desk.away = True
        dropped = desk.stream.add(3)
        await desk.settle()
        await desk.gather.drop()
        desk.away = False
        before = len(desk.given)
        after = desk.stream.add(4)
        await desk.settle()
        assert desk.given[before:] == [[[4]]]
        assert after.done and not dropped.done
        await desk.end()

    asyncio.run(run())
