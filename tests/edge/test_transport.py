"""Micro-batches, offsets and flush: what Faust's own classes get wrong, and that ours do not.

The numbers of Faust's failures are those of section 0 of the reliability research. Number 1 has its other half in
test_lane.py, where a refused write ends a real process.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import faust
import pytest
from aiokafka.errors import ProducerClosed
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from streams.core.policy import Policy
from streams.edge import app as app_module
from streams.edge import doubt
from streams.edge.embedded.stack import EmbeddedStack
from streams.edge.lane import Out, Write
from streams.edge.metrics import Metrics
from streams.edge.topics import CONFLICTS, TOUCH_TOPICS
from streams.edge.transport import SLICE, Consumer, Records, micro_batches
from streams.settings import Settings
from tests.support.lanes import contents
from tests.support.stack import paused

pytestmark = [pytest.mark.stack, pytest.mark.timeout(200)]

TOUCHES = Settings().topic(TOUCH_TOPICS["email"])
_partitions = itertools.count()


def record(offset: int, tp: TP) -> Any:
    """As much of aiokafka's ConsumerRecord as a micro-batch is made from."""
    return SimpleNamespace(topic=tp.topic, partition=tp.partition, offset=offset, timestamp=offset, timestamp_type=0)


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=500, unique=True))
def test_micro_batches_hold_every_record_once_in_order(offsets: list[int]) -> None:
    """All records, in order, in full micro-batches but the last, none of them done."""
    records = [record(offset, TP("t", 3)) for offset in sorted(offsets)]
    batches = micro_batches(records)
    assert [r for batch in batches for r in batch] == records
    assert all(len(batch) == SLICE for batch in batches[:-1])
    assert 1 <= len(batches[-1]) <= SLICE
    assert not any(batch.done for batch in batches)


@pytest.fixture(scope="module")
def consumer() -> Iterator[Consumer]:
    """Our consumer, not started: its books need no broker. A test takes a `fresh` partition."""
    yield from _consumer(
        app_module.create(Settings(app_id="books"), Policy(), Metrics(CollectorRegistry())),
    )


@pytest.fixture(scope="module")
def fausts() -> Iterator[driver.Consumer]:
    """Faust's own consumer in the same state."""
    yield from _consumer(faust.App("books-faust", broker="kafka://127.0.0.1:1", store="memory://", web_enabled=False))


def _consumer(app: faust.App) -> Iterator[Any]:
    async def make() -> Any:
        return app.consumer

    with asyncio.Runner() as runner:
        yield runner.run(make())


def fresh() -> TP:
    """A partition that no test has used."""
    return TP(TOUCHES, next(_partitions))


def deliver(consumer: Consumer, tp: TP, offsets: list[int]) -> Records:
    """One micro-batch on its way to the stage."""
    consumer.deliver(tp, [record(offset, tp) for offset in offsets])
    return consumer._in_order[tp][-1]


def finish(records: Records) -> None:
    """What the gather does behind a micro-batch."""
    records.done = True


@given(data=st.data())
def test_offsets_follow_the_order_of_delivery(consumer: Consumer, data: st.DataObject) -> None:
    """In any order of completion and with any holes in the offsets, what may be committed is the end of the unbroken done part."""
    tp = fresh()
    steps = data.draw(st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=3), min_size=1, max_size=12))
    offset, batches = data.draw(st.integers(-1, 20)), []
    for gaps in steps:
        offsets = []
        for gap in gaps:  # 1: the next offset; more: compacted records or transaction markers lie between
            offset += gap
            offsets.append(offset)
        batches.append(deliver(consumer, tp, offsets))
    committed = None
    for place in data.draw(st.permutations(range(len(batches)))):
        finish(batches[place])
        if data.draw(st.booleans()):
            continue  # several are done before the next commit
        new = consumer._new_offset(tp)
        done = list(itertools.takewhile(lambda records: records.done, batches))
        expected = done[-1][-1].offset + 1 if done else None
        assert new == (expected if expected != committed else None)
        committed = expected
    new = consumer._new_offset(tp)
    assert (new or committed) == offset + 1
    assert consumer._new_offset(tp) is None


def test_revoked_partition_is_forgotten(consumer: Consumer) -> None:
    """What was in flight when a partition went away neither holds back nor moves the offsets of its next assignment."""
    tp = fresh()
    old = deliver(consumer, tp, [5, 6])
    consumer.forget({tp})
    new = deliver(consumer, tp, [5, 6, 7])
    old.done = True
    assert consumer._new_offset(tp) is None
    finish(new)
    assert consumer._new_offset(tp) == 8


def test_waiting_time_runs_while_records_wait(consumer: Consumer) -> None:
    """`waiting_since` is set by the first micro-batch on its way and cleared when all partitions are forgotten."""
    tp = fresh()
    consumer.forget(set(consumer._in_order))
    assert consumer.waiting_since is None
    deliver(consumer, tp, [1])
    assert consumer.waiting_since is not None
    consumer.forget({tp})
    assert consumer.waiting_since is None


def test_faust_3_commits_past_unprocessed_messages(consumer: Consumer, fausts: driver.Consumer) -> None:
    """Faust commits 5 while message 2 is being processed, and 3 while message 0 of a fresh group is; ours commits neither."""
    for committed, waiting, done in ((2, 2, (3, 4)), (None, 0, (1, 2))):
        tp = fresh()
        fausts._committed_offset[tp] = consumer._committed_offset[tp] = committed
        fausts._acked[tp] = list(done)
        assert fausts._new_offset(tp) == done[-1] + 1
        first = deliver(consumer, tp, [waiting])
        for offset in done:
            finish(deliver(consumer, tp, [offset]))
        assert consumer._new_offset(tp) is None
        finish(first)
        assert consumer._new_offset(tp) == done[-1] + 1


