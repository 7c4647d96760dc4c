"""Two whom a person joins although nothing links them, or a guard keeps them apart: the index, its log and the timelines."""

from __future__ import annotations

import asyncio
import itertools
import random

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from streams.core.identity_facts import Fact, decode_request
from streams.core.identity_graph import Graph
from streams.settings import Settings
from tests.core.past_people import Cut, Joined, People
from tests.edge.test_identity_orders import logged
from tests.support.identities import because, flush, restore, snapshot, workers
from tests.support.timelines import Timelines, settled

pytestmark = [pytest.mark.stack, pytest.mark.timeout(200), pytest.mark.usefixtures("quick_index")]

A, X, B, C, D = "c1-a", "c1-x", "c2-b", "c3-c", "c4-d"
_examples = itertools.count()


def test_two_records_are_joined(settings: Settings) -> None:
    """Two CRM records that a guard keeps apart are one person, who goes by the smaller id; the other's timeline is told why, all workers
    know at once, and the log says who joined them; read again, before or after Kafka has it, or after a flush, it is the same."""

    async def run() -> None:
        async with workers(settings, 2) as ((first, second), _):
            await first.touch((A, B), (X, C), (X, B))
            assert await second.customers(A, B, X, C) == [A, A, X, X]
            answer = await first.ask_join(X, A)
            assert answer.standing == "joined" and answer.fact is not None
            assert (answer.fact.key, answer.fact.customers) == (f"joined:{A}|{X}", (A, X))
            facts = {fact.key: fact for who in answer.waiting for fact in who.facts}
            assert facts.keys() == {f"joined:{A}|{X}", f"told:{X}|{A}", f"ended:{X}|{B}"}
            assert decode_request(facts[f"told:{X}|{A}"]) == decode_request(answer.fact)
            again = await second.ask_join(A, X)
            assert (again.standing, again.fact) == ("again", answer.fact)
            assert [who.facts for who in again.waiting] == [who.facts for who in answer.waiting]
            await first.publish(list(answer.waiting))
            for rebuilt in (False, True):
                if rebuilt:
                    flush(settings)
                assert await second.customers(A, B, X, C) == [A, A, A, A]
                assert await second.index.overdue() == []
                again = await second.ask_join(A, X)
                assert (again.standing, again.fact) == ("again", answer.fact)

    asyncio.run(run())


def test_who_may_not_be_joined(settings: Settings) -> None:
    """One person already, an identifier of many, one that nobody has, or one of a person who was erased: nothing is joined."""

    async def run() -> None:
        async with workers(settings) as ((worker,), _):
            await worker.touch((A, B), (X, C), *((f"c1-{n}", D) for n in range(4)))
            assert (await worker.ask_join(A, B)).standing == "one"
            assert (await worker.ask_join(A, D)).standing == "shared"
            assert (await worker.ask_join(D, A)).standing == "shared"
            assert (await worker.ask_join(A, "c5-never")).standing == "unknown"
            await worker.index.erase(X, "e1", 1, because("e1"))
            assert (await worker.ask_join(A, C)).standing == "erased"
            assert await worker.customers(A, B) == [A, A]
            assert not [fact for fact in await logged(settings) if fact.kind == "joined"]

    asyncio.run(run())


def test_the_newest_decision_holds(settings: Settings) -> None:
    """What a split cut a merge joins, what a merge joined a split cuts, time and again, also in an index built from the log; commands that
    are read again change nothing, nor does one that was asked for earlier than what holds."""

    async def run() -> None:
        async with workers(settings, 2) as ((worker, other), _):
            timelines = Timelines(random.Random(7))

            async def take(*ids: str) -> None:
                answers = await worker.resolve(ids)
                timelines.take(answers)
                await worker.publish(answers)

            for ids in ((A,), (B, C), (B,), (A, B)):
                await take(*ids)
            done: list[tuple[bool, str, int]] = []
            for n in range(5):
                joins = n % 2 == 1
                answer = await (
                    worker.ask_join(B, A, f"r{n}", 10 + n)
                    if joins
                    else worker.index.cut(A, B, f"r{n}", because(f"r{n}", 10 + n))
                )
                assert answer.standing == ("joined" if joins else "cut")
                timelines.take(answer.waiting, touches=False)
                await worker.publish(list(answer.waiting))
                done.append((joins, f"r{n}", 10 + n))
                expected = [A, A, A] if joins else [A, B, B]
                for rebuilt in (False, True):
                    if rebuilt:
                        flush(settings)
                    assert await other.customers(A, B, C) == expected
                    for joined, request, at in done:
                        index = other.index
                        again = await (index.join if joined else index.cut)(A, B, request, because(request, at))
                        assert again.standing not in ("joined", "cut"), (n, request)
                    assert await other.customers(A, B, C) == expected
                    assert await other.index.overdue() == []
                await take(B)
                await take(C)
            late = await other.index.join(A, B, "late", because("late", 9))
            assert late.standing == "late" and late.fact is not None and late.fact.kind == "cut"
            await settled(worker, timelines)
            assert timelines.places() == {id_: [A if own == A else B] for id_, own in timelines.owners.items()}

    asyncio.run(run())


