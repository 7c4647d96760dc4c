"""The identity index on real Redis and Kafka: answers, the log, what is lost and found again."""

from __future__ import annotations

import asyncio
import itertools
import random
import time

import pytest
import redis
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from streams.core.identity_facts import Fact, Resolved, resolve_alone
from streams.core.identity_graph import Graph
from streams.edge import identity_index
from streams.edge.embedded.stack import EmbeddedStack
from streams.edge.identity_index import PATIENCE
from streams.settings import Settings
from tests.support.identities import assert_no_orphans, flush, workers

pytestmark = [pytest.mark.stack, pytest.mark.timeout(200)]

A, B, C, D = "c1-a", "c2-b", "c3-c", "c4-d"


def test_new_known_linked_merged(settings: Settings) -> None:
    """A new identifier is its own customer, a known one its root's, a linked one joins, and a smaller id takes a customer over."""

    async def run() -> None:
        async with workers(settings) as ((worker,), _):
            (new,) = await worker.answers((B,))
            assert new == Resolved(B, (Fact(B, B),))
            await worker.publish([new])
            assert await worker.answers((B,)) == [Resolved(B)]
            (linked,) = await worker.answers((B, C))
            assert linked == Resolved(B, (Fact(B, C),))
            await worker.publish([linked])
            assert await worker.answers((C,), (C,), (B, C)) == [Resolved(B)] * 3
            (merged,) = await worker.resolve((A, C))
            assert merged.customer_id == A
            assert set(merged.facts) == {Fact(A, A), Fact(A, C), Fact(B, A, "told", ids=(A, B, C))}
            await worker.publish([merged])
            assert await worker.answers((A,), (B,), (C,)) == [Resolved(A)] * 3
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
                assert await some[0].touch(ids) == [graph.customer(ids)]
            assert_no_orphans(redirects, graph)

    asyncio.run(run())


def test_guards_are_the_graphs(settings: Settings) -> None:
    """A blocked pair, a value that many share, and a touch of before it was known as shared: the index answers as the graph."""
    pairs = [("c1-a", "c2-office"), ("c1-b", "c3-phone"), ("c2-office", "c3-phone")]
    pairs += [(other, "c2-office") for other in ("c1-x", "c1-y", "c1-z")]
    pairs += [("c2-office", "c3-phone"), ("c2-office", "c4-new"), ("c3-phone", "c4-new")]

    async def run() -> None:
        async with workers(settings, 1) as (some, _):
            graph = Graph()
            for ids in pairs:
                answers = await some[0].resolve(ids)
                assert answers[0].customer_id == graph.link(ids), ids
                await some[0].publish(answers)

    asyncio.run(run())


def test_links_are_reported_until_logged(settings: Settings) -> None:
    """A link is reported by every look-up of its customer until Kafka has it, also by another worker and after a merge moved it."""

    async def run() -> None:
        async with workers(settings, 2) as ((first, second), _):
            lost = await first.answers((C, D))
            assert set(lost[0].facts) == {Fact(C, C), Fact(C, D)}
            assert await second.answers((D,)) == lost
            (merged,) = await second.resolve((B, D))
            assert set(merged.facts) == {Fact(B, B), Fact(B, D), Fact(C, B, "told", ids=(B, C, D)), *lost[0].facts}
            (again,) = await first.resolve((C,))
            assert set(again.facts) == set(merged.facts)
            await second.publish([merged])
            assert await first.answers((D,)) == [Resolved(B)]

    asyncio.run(run())


def test_many_open_links_move_in_one_merge(settings: Settings) -> None:
    """A merge takes along thousands of links that are not logged yet."""
    ids = [f"c5-{n:05d}" for n in range(9000)]

    async def run() -> None:
        async with workers(settings) as ((worker,), _):
            for start in range(0, len(ids), 1000):
                await worker.resolve((B, *ids[start : start + 1000]))
            (merged,) = await worker.resolve((A, B))
            assert len(merged.facts) == len(ids) + 4
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
            assert before == [graph.customer(ids) for ids in touches]
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
                    await worker.index.logged([Fact(B, B)])
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
