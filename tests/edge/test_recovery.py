"""Rebalances and the timelines in memory: what is read, kept and freed, and when touches flow again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError
from faust.types import TP
from prometheus_client import CollectorRegistry

from streams.core.policy import Policy
from streams.core.timeline import Entry, Timeline, encode
from streams.edge import app as app_module
from streams.edge import doubt
from streams.edge.app import App
from streams.edge.embedded.stack import EmbeddedStack
from streams.edge.lane import Write
from streams.edge.metrics import Metrics
from streams.edge.recovery import Recovery
from streams.edge.restore import Restore
from streams.edge.store import Store
from streams.edge.topics import IDENTIFIED, TIMELINES_TABLE, changelog
from streams.settings import Settings
from tests.support.lanes import lane_of

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]

VALUES = [encode(Timeline(entries=(Entry(at, "t-1", "email", "sales", "outbound", "sent"),))) for at in (1, 2, 3)]
SECONDS = 180


class Left(Exception):
    """The process would have ended."""


@pytest.fixture
def resumed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[set[TP]]]:
    """The assignments for which touches would flow again: the apps of these tests have no consumer running."""
    found: list[set[TP]] = []

    async def resume(self: Recovery, assigned: set[TP]) -> None:
        found.append(assigned)

    monkeypatch.setattr(Recovery, "_resume", resume)
    yield found


@asynccontextmanager
async def worker(settings: Settings) -> AsyncIterator[App]:
    """An app whose lane is open."""
    app = app_module.create(settings, Policy(), Metrics(CollectorRegistry()))
    async with app.producer:
        try:
            yield app
        finally:
            await app.writes.barrier()
            await app.writes.close()


def assignment(settings: Settings, *partitions: int) -> set[TP]:
    """These partitions of the touches and of the changelog."""
    return {TP(topic, p) for topic in (changelog(settings), settings.topic(IDENTIFIED)) for p in partitions}


async def rebalance(app: App, generation: int, *partitions: int) -> None:
    """What Faust does when the group has agreed."""
    recovery: Recovery = app.tables.recovery
    app.consumer_generation_id = generation
    recovery.on_partitions_revoked(set())
    await recovery.on_rebalance(assignment(app.touchstream, *partitions), set(), set(), generation)
    recovery.begin()


async def recovered(app: App, generation: int, *partitions: int) -> Restore:
    """A rebalance and the recovery that follows it."""
    await rebalance(app, generation, *partitions)
    await ended(app)
    restored: Restore = app.tables.recovery.restored
    return restored


async def ended(app: App) -> None:
    """The recovery under way has come to its end."""
    running: asyncio.Task[None] = app.tables.recovery._running
    await asyncio.wait_for(running, SECONDS)


async def write(app: App, partition: int, **values: bytes) -> None:
    """As the timelines' stage does it: into the store, then the changelog."""
    named = {name.encode(): value for name, value in values.items()}
    table(app).write(partition, named)
    await app.writes.submit(Write([], partition, named))
    await app.writes.barrier()


async def write_elsewhere(settings: Settings, partition: int, **values: bytes) -> None:
    """Another worker's write to the changelog."""
    async with lane_of(settings) as (lane, _):
        await lane.submit(Write([], partition, {name.encode(): value for name, value in values.items()}))
        await lane.barrier()


def table(app: App) -> Store:
    """The store of the timelines."""
    store: Store = app.tables[TIMELINES_TABLE].data
    return store


