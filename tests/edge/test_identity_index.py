"""The identity index on real Redis and Kafka: answers, the log, what is lost and found again."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Iterator

import pytest
import redis
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from streams.core.identify import Graph, Link, Resolved, resolve_alone
from streams.edge import identity_index
from streams.edge.embedded.stack import EmbeddedStack
from streams.edge.identity_index import PATIENCE
from streams.edge.topics import IDENTITIES
from streams.settings import Settings
from tests.support.identities import Redirects, Worker, workers
from tests.support.lanes import contents
from tests.support.waiting import wait_until_async

pytestmark = [pytest.mark.stack, pytest.mark.timeout(200)]

A, B, C, D = "c1-a", "c2-b", "c3-c", "c4-d"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Overdue at once, so that a test need not wait for it."""
    monkeypatch.setattr(identity_index, "OVERDUE_AFTER", 0)
    monkeypatch.setattr(identity_index, "RETRY_AFTER", 0.05)


def flush(settings: Settings) -> None:
    """Everything in the installation's Redis database is gone."""
    with redis.Redis.from_url(settings.redis_url) as client:
        client.flushdb()


def remove(settings: Settings, *names: str) -> None:
    """Redis lost some keys, as after a restart from an older snapshot."""
    with redis.Redis.from_url(settings.redis_url) as client:
        client.delete(*(f"touchstream:{settings.app_id}:id:{name}" for name in names))


def test_new_known_linked_merged(settings: Settings) -> None:
    """A new identifier is its own customer, a known one its root's, a linked one joins, and a smaller id takes a customer over."""

    async def run() -> None:
        async with workers(settings) as ((worker,), _):
            (new,) = await worker.resolve((B,))
            assert new == Resolved(B, (Link(B, B),))
            await worker.publish([new])
            assert await worker.resolve((B,)) == [Resolved(B)]
            (linked,) = await worker.resolve((B, C))
            assert linked == Resolved(B, (Link(B, C),))
            await worker.publish([linked])
            assert await worker.resolve((C,), (C,), (B, C)) == [Resolved(B)] * 3
            (merged,) = await worker.resolve((A, C))
            assert merged.customer_id == A
            assert set(merged.links) == {Link(A, A), Link(A, B, loser=B)}
            await worker.publish([merged])
            assert await worker.resolve((A,), (B,), (C,)) == [Resolved(A)] * 3
            assert await worker.resolve() == []
            assert worker.outcomes() == {"new": 1, "linked": 1, "merged": 1, "hit": 7}

    asyncio.run(run())


_examples = itertools.count()
TOUCHES = st.lists(
    st.tuples(st.lists(st.integers(0, 9), min_size=1, max_size=3, unique=True), st.integers(0, 2), st.booleans()),
    max_size=25,
)


@hypothesis_settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(touches=TOUCHES)
def test_answers_are_the_graphs(settings: Settings, touches: list[tuple[list[int], int, bool]]) -> None:
    """Any touches through three workers in turn, published or cut off by a crash, give the customers of the graph; every id that
    was used leads to its customer."""
    example = next(_examples)

    async def run() -> None:
        async with workers(settings, 3) as (some, redirects):
            graph, cut = Graph(), []
            for numbers, worker, published in touches:
                ids = tuple(sorted(f"c{1 + n % 5}-{example}-{n}" for n in numbers))
                answers = await some[worker].resolve(ids)
                assert answers[0].customer_id == graph.link(ids)
                if published:
                    await some[worker].publish(answers)
                else:
                    cut.append(ids)
            for ids in cut:  # they were not committed, so they are read again
                assert await some[0].touch(ids) == [graph.find(ids[0])]
            assert_no_orphans(redirects, graph)

    asyncio.run(run())


def assert_no_orphans(redirects: Redirects, graph: Graph) -> None:
    """A touch sent to any id that was ever used ends up with the customer that the graph says."""
    assert {used: redirects.end_of(used) for used in redirects.used} == {
        used: graph.find(used) for used in redirects.used
    }


