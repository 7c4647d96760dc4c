"""Workers that link, merge, cut and join at once, lose Redis or end on the way: all that is left in the end is one graph."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable

import pytest
from aiokafka import AIOKafkaProducer

from streams.core.identity_facts import Fact, decode, encode
from streams.core.identity_graph import Graph
from streams.edge import identity_sync
from streams.edge.identity_protocol import SCRIPT
from streams.edge.kafka_auth import client_options
from streams.edge.topics import IDENTITIES
from streams.settings import Settings
from tests.support.identities import Worker, flush, restore, snapshot, workers
from tests.support.lanes import contents
from tests.support.timelines import Timelines, settled

pytestmark = [pytest.mark.stack, pytest.mark.timeout(200), pytest.mark.usefixtures("quick_index")]

A, B, C, D = "c1-a", "c2-b", "c3-c", "c4-d"


async def logged(settings: Settings) -> list[Fact]:
    """The log as it stands, newest record of each key."""
    newest = {record.key: record.value for record in await contents(settings, settings.topic(IDENTITIES))}
    return [decode(key, value) for key, value in newest.items() if value is not None]


async def write(settings: Settings, facts: list[Fact]) -> None:
    """A log of these facts, in this order."""
    async with AIOKafkaProducer(**client_options(settings)) as producer:
        for fact in facts:
            await producer.send(settings.topic(IDENTITIES), encode(fact), key=fact.key.encode())


IDS = [f"c{rank}-{n}" for rank, count in ((1, 3), (2, 5), (3, 4), (4, 3)) for n in range(count)]


@pytest.mark.parametrize("seed", range(4))
def test_workers_at_once(settings: Settings, make_settings: Callable[..., Settings], seed: int) -> None:
    """Four workers link, merge, cut and join at once, with guards, lose Redis and fail before Kafka: the log in any order, the index as
    it is and an index built from the log all have the same customers, and each touch is on its customer's timeline, once."""
    rng = random.Random(seed)
    again: list[tuple[str, ...]] = []
    decided: set[str] = set()
    timelines = Timelines(rng)
    elsewhere = make_settings()

    async def work(worker: Worker, name: int) -> None:
        for n in range(25):
            if rng.random() < 0.25:
                a, b = rng.sample(IDS, 2)
                decide = rng.choice((worker.ask, worker.ask, worker.ask_join))
                answer = await decide(a, b, f"{name}-{n}")
                if answer.fact is not None and answer.standing == answer.fact.kind:
                    decided.add(answer.fact.key)
                if rng.random() < 0.7:
                    timelines.take(answer.waiting, touches=False)
                    await worker.publish(list(answer.waiting))
            else:
                ids = tuple(sorted({i[:3]: i for i in rng.sample(IDS, rng.randint(1, 3))}.values()))
                worker.index._away_until = float("inf") if rng.random() < 0.15 else 0.0
                answers = await worker.resolve(ids)
                worker.index._away_until = 0.0
                if rng.random() < 0.8:
                    timelines.take(answers)
                    await worker.publish(answers)
                else:
                    again.append(ids)
            timelines.deliver(rng.random())
            await asyncio.sleep(rng.random() / 200)

    async def run() -> None:
        async with workers(settings, 5) as (some, _), workers(elsewhere) as ((other,), _):
            await asyncio.gather(*(work(worker, n) for n, worker in enumerate(some[:4])))
            for ids in again:  # they were not committed, so they are read again
                answers = await some[0].resolve(ids)
                timelines.take(answers)
                await some[0].publish(answers)
            await settled(some[0], timelines)
            facts = [fact for fact in await logged(settings) if fact.kind != "seen"]  # decided by now
            graph = Graph(facts)
            # How many there are depends on how the workers' calls fall; of joins there may be none.
            assert decided and decided <= {fact.key for fact in facts}
            for _ in range(5):
                rng.shuffle(facts)
                assert set(Graph(facts).facts()) == set(graph.facts())
            expected = [graph.customer((one,)) for one in IDS]
            assert await some[1].customers(*IDS) == expected
            flush(settings)
            assert await some[4].customers(*IDS) == expected
            await write(elsewhere, facts)
            assert await other.customers(*IDS) == expected
            assert not (astray := timelines.astray(graph.find)), astray

    asyncio.run(run())


def test_cut_found_by_another_worker(settings: Settings) -> None:
    """A worker that ends between the index's decision and Kafka: another one publishes the cut, and the request, read again, gives the
    same bytes; also when all of it is in Kafka."""

    async def run() -> None:
        async with workers(settings, 2) as ((first, second), _):
            await first.touch((A, B), (B, C))
            lost = await first.ask(A, B)
            found = [fact for who in await second.index.overdue() for fact in who.facts]
            assert lost.fact in found
            await second.mend()
            assert lost.fact in await logged(settings)
            assert await second.index.overdue() == []
            again = await second.ask(A, B)
            assert (again.standing, again.fact) == ("again", lost.fact)
            flush(settings)
            after = await second.ask(A, B)
            assert (after.standing, after.fact) == ("again", lost.fact)
            assert await first.customers(A, B, C) == [A, B, B]

    asyncio.run(run())