def test_faust_3_takes_what_it_just_read_for_a_gap(consumer: Consumer, fausts: driver.Consumer) -> None:
    """After a hole in the offsets, Faust commits past message 15, which is being processed; ours does not."""
    tp = fresh()

    async def gap() -> None:
        fausts._committed_offset[tp] = 11
        await fausts._add_gap(tp, 11, 15)  # as its _drain_messages does when 15 is read behind 10

    asyncio.run(gap())
    fausts._acked[tp] = [16]
    assert fausts._new_offset(tp) == 17
    consumer._committed_offset[tp] = 11
    deliver(consumer, tp, [15])
    finish(deliver(consumer, tp, [16]))
    assert consumer._new_offset(tp) is None


def test_faust_4_undecodable_message_overtakes_queued_ones(consumer: Consumer, fausts: driver.Consumer) -> None:
    """Faust acknowledges an undecodable message ahead of the queued ones and commits past them; ours has no undecodable messages."""
    tp = fresh()
    fausts._acked[tp] = [5]  # what its conductor does at once, with 0..4 still in the agent's queue
    assert fausts._new_offset(tp) == 6
    raw = deliver(consumer, tp, [0])
    assert consumer.app.gathers[tp.topic]._waiting[-1] is raw
    finish(deliver(consumer, tp, [5]))
    assert consumer._new_offset(tp) is None


class Committed(Exception):
    """The commit was reached."""


def commit_reached(consumer: Any) -> Any:
    """Runs `_commit_offsets` of one offset; raises Committed where the driver would ask the broker to commit."""

    async def commit(offsets: Any) -> bool:
        raise Committed

    consumer._commit = commit
    consumer.assignment = lambda: {TP("in", 0)}
    return driver.Consumer._commit_offsets(consumer, {TP("in", 0): 42})


def test_faust_1_commits_past_a_failed_delivery(settings: Settings) -> None:
    """Faust's own producer: the broker refuses a record, and the commit goes on. Ours leaves before (test_lane.py)."""

    async def run() -> None:
        app = faust.App(
            settings.app_id, broker=f"kafka://{settings.bootstrap}", store="memory://", web_enabled=False,
            producer_max_request_size=4_000_000, topic_allow_declare=False,
        )  # fmt: skip
        async with app.producer:
            sent = app.topic(settings.topic(CONFLICTS), value_type=bytes).send_soon(value=bytes(2_000_000), partition=0)
            with pytest.raises(Committed):
                await commit_reached(app.consumer)
            with pytest.raises(Exception, match="MessageSizeTooLarge"):
                await asyncio.wait_for(sent, 60)

    asyncio.run(run())
    assert asyncio.run(contents(settings, settings.topic(CONFLICTS))) == []


def test_faust_2_flush_returns_early(stack: EmbeddedStack, settings: Settings) -> None:
    """With the broker paused, Faust's flush returns and the commit goes on with nothing sent; ours waits for the broker."""
    topic = settings.topic(CONFLICTS)

    async def fausts_way() -> None:
        app = faust.App(
            settings.app_id, broker=f"kafka://{settings.bootstrap}", store="memory://", web_enabled=False,
            topic_allow_declare=False,
        )  # fmt: skip
        async with app.producer:
            with paused(stack):
                sent = [app.topic(topic, value_type=bytes).send_soon(value=b"v", partition=0) for _ in range(5)]
                with pytest.raises(Committed):
                    await asyncio.wait_for(commit_reached(app.consumer), 60)
                assert not any(one.done() for one in sent)
            await asyncio.wait_for(asyncio.gather(*sent), 60)

    async def ours() -> None:
        app = app_module.create(settings, Policy(), Metrics(CollectorRegistry()))
        async with app.producer:
            await app.writes.submit(Write([Out(topic, b"known", b"before")]))  # the producer knows the topic now
            await app.writes.barrier()
            with paused(stack):
                await app.writes.submit(Write([Out(topic, b"k", b"v")]))
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(commit_reached(app.consumer), 2)
            with pytest.raises(Committed):
                await asyncio.wait_for(commit_reached(app.consumer), 60)
            assert app.writes.under_way == 0
            await app.writes.close()

    asyncio.run(fausts_way())
    assert len(asyncio.run(contents(settings, topic))) == 5
    asyncio.run(ours())
    assert len(asyncio.run(contents(settings, topic))) == 7


class Left(Exception):
    """The process would have ended."""


def test_failed_commit_ends_the_process(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the flush before a commit fails, the process leaves: Faust has dropped the list of offsets by then."""

    def leave(reason: str, error: BaseException | None = None) -> None:
        raise Left(reason)

    async def fail() -> None:
        raise ProducerClosed

    async def run() -> None:
        app = app_module.create(settings, Policy(), Metrics(CollectorRegistry()))
        consumer = app.consumer
        consumer.assignment = lambda: {TP("in", 0)}
        app.producer.flush = fail
        with pytest.raises(Left, match="offsets could not be committed"):
            await consumer._commit_offsets({TP("in", 0): 42})

    monkeypatch.setattr(doubt, "leave", leave)
    asyncio.run(run())
