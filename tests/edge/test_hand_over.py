"""From Kafka to the stages: in order, not while partitions move, and committed only when Kafka has what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP
from prometheus_client import CollectorRegistry

from streams.core.policy import Policy
from streams.edge import app as app_module
from streams.edge.app import App
from streams.edge.embedded.stack import EmbeddedStack
from streams.edge.gather import Gather
from streams.edge.lane import Out, Write
from streams.edge.metrics import Metrics
from streams.edge.topics import COMMANDS, CONFLICTS, TOUCH_TOPICS
from streams.edge.transport import Consumer, Records
from streams.settings import Settings
from tests.support.lanes import contents
from tests.support.stack import paused

pytestmark = [pytest.mark.stack, pytest.mark.timeout(200)]

SETTINGS = Settings(app_id="hands")
IN = TP(SETTINGS.topic(TOUCH_TOPICS["email"]), 0)
ASKED = TP(SETTINGS.topic(COMMANDS), 0)


class Thread:
    """In place of the consumer's thread: polls that a test answers."""

    def __init__(self) -> None:
        self.asked: list[set[TP]] = []
        self.polls: list[asyncio.Future[Any]] = []

    def poll(self, partitions: set[TP], timeout: float) -> asyncio.Future[Any]:
        """Faust's thread asks aiokafka here."""
        self.asked.append(partitions)
        self.polls.append(asyncio.get_running_loop().create_future())
        return self.polls[-1]


def record(offset: int, tp: TP = IN) -> Any:
    """As much of aiokafka's ConsumerRecord as is looked at here."""
    return SimpleNamespace(topic=tp.topic, partition=tp.partition, offset=offset)


def offsets(batches: Any) -> list[int]:
    """Of all records, in order."""
    return [one.offset for records in batches for one in records]


@pytest.fixture
def loop() -> Iterator[asyncio.Runner]:
    """The app's parts belong to one event loop."""
    with asyncio.Runner() as runner:
        yield runner


def flowing(settings: Settings = SETTINGS) -> tuple[App, Consumer]:
    """An app whose consumer has two partitions and may read; nothing of it runs."""
    app = app_module.create(settings, Policy(), Metrics(CollectorRegistry()))
    consumer = app.consumer
    consumer._thread = Thread()
    consumer._active_partitions = {TP(settings.topic(TOUCH_TOPICS["email"]), 0), TP(settings.topic(COMMANDS), 0)}
    consumer.resume_flow()
    return app, consumer


async def settle() -> None:
    """Let everything that can happen happen."""
    for _ in range(50):
        await asyncio.sleep(0)


def test_polls_are_handed_over_in_order(loop: asyncio.Runner) -> None:
    """Of two polls under way at a time, what the first one took is in front."""

    async def run() -> None:
        app, consumer = flowing()
        tasks = [asyncio.ensure_future(consumer._hand_over()) for _ in range(2)]
        await settle()
        first, second = consumer._thread.polls
        first.set_result({IN: [record(0), record(1)]})
        second.set_result({IN: [record(2)], ASKED: [record(7, ASKED)]})
        await asyncio.gather(*tasks)
        assert offsets(app.gathers[IN.topic]._waiting) == [0, 1, 2]
        assert offsets(consumer._in_order[IN]) == [0, 1, 2]
        assert offsets(app.gathers[ASKED.topic]._waiting) == [7]

    loop.run(run())


@pytest.mark.parametrize("change", ["flow", "generation"])
def test_nothing_is_handed_over_across_a_rebalance(loop: asyncio.Runner, change: str) -> None:
    """What a poll brings after the flow was stopped, or in another generation of the group, goes nowhere: it is read again."""

    async def run() -> None:
        app, consumer = flowing()
        task = asyncio.ensure_future(consumer._hand_over())
        await settle()
        if change == "flow":
            consumer.stop_flow()
        else:
            app.consumer_generation_id += 1
        consumer._thread.polls[0].set_result({IN: [record(0)]})
        await task
        assert not app.gathers[IN.topic]._waiting
        assert not consumer._in_order[IN]

    loop.run(run())