def test_cut_lost_with_redis(settings: Settings) -> None:
    """Redis is flushed before Kafka has the cut: the request, read again, is decided anew."""

    async def run() -> None:
        async with workers(settings) as ((worker,), _):
            await worker.touch((A, B))
            lost = await worker.ask(A, B)
            flush(settings)
            assert await worker.customers(A, B) == [A, A]
            again = await worker.cut(A, B)
            assert again.standing == "cut" and again.fact is not None and lost.fact is not None
            assert again.fact.at > lost.fact.at
            assert await worker.customers(A, B) == [A, B]

    asyncio.run(run())


def test_unlogged_facts_go_with_their_ids(settings: Settings) -> None:
    """What the log lacks when a link is cut is reported for those whom it is about; a merge on its way is not told any more."""

    async def run() -> None:
        async with workers(settings, 2) as ((first, second), _):
            await first.touch((B,), (A,))
            await first.resolve((A, B, C), (B, D))
            await second.ask(A, B)
            waiting = {who.customer_id: {fact.key for fact in who.facts} for who in await second.index.overdue()}
            assert waiting == {A: {"c1-a|c2-b", "c1-a|c3-c", "cut:c1-a|c2-b"}, B: {"c2-b|c4-d"}}

    asyncio.run(run())


@pytest.mark.parametrize("longest", [50_000, 1])
def test_older_snapshot(settings: Settings, monkeypatch: pytest.MonkeyPatch, longest: int) -> None:
    """A Redis that comes back as it was before a cut takes it from the log's tail at once; if that is long, all is built anew."""
    monkeypatch.setattr(identity_sync, "LONGEST_TAIL", longest)

    async def run() -> None:
        async with workers(settings, 2) as ((first, second), _):
            await first.touch((A,), (B, C))
            await first.index.sync()
            before = snapshot(settings)
            await first.touch((A, B))
            await first.cut(A, B)
            await first.touch((C, D))
            restore(settings, before)
            second.index.suspect()
            assert await second.customers(A, B, C, D) == [A, B, B, B]
            await second.mend()  # somebody may have been answered without the cut: it is told again, once
            assert await second.index.overdue() == []

    asyncio.run(run())


def test_one_worker_builds(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """After a flush one worker reads the log while the others wait; when it ends on the way, another one begins again."""
    caplog.set_level(logging.INFO)

    async def run() -> None:
        async with workers(settings, 4) as (some, _):
            await some[0].touch((A, B), (C, D))
            await some[0].cut(A, B)
            for worker in some:
                worker.index._script = worker.index._redis.register_script(SCRIPT.replace("20000", "700"))
            flush(settings)
            answers = await asyncio.gather(*(worker.customers(A, B, D) for worker in some))
            assert answers == [[A, B, C]] * 4
            read = [record for record in caplog.messages if record.startswith("identity index is up to date")]
            assert sorted(line.split(":")[1].split()[0] for line in read[-4:])[:3] == ["0", "0", "0"]
            flush(settings)
            real = some[0].index._run

            async def ends(operation: str, operands: list[str]) -> object:
                if operation == "apply":
                    raise asyncio.CancelledError
                return await real(operation, operands)

            monkeypatch.setattr(some[0].index, "_run", ends)
            with pytest.raises(asyncio.CancelledError):
                await some[0].index.sync()
            caplog.clear()
            assert await some[1].customers(A, B, D) == [A, B, C]
            assert "waiting for another worker, which builds the identity index" in caplog.messages

    asyncio.run(run())


def test_told_before_the_split_does_not_count(settings: Settings) -> None:
    """That a timeline was told of a merge counts until the next split, also in an index that was built from the log."""

    async def run() -> None:
        async with workers(settings, 2) as ((first, second), _):
            await first.touch((B, D), (C,), (A, C), (A, D))
            await first.cut(A, D)
            assert await first.customers(A, B, C, D) == [A, B, A, B]
            for rebuilt in (False, True):
                if rebuilt:
                    flush(settings)
                (merged,) = await second.resolve((A, D))
                assert merged.customer_id == A and merged.facts == (), "the link stays cut"
                (_, merged) = await second.resolve((A, f"c5-{rebuilt}"), (B, f"c5-{rebuilt}"))
                told = [fact.a for fact in merged.facts if fact.kind == "told"]
                assert told == [B]
                await second.publish([merged])
                await second.cut(A, f"c5-{rebuilt}", f"r{rebuilt}")

    asyncio.run(run())
