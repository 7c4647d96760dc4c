"""What goes wrong between workers, Redis and the log, and that no touch stays on a timeline that nobody told where to go."""

from __future__ import annotations

import asyncio
import random
import time

import pytest
import redis
from aiokafka import AIOKafkaConsumer

from streams.core.identity_facts import Fact, Resolved
from streams.edge.embedded.stack import EmbeddedStack
from streams.edge.identity_index import IndexUnavailable
from streams.edge.topics import IDENTITIES
from streams.settings import Settings
from tests.support.identities import Worker, back, flush, healed, remove, workers
from tests.support.lanes import contents

pytestmark = [pytest.mark.stack, pytest.mark.timeout(200), pytest.mark.usefixtures("quick_index")]

A, B, C, D = "c1-a", "c2-b", "c3-c", "c4-d"


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


def test_connection_lost_while_it_is_made(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """aiokafka says with an assertion that the connection to read the log by was lost: an outage like others, no end of the worker."""

    async def lost(self: AIOKafkaConsumer) -> None:
        raise AssertionError("Did we not perform bootstrap?")

    async def run() -> None:
        async with workers(settings) as ((worker,), _):
            with monkeypatch.context() as patch:
                patch.setattr(AIOKafkaConsumer, "start", lost)
                assert [answer.resolved_at for answer in await worker.resolve((A, B))] == [0]
            await back(worker)
            assert (await worker.resolve((A, B)))[0].resolved_at > 0

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


@pytest.mark.parametrize(
    ("refusing", "serving"),
    [
        (["CONFIG", "SET", "maxmemory", "1"], ["CONFIG", "SET", "maxmemory", "0"]),
        (["REPLICAOF", "127.0.0.1", "1"], ["REPLICAOF", "NO", "ONE"]),
    ],
    ids=["full", "read-only"],
)
def test_redis_that_refuses_to_write(settings: Settings, refusing: list[str], serving: list[str]) -> None:
    """A server that answers, but with an error, is away like one that does not: touches are decided alone and counted, nothing is overdue,
    what only the index can decide waits, and no error leaves the index; once the server writes again, all go on."""

    async def run() -> None:
        async with workers(settings, 2) as (some, redirects):
            await some[0].touch((A, B))
            with redis.Redis.from_url(settings.redis_url) as client:
                client.execute_command(*refusing)
                try:
                    for worker in some:
                        worker.index.suspect()  # as after a rebalance: the first thing to do is to read the log
                        assert await worker.index.overdue() == []
                    await asyncio.sleep(0.1)
                    assert [answer.resolved_at for answer in await some[1].resolve((B, C))] == [0]
                    assert some[1].outcomes()["unavailable"] == 1
                    for asked in (
                        lambda: some[0].ask(A, B),
                        lambda: some[0].index.erase(A, "r", 1),
                        lambda: some[0].index.erasure_done("r"),
                    ):
                        await asyncio.sleep(0.1)
                        with pytest.raises(IndexUnavailable):
                            await asked()
                    await some[1].index.logged([Fact(B, C)])
                finally:
                    client.execute_command(*serving)
            await healed(some, redirects, (A, B))

    asyncio.run(run())