def test_a_split_of_records_that_were_joined(settings: Settings) -> None:
    """Who was two records and one by a decision is two again, each with what a touch showed it with first, although a touch with both
    came meanwhile; their conflict stays ended."""

    async def run() -> None:
        async with workers(settings) as ((worker,), _):
            await worker.touch((A, B), (X, C), (X, B))
            await worker.join(A, X)
            await worker.touch((X, B))
            cut = await worker.cut(A, X, "r2")
            assert cut.standing == "cut" and cut.fact is not None
            assert (cut.fact.customers, cut.fact.ids) == ((A, X), (X, C))
            for rebuilt in (False, True):
                if rebuilt:
                    flush(settings)
                assert await worker.customers(A, B, X, C) == [A, A, X, X]
                assert await worker.index.overdue() == []

    asyncio.run(run())


def test_an_identifier_turns_out_to_be_shared(settings: Settings) -> None:
    """Two joined by an identifier that many turn out to have: it holds nobody together, also when a person joined it."""

    async def run() -> None:
        async with workers(settings) as ((worker,), _):
            await worker.touch((A,), (B,))
            await worker.join(A, B)
            assert await worker.customers(B) == [A]
            await worker.touch(*((f"c1-{n}", B) for n in range(4)))
            for rebuilt in (False, True):
                if rebuilt:
                    flush(settings)
                assert await worker.customers(A, B) == [A, B]
                assert (await worker.ask_join(A, B, "j2", 6)).standing == "shared"

    asyncio.run(run())