def test_links_are_reported_until_logged(settings: Settings) -> None:
    """A link is reported by every look-up of its customer until Kafka has it, also by another worker and after a merge moved it."""

    async def run() -> None:
        async with workers(settings, 2) as ((first, second), _):
            lost = await first.resolve((C, D))
            assert set(lost[0].links) == {Link(C, C), Link(C, D)}
            assert await second.resolve((D,)) == lost
            (merged,) = await second.resolve((B, D))
            assert set(merged.links) == {Link(B, B), Link(B, C, loser=C), *lost[0].links}
            (again,) = await first.resolve((C,))
            assert set(again.links) == set(merged.links)
            await second.publish([merged])
            assert await first.resolve((D,)) == [Resolved(B)]

    asyncio.run(run())


def test_many_open_links_move_in_one_merge(settings: Settings) -> None:
    """A merge takes along thousands of links that are not logged yet."""
    ids = [f"c5-{n:05d}" for n in range(9000)]

    async def run() -> None:
        async with workers(settings) as ((worker,), _):
            for start in range(0, len(ids), 1000):
                await worker.resolve((B, *ids[start : start + 1000]))
            (merged,) = await worker.resolve((A, B))
            assert len(merged.links) == len(ids) + 3
            assert merged.customer_id == A

    asyncio.run(run())


def test_flushed_index_is_rebuilt_from_the_log(settings: Settings) -> None:
    """After FLUSHALL the same worker and a new one give the same answers as before, without a touch decided alone."""
    rng = random.Random(7)
    touches = [tuple(sorted(f"c{1 + n % 5}-{n}" for n in rng.sample(range(60), rng.randint(1, 3)))) for _ in range(150)]

    async def run() -> None:
        async with workers(settings, 2) as ((old, new), redirects):
            await old.touch(*touches)
            before = [answer.customer_id for answer in await old.resolve(*touches)]
            flush(settings)
            assert [answer.customer_id for answer in await old.resolve(*touches)] == before
            flush(settings)
            assert [answer.customer_id for answer in await new.resolve(*touches)] == before
            assert "unavailable" not in {**old.outcomes(), **new.outcomes()}
            graph = Graph()
            for ids in touches:
                graph.link(ids)
            assert before == [graph.find(ids[0]) for ids in touches]
            assert_no_orphans(redirects, graph)

    asyncio.run(run())


def test_sync_reads_only_the_tail(settings: Settings) -> None:
    """A second worker reads what came since the first one's sync, a third nothing; after a flush all of it is read."""

    async def run() -> None:
        async with workers(settings, 3) as ((first, second, third), _):
            await first.touch((A,), (B,), (C,))
            assert await second.index.sync() == 3
            await first.touch((D,))
            assert await third.index.sync() == 1
            assert await third.index.sync() == 0
            flush(settings)
            assert await third.index.sync() == 4

    asyncio.run(run())


def test_log_that_was_made_anew(settings: Settings) -> None:
    """An offset behind the log's end belongs to another log: the log is read from its beginning."""

    async def run() -> None:
        async with workers(settings) as ((worker,), _):
            await worker.touch((A,), (B,))
            await worker.index.sync()
            with redis.Redis.from_url(settings.redis_url) as client:
                client.hset(f"touchstream:{settings.app_id}:id:offsets", mapping={"0": 1000, "1": 1000})
            assert await worker.index.sync() == 2

    asyncio.run(run())


