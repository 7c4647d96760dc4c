"""What waits is taken together, in order, up to the limit; a rebalance drops it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.edge import gather
from streams.edge.gather import Gather, NotNow
from streams.edge.lane import Write
from streams.edge.transport import Records


class Desk:
    """A stage that notes what it is given and waits until it may go on, and a lane that notes writes."""

    def __init__(self, limit: int) -> None:
        self.given: list[list[list[int]]] = []
        self.written: list[Write] = []
        self.may_go = asyncio.Event()
        self.away = False
        self.app = SimpleNamespace(should_stop=False, writes=self)
        self.gather = Gather(self.app, self.stage, limit)
        self.tasks = [asyncio.ensure_future(self.gather.run())]

    def add(self, *offsets: int) -> Records:
        """One more micro-batch."""
        records = Records(SimpleNamespace(topic="t", partition=0, offset=offset) for offset in offsets)
        self.gather.put([records])
        return records

    async def stage(self, batches: list[Records]) -> AsyncIterator[Write]:
        """See the class."""
        self.given.append([[record.offset for record in records] for records in batches])
        await self.may_go.wait()
        if self.away:
            raise NotNow("Redis is away")
        yield Write([])

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
        first = desk.add(0, 1)
        await desk.settle()
        rest = [desk.add(n) for n in (2, 3, 4)]
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
    """At most `limit` records make a round, a larger micro-batch one of its own; with so many waiting, the gather is full."""

    async def run() -> None:
        desk = Desk(limit=3)
        desk.add(0)
        await desk.settle()
        assert not desk.gather.full
        for offsets in ((1, 2), (3, 4), (5, 6, 7, 8), (9,)):
            desk.add(*offsets)
        await desk.settle()
        assert desk.gather.full
        desk.may_go.set()
        await desk.settle()
        assert desk.given == [[[0]], [[1, 2]], [[3, 4]], [[5, 6, 7, 8]], [[9]]]
        assert not desk.gather.full
        await desk.end()

    asyncio.run(run())


@given(st.lists(st.integers(1, 100), min_size=1, max_size=40), st.floats(0.00001, 0.1))
def test_a_round_is_bounded_by_time(sizes: list[int], pace: float) -> None:
    """At the pace of former rounds, no round takes longer than it should, unless it has few records; and all are taken, in order."""
    held = Gather(None, Desk.stage, 5_000)  # type: ignore[arg-type] - the stage is not called
    for _ in range(50):
        held._learn(1_000, 1_000 * pace)
    held.put([Records([None] * size) for size in sizes])
    taken = []
    while batches := held._take():
        count = sum(map(len, batches))
        assert count * pace <= gather.ROUND * 1.01 or count <= gather.SMALLEST
        taken += [len(records) for records in batches]
    assert taken == sizes


def test_a_rebalance_drops_what_waits_and_lets_the_round_end() -> None:
    """`drop` returns when the round under way has ended; what waited, also for room, is neither processed nor done."""

    async def run() -> None:
        desk = Desk(limit=2)
        under_way = desk.add(0)
        await desk.settle()
        waiting = [desk.add(1, 2), desk.add(3, 4)]
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
        after = desk.add(5)
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
        dropped = desk.add(0)
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
        first = [desk.add(0), desk.add(1)]
        await desk.settle()
        assert desk.given[-1] == [[0], [1]] and desk.written == []
        assert not any(records.done for records in first)
        later = desk.add(2)
        desk.away = False
        await desk.settle()
        assert [batch for given in desk.given[-2:] for batch in given][-3:] == [[0], [1], [2]]
        assert all(records.done for records in (*first, later))

        desk.away = True
        dropped = desk.add(3)
        await desk.settle()
        await desk.gather.drop()
        desk.away = False
        before = len(desk.given)
        after = desk.add(4)
        await desk.settle()
        assert desk.given[before:] == [[[4]]]
        assert after.done and not dropped.done
        await desk.end()

    asyncio.run(run())