def test_after_a_rebalance_only_what_others_wrote_is_read(settings: Settings, resumed: list[set[TP]]) -> None:
    """A partition that stays costs nothing; what another worker wrote in between is restored, on any side of our own writes;
    a partition that leaves is freed and, when it comes back, read from its beginning."""
    old, new, newest = VALUES

    async def story() -> None:
        await write_elsewhere(settings, 0, a=old)
        await write_elsewhere(settings, 1, b=old, c=old)
        async with worker(settings) as app:
            store = table(app)
            assert (await recovered(app, 1, 0, 1)).records == 3
            await write(app, 0, a=new, d=old)
            assert (await recovered(app, 2, 0)).records == 0
            assert set(store.partitions) == {0}
            assert store.partitions[0].values == {b"a": new, b"d": old}

            await write_elsewhere(settings, 0, a=newest)
            await write(app, 0, d=new)
            assert (await recovered(app, 3, 0, 1)).records == 2 + 2  # theirs and ours behind it, and partition 1
            assert store.partitions[0].values == {b"a": newest, b"d": new}
            assert store.partitions[1].values == {b"b": old, b"c": old}

            await write(app, 1, c=new)
            assert (await recovered(app, 4, 0, 1)).records == 0
            assert store.read(1, b"c") == new
        assert resumed == [assignment(settings, *partitions) for partitions in ((0, 1), (0,), (0, 1), (0, 1))]

    asyncio.run(story())


def test_rebalance_during_a_restore(settings: Settings, stack: EmbeddedStack, resumed: list[set[TP]]) -> None:
    """A restore that a newer generation overtakes does not let touches flow; the newer one restores what it was given."""

    async def story() -> None:
        await write_elsewhere(settings, 0, a=VALUES[0])
        await write_elsewhere(settings, 1, b=VALUES[0])
        async with worker(settings) as app:
            stack.broker.pause()
            try:
                await rebalance(app, 1, 0)
                await asyncio.sleep(0.2)
                await rebalance(app, 2, 1)
            finally:
                stack.broker.resume()
            await ended(app)
            assert resumed == [assignment(settings, 1)]
            assert {p: held.values for p, held in table(app).partitions.items()} == {1: {b"b": VALUES[0]}}

    asyncio.run(story())


def test_assignment_of_an_old_generation_is_not_recovered(settings: Settings, resumed: list[set[TP]]) -> None:
    """While the group agrees anew, neither a restore begins nor does one that has just ended let touches flow."""

    async def story() -> None:
        async with worker(settings) as app:
            recovery: Recovery = app.tables.recovery
            app.consumer_generation_id = 5
            await recovery.on_rebalance(assignment(settings, 0), set(), set(), 4)
            recovery.begin()
            assert recovery._running is None
            await rebalance(app, 6, 0)
            app.consumer_generation_id = 7
            await ended(app)
        assert resumed == []

    asyncio.run(story())


@pytest.mark.parametrize("error", [TopicAuthorizationFailedError("log"), asyncio.CancelledError()])
def test_failed_restore_ends_the_process(
    settings: Settings, resumed: list[set[TP]], monkeypatch: pytest.MonkeyPatch, error: KafkaError
) -> None:
    """A changelog that cannot be read ends the worker, even when aiokafka fails with a cancellation that nobody asked for; a
    worker that stays in its group and does nothing would keep the partitions from the others."""

    def leave(reason: str, error: BaseException | None = None) -> None:
        raise Left(reason)

    async def fail(self: Restore, partitions: set[int]) -> None:
        raise error

    async def story() -> None:
        async with worker(settings) as app:
            with pytest.raises(Left, match="could not be restored"):
                await recovered(app, 1, 0)

    monkeypatch.setattr(doubt, "leave", leave)
    monkeypatch.setattr(Restore, "run", fail)
    asyncio.run(story())
    assert resumed == []


def test_lane_follows_its_own_writes_only(settings: Settings) -> None:
    """The lane's end of a changelog partition moves with its writes, also when several go at once, and stays where another
    process has written behind it or where nothing was restored."""

    async def story() -> None:
        async with lane_of(settings) as (lane, _):
            lane.changelog_ends[0] = 0
            for count in (1, 3, 2):
                await lane.submit(Write([], 0, {b"%d" % key: b"v" for key in range(count)}))
            await lane.submit(Write([], 1, {b"k": b"v"}))
            await lane.barrier()
            assert lane.changelog_ends == {0: 6}
            await write_elsewhere(settings, 0, other=b"v")
            await lane.submit(Write([], 0, {b"k": b"v"}))
            await lane.barrier()
            assert lane.changelog_ends == {0: 6}

    asyncio.run(story())