def test_a_full_gather_is_left_out(loop: asyncio.Runner) -> None:
    """Its topics are not polled while the others are; when all are full, none is: to aiokafka no partitions are all."""

    async def run() -> None:
        app, consumer = flowing(Settings(app_id="hands", max_batch_records=2))
        consumer.deliver(IN, [record(0), record(1)])
        task = asyncio.ensure_future(consumer._hand_over())
        await settle()
        assert consumer._thread.asked == [{ASKED}]
        consumer._thread.polls[0].set_result({ASKED: [record(0, ASKED), record(1, ASKED)]})
        await task
        await consumer._hand_over()
        assert len(consumer._thread.asked) == 1
        app.gathers[IN.topic]._take()
        task = asyncio.ensure_future(consumer._hand_over())
        await settle()
        assert consumer._thread.asked[-1] == {IN}
        task.cancel()

    loop.run(run())


def test_seeking_waits_for_polls(loop: asyncio.Runner) -> None:
    """A poll under way could take records from behind the offset that is set; so it ends first, and the books are empty."""

    async def run() -> None:
        _, consumer = flowing()
        consumer.deliver(IN, [record(0)])
        sought: list[bool] = []

        async def seek() -> dict[TP, int]:
            sought.append(any(not poll.done() for poll in consumer._thread.polls))
            return {IN: 5}

        consumer._thread.seek_to_committed = seek
        consumer.assignment = lambda: {IN}
        polling = asyncio.ensure_future(consumer._hand_over())
        await settle()
        seeking = asyncio.ensure_future(consumer.perform_seek())
        await settle()
        assert sought == []
        consumer._thread.polls[0].set_result({IN: [record(1)]})
        await asyncio.gather(polling, seeking)
        assert sought == [False]
        assert not consumer._in_order

    loop.run(run())


def test_a_rebalance_commits_what_is_in_kafka_and_drops_what_waits(
    loop: asyncio.Runner, stack: EmbeddedStack, settings: Settings
) -> None:
    """While partitions are revoked, the round under way ends; its offsets are committed once the broker has its output, and not before.
    What only waited is neither processed nor committed."""
    touches, findings = TP(settings.topic(TOUCH_TOPICS["email"]), 0), settings.topic(CONFLICTS)
    given: list[list[int]] = []
    committed: list[dict[TP, int]] = []
    may_go = asyncio.Event()

    async def stage(batches: list[Records]) -> AsyncIterator[Write]:
        given.append(offsets(batches))
        await may_go.wait()
        yield Write([Out(findings, b"k", b"v")])

    async def run() -> None:
        app, consumer = flowing(settings)
        app.gathers[touches.topic] = gather = Gather(app, stage, 100)
        consumer.assignment = lambda: {touches}

        async def commit(asked: dict[TP, int]) -> bool:
            assert app.writes.under_way == 0
            committed.append(dict(asked))
            return True

        consumer._thread.commit = commit
        async with app.producer:
            await app.writes.submit(Write([Out(findings, b"known", b"before")]))  # the producer knows the topic now
            await app.writes.barrier()
            rounds = asyncio.ensure_future(gather.run())
            consumer.deliver(touches, [record(3, touches), record(4, touches)])
            await settle()
            consumer.deliver(touches, [record(5, touches)])
            revoking = asyncio.ensure_future(consumer.wait_empty())
            await settle()
            assert not revoking.done()
            with paused(stack):
                may_go.set()
                done, _ = await asyncio.wait({revoking}, timeout=2)
                assert not done and committed == []
            await asyncio.wait_for(revoking, 120)
            assert committed == [{touches: 5}]
            await settle()
            assert given == [[3, 4]]
            rounds.cancel()
            await app.writes.close()

    loop.run(run())
    assert sorted(one.value for one in asyncio.run(contents(settings, findings))) == [b"before", b"v"]