@pytest.mark.parametrize("refuse", [True, False])
def test_an_erasure_forgets_the_join(settings: Settings, refuse: bool) -> None:
    """An erasure is of all whom a join made one person, and takes the join out of the log; what was on its way comes back by no index."""

    async def run() -> None:
        async with workers(settings, 2, refuse_erased=refuse) as ((worker, other), _):
            await worker.touch((A, B), (X, C))
            joined = await worker.join(A, X)
            gone = await other.index.erase(C, "e1", 1, because("e1"))
            assert set(gone.identifiers) == {A, B, X, C}
            assert f"joined:{A}|{X}" in gone.log_keys
            for id_ in gone.identifiers:
                mark = Fact(id_, id_, "erased", because("e1"), at=gone.decided_at, until=gone.decided_at // 1000)
                await worker.send(mark)
                await worker.index.logged([mark])
            for key in gone.log_keys:
                await worker.take_back(key)
            await worker.publish([])
            await other.index.erasure_done("e1")
            assert joined.fact is not None
            await worker.index.logged([joined.fact])  # a slow worker
            await worker.mend()
            assert (await worker.ask_join(A, X, "j2", 6)).standing == "erased"
            for rebuilt in (False, True):
                if rebuilt:
                    flush(settings)
                assert [fact for fact in await logged(settings) if fact.kind == "joined"] == []
                if not refuse:
                    continue
                assert [answer.refused for answer in await worker.resolve((A,), (X,))] == [True, True]

    asyncio.run(run())


def test_an_older_snapshot(settings: Settings) -> None:
    """A Redis that comes back as it was before a join, or before the split of it, takes that from the log's tail."""

    async def run() -> None:
        async with workers(settings, 2) as ((first, second), _):
            await first.touch((A, B), (X, C))
            await first.index.sync()
            before = snapshot(settings)
            await first.join(A, X)
            await first.index.sync()
            joined = snapshot(settings)
            restore(settings, before)
            second.index.suspect()
            assert await second.customers(A, B, X, C) == [A] * 4
            restore(settings, joined)
            second.index.suspect()
            await second.cut(A, X, "r2")
            restore(settings, joined)
            second.index.suspect()
            assert await second.customers(A, B, X, C) == [A, A, X, X]

    asyncio.run(run())


def test_a_conflict_that_comes_to_light_after_the_join(settings: Settings) -> None:
    """A worker found a conflict of two, Redis was lost before Kafka had it, and the two were joined: the conflict has ended."""

    async def run() -> None:
        async with workers(settings, 2) as ((slow, other), _):
            await slow.touch((A, B), (X,))
            found = await slow.resolve((X, B))
            flush(settings)
            await other.join(A, X)
            await slow.publish(found)
            waiting = {fact.key for who in await other.index.overdue() for fact in who.facts}
            assert waiting == {f"ended:{X}|{B}"}

    asyncio.run(run())


STEPS = st.lists(
    st.tuples(
        st.lists(st.integers(0, 11), min_size=2, max_size=3, unique=True),
        st.integers(0, 2),
        st.sampled_from(("touch", "touch", "touch", "touch unpublished", "join", "join", "join unpublished", "cut", "cut unpublished")),
    ),
    max_size=30,
)  # fmt: skip


@hypothesis_settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, flushes=st.booleans(), rng=st.randoms(use_true_random=False))
def test_joins_are_the_oracles(
    settings: Settings, steps: list[tuple[list[int], int, str]], flushes: bool, rng: random.Random
) -> None:
    """Any touches, joins and cuts of CRM records and others through three workers in turn, published or cut off by a crash, give the
    customers of the graph and of the oracle; so does a graph of the log, in any order, and an index built from it; in the end each touch
    is on the timeline of its customer, once."""
    example = next(_examples)

    async def run() -> None:
        async with workers(settings, 3) as (some, _):
            graph, people, timelines, again = Graph(), People(3), Timelines(rng), list[tuple[str, ...]]()
            every = [f"c{1 + n % 5}-{example}-{n}" for n in range(12)]
            for n, (numbers, who, what) in enumerate(steps):
                worker, request, cause = some[who], f"r{example}-{n}", because(f"r{example}-{n}", 10 + n)
                if what.startswith("touch"):
                    ids = tuple(sorted({every[one][:3]: every[one] for one in numbers}.values()))
                    answers = await worker.resolve(ids)
                    people.seen(ids)
                    assert answers[0].customer_id == graph.link(ids) == min(people.person(ids[0]))
                    if what == "touch":
                        timelines.take(answers)
                        await worker.publish(answers)
                    else:
                        again.append(ids)
                else:
                    a, b = sorted(every[one] for one in numbers[:2])
                    told = [pair for pair in pairs(graph) if pair[0] != pair[1]]
                    if what.startswith("cut"):
                        if not told:
                            continue
                        a, b = rng.choice(told)
                        answer = await worker.index.cut(*rng.sample((a, b), 2), request, cause)
                        people.cut(Cut(a, b))
                        if answer.standing == "cut":
                            graph.cut(a, b)
                    else:
                        answer = await worker.index.join(*rng.sample((a, b), 2), request, cause)
                        people.joined(Joined(a, b))
                        if answer.standing == "joined":
                            graph.join(a, b)
                    if "unpublished" not in what:
                        timelines.take(answer.waiting, touches=False)
                        await worker.publish(list(answer.waiting))
                known = [one for one in every if one in people._seen]
                assert [graph.find(one) for one in known] == [min(people.person(one)) for one in known]
                timelines.deliver(rng.random())
            for ids in again:  # they were not committed, so they are read again
                answers = await some[0].resolve(ids)
                timelines.take(answers)
                await some[0].publish(answers)
            await settled(some[0], timelines)
            assert timelines.places() == {id_: [graph.find(own)] for id_, own in timelines.owners.items()}
            facts = [fact for fact in await logged(settings) if f"-{example}-" in fact.a]
            rng.shuffle(facts)
            other = Graph(facts)
            assert [other.find(one) for one in known_of(steps, every)] == [
                graph.find(one) for one in known_of(steps, every)
            ]
            if flushes:
                flush(settings)
                for ids in [(one,) for one in known_of(steps, every)]:
                    assert (await some[1].resolve(ids))[0].customer_id == graph.find(ids[0])

    asyncio.run(run())


def pairs(graph: Graph) -> list[tuple[str, str]]:
    """Pairs of which something holds that a person may cut."""
    return sorted((fact.a, fact.b) for fact in graph.facts() if fact.kind in ("link", "joined", "blocked"))


def known_of(steps: list[tuple[list[int], int, str]], every: list[str]) -> list[str]:
    """Identifiers of the touches."""
    return sorted({every[one] for numbers, _, what in steps if what.startswith("touch") for one in numbers})