def test_flush_while_the_index_is_built(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flush in the middle of a rebuild is noticed: the half-filled index is not taken for complete."""

    async def run() -> None:
        async with workers(settings, 2) as ((worker, other), _):
            await worker.touch((A, B), (C,))
            flush(settings)
            real = other.index._run

            async def flushed_behind(operation: str, operands: list[str]) -> list[list[bytes]]:
                answers = await real(operation, operands)
                if operation == "apply":
                    monkeypatch.setattr(other.index, "_run", real)
                    flush(settings)
                return answers

            monkeypatch.setattr(other.index, "_run", flushed_behind)
            with pytest.raises(redis.ResponseError, match="UNSYNCED"):
                await other.index.sync()
            assert [answer.customer_id for answer in await other.resolve((B,), (C,))] == [A, C]

    asyncio.run(run())


@pytest.fixture
def away(stack: EmbeddedStack) -> Iterator[None]:
    """Redis does not answer."""
    stack.redis.pause()
    try:
        yield
    finally:
        stack.redis.resume()


def test_slow_redis_costs_its_patience_at_most_once_a_second(
    stack: EmbeddedStack, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Redis that stands still costs one look-up its patience; those within a second after it are decided alone, at once."""
    monkeypatch.setattr(identity_index, "RETRY_AFTER", 60.0)

    async def run() -> None:
        async with workers(settings) as ((worker,), _):
            await worker.touch((B,))
            stack.redis.pause()
            try:
                started = time.monotonic()
                assert await worker.resolve((A, B)) == [resolve_alone((A, B))]
                waited = time.monotonic() - started
                assert PATIENCE * 0.9 < waited < PATIENCE * 1.9, "one time-out, not several"
                started = time.monotonic()
                for _ in range(100):
                    assert await worker.resolve((B,), (C,)) == [resolve_alone((B,)), resolve_alone((C,))]
                    await worker.index.logged([Link(B, B)])
                assert time.monotonic() - started < PATIENCE
                assert await worker.index.overdue() == []
                monkeypatch.setattr(worker.index, "_away_until", 0.0)
                started = time.monotonic()
                assert await worker.resolve((A, B)) == [resolve_alone((A, B))]
                assert time.monotonic() - started < PATIENCE * 1.9, "one time-out also for a new connection"
            finally:
                stack.redis.resume()
            assert worker.outcomes()["unavailable"] == 202

    asyncio.run(run())


async def back(worker: Worker) -> None:
    """Wait until the worker's index answers again."""

    async def answered() -> bool:
        before = worker.outcomes().get("unavailable", 0)
        await worker.resolve(("c9-probe",))
        return worker.outcomes().get("unavailable", 0) == before

    await wait_until_async(answered, 30, "the index to be back")


async def healed(some: list[Worker], redirects: Redirects, *touches: tuple[str, ...]) -> None:
    """After a round of mending by each worker, all used ids lead to the customers of the graph."""
    for worker in some:
        await back(worker)
    for worker in some:
        await worker.mend()
        await worker.mend()
    graph = Graph()
    for ids in touches:
        graph.link(ids)
    assert_no_orphans(redirects, graph)
    for worker in some:
        for ids in touches:
            assert (await worker.resolve(ids))[0].customer_id == graph.find(ids[0])


def test_touch_decided_alone_by_a_linked_identifier(stack: EmbeddedStack, settings: Settings) -> None:
    """A touch decided alone by an identifier that belongs to a customer: once Redis is back, its id is told where to go."""

    async def run() -> None:
        async with workers(settings, 2) as (some, redirects):
            await some[0].touch((A, B))
            stack.redis.pause()
            try:
                assert await some[1].touch((B,)) == [B]
            finally:
                stack.redis.resume()
            assert redirects.end_of(B) == B, "the orphan this is about"
            await healed(some, redirects, (A, B), (B,))

    asyncio.run(run())


@pytest.mark.parametrize("told", [True, False])
def test_worker_ends_after_a_touch_decided_alone(stack: EmbeddedStack, settings: Settings, told: bool) -> None:
    """The same, when the worker that decided alone is gone for good: another one finds the orphan in the log, also when it
    has read the log in between."""

    async def run() -> None:
        async with workers(settings, 3) as (some, redirects):
            await some[0].touch((A, B))
            stack.redis.pause()
            try:
                answers = await some[1].resolve((B,))
            finally:
                stack.redis.resume()
            if told:
                await some[0].index.sync()
            await some[1].log(answers)
            some[2].index.suspect()  # the lost worker's partitions are assigned to it
            await healed([some[0], some[2]], redirects, (A, B), (B,))

    asyncio.run(run())


def test_decision_in_flight_while_redis_comes_back(stack: EmbeddedStack, settings: Settings) -> None:
    """A decision made alone whose links reach the log only after the next sync: the index learns them from `logged`."""

    async def run() -> None:
        async with workers(settings, 2) as (some, redirects):
            await some[0].touch((A, B), (C, D))
            stack.redis.pause()
            try:
                answers = await some[1].resolve((D,), (B, C))
            finally:
                stack.redis.resume()
            await back(some[1])
            await some[1].publish(answers)
            await healed(some, redirects, (A, B), (C, D), (B, C))

    asyncio.run(run())


def test_answer_lost_on_its_way(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis merged two customers, but its answer was lost and the touch was decided alone: both hear of the merge."""

    async def run() -> None:
        async with workers(settings, 2) as (some, redirects):
            await some[0].touch((A, C), (B, D))
            await some[1].resolve((A,))
            real = some[1].index._run

            async def answer_lost(operation: str, operands: list[str]) -> list[list[bytes]]:
                await real(operation, operands)
                raise redis.TimeoutError("Timeout reading from the server")

            monkeypatch.setattr(some[1].index, "_run", answer_lost)
            assert await some[1].touch((C, D)) == [C]
            monkeypatch.setattr(some[1].index, "_run", real)
            await healed(some, redirects, (A, C), (B, D), (C, D))

    asyncio.run(run())


def test_redis_restarted_from_an_older_snapshot(settings: Settings) -> None:
    """A Redis that lost its newest links without a word is brought up to the log by a worker that connects anew."""

    async def run() -> None:
        async with workers(settings, 2) as (some, redirects):
            await some[0].touch((A,))
            await some[0].index.sync()
            await some[1].resolve((A,))
            offsets = f"touchstream:{settings.app_id}:id:offsets"
            with redis.Redis.from_url(settings.redis_url) as client:
                snapshot = client.hgetall(offsets)
                await some[0].touch((A, B))
                await some[0].index.sync()
                remove(settings, B)
                client.hset(offsets, mapping=snapshot)
            await some[1].index._redis.connection_pool.disconnect()
            assert (await some[1].resolve((B,)))[0].customer_id == A
            assert "unavailable" not in some[1].outcomes()
            await healed(some, redirects, (A, B))

    asyncio.run(run())


def test_link_in_flight_lost_by_redis(settings: Settings) -> None:
    """A link that Redis forgot before it was in the log, while another worker used its identifier: the customer is merged."""

    async def run() -> None:
        async with workers(settings, 2) as (some, redirects):
            await some[0].touch((A,))
            in_flight = await some[0].resolve((A, B))
            remove(settings, B, f"unlogged:{A}")
            assert await some[1].touch((B,)) == [B]
            await some[0].publish(in_flight)
            await healed(some, redirects, (A, B), (B,))

    asyncio.run(run())


@pytest.mark.parametrize("seed", range(3))
def test_partial_outages(settings: Settings, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Three workers that lose Redis, their answers and their links in any order: in the end no id that was used is an orphan."""
    rng = random.Random(seed)
    touches = [tuple(sorted(f"c{1 + n % 5}-{n}" for n in rng.sample(range(14), rng.randint(1, 3)))) for _ in range(60)]

    async def run() -> None:
        async with workers(settings, 3) as (some, redirects):
            late: list[tuple[Worker, list[Resolved]]] = []
            for ids in touches:
                worker = rng.choice(some)
                with monkeypatch.context() as patch:
                    fate = rng.choice(("well", "well", "away", "answer lost", "flushed"))
                    if fate == "away":
                        patch.setattr(worker.index, "_away_until", time.monotonic() + 1000)
                        worker.index.suspect()
                    elif fate == "answer lost":
                        lose_answers(patch, worker)
                    elif fate == "flushed" and not late:  # links only in Redis are read again by their worker
                        flush(settings)
                    answers = await worker.resolve(ids)
                worker.index._away_until = 0.0
                late.append((worker, answers))
                while late and rng.random() < 0.6:
                    await publish_late(*late.pop(rng.randrange(len(late))), told=rng.random() < 0.7)
            for worker, answers in late:
                await publish_late(worker, answers, told=True)
            await healed(some, redirects, *touches)

    asyncio.run(run())
    assert len(asyncio.run(contents(settings, settings.topic(IDENTITIES)))) > 30


def lose_answers(patch: pytest.MonkeyPatch, worker: Worker) -> None:
    """Redis does what it is asked, but the answers to look-ups do not arrive."""
    real = worker.index._run

    async def run(operation: str, operands: list[str]) -> list[list[bytes]]:
        answers = await real(operation, operands)
        if operation == "resolve":
            raise redis.TimeoutError("Timeout reading from the server")
        return answers

    patch.setattr(worker.index, "_run", run)


async def publish_late(worker: Worker, answers: list[Resolved], told: bool) -> None:
    """Kafka has the answers; without `told` the index does not hear of it, which its worker notices as a failed call."""
    if told:
        await worker.publish(answers)
    else:
        await worker.log(answers)
        worker.index.suspect()
