"""Links that a person cuts: the index, its log and the timelines, whatever the order, and whoever fails on the way."""

from __future__ import annotations

import asyncio
import itertools
import random

import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from streams.core.identity_facts import Fact
from streams.core.identity_graph import Graph
from streams.settings import Settings
from tests.support.identities import because, flush, workers
from tests.support.timelines import Timelines, settled

pytestmark = [pytest.mark.stack, pytest.mark.timeout(200), pytest.mark.usefixtures("quick_index")]

A, B, C, D = "c1-a", "c2-b", "c3-c", "c4-d"
_examples = itertools.count()


def test_a_split(settings: Settings) -> None:
    """The part without the customer's own id leaves with all that hangs on it, all workers know at once, and what was merged before is told
    anew; a touch with both identifiers stays with the stronger one."""

    async def run() -> None:
        async with workers(settings, 2) as ((first, second), _):
            await first.touch((C, D), (B, C), (A,), (A, B))
            assert await second.customers(A, B, C, D) == [A, A, A, A]
            answer = await first.cut(B, A)
            assert answer.standing == "cut" and answer.fact is not None
            assert (answer.fact.key, answer.fact.customers, answer.fact.ids) == ("cut:c1-a|c2-b", (A, B), (B, C, D))
            told = {(who.customer_id, fact.a) for who in answer.waiting for fact in who.facts if fact.kind == "told"}
            assert told == {(B, C)}
            assert await second.customers(A, B, C, D) == [A, B, B, B]
            assert (await second.resolve((A, B)))[0].customer_id == A
            assert await second.customers(B) == [B]
            (merged,) = await second.resolve((A, C))
            assert {(fact.kind, fact.a) for fact in merged.facts} == {("link", A), ("told", B)}, (
                "B is told again, not C"
            )

    asyncio.run(run())


def test_how_a_link_stands(settings: Settings) -> None:
    """What is not linked is not cut: never linked, apart, linked by others only, cut before; what a guard keeps apart is decided;
    links that hold two together all the same move nothing."""

    async def run() -> None:
        async with workers(settings) as ((worker,), _):
            await worker.touch((A, B, C), (B, C), ("c1-x", "c2-y"), ("c1-x", B))
            assert (await worker.ask(A, "c1-x")).standing == "apart"
            decided = await worker.ask(B, "c1-x", "r0")
            assert decided.standing == "cut" and decided.fact is not None and decided.ended is not None
            assert (decided.fact.customers, decided.fact.ids) == (("c1-x",), ())
            assert (await worker.ask("c1-x", B, "r0")).ended == decided.ended
            assert (await worker.ask("c1-x", B)).standing == "before"
            assert (await worker.ask("c2-y", "c9-never")).standing == "apart"
            assert (await worker.ask(A, B)).fact == Fact(
                A,
                B,
                "cut",
                because("r1"),
                (A,),
                (),
                (await worker.ask(A, B)).fact.at,  # type: ignore[union-attr]
            )
            assert await worker.customers(B) == [A]
            assert (await worker.ask(B, A, "r2")).standing == "before"
            assert (await worker.ask(B, A)).standing == "again"
            assert (await worker.ask(A, B)).standing == "again"
            assert (await worker.ask(A, C, "r3")).standing == "cut"
            assert await worker.customers(A, B, C) == [A, B, B]
            await worker.touch((A, D), (B, D))
            assert (await worker.ask(A, B, "r4")).standing == "before"
            assert (await worker.ask(A, "c5-e", "r4")).standing == "apart"
            await worker.touch((A, "c5-e"), (B, "c5-e"))
            assert (await worker.ask(C, "c5-e", "r5")).standing == "indirect"

    asyncio.run(run())


def test_clock_only_goes_forward(settings: Settings) -> None:
    """Each answer of a call, remembered ones too, has its moment, later than all before; a log from a clock ahead of Redis's moves
    it; decided alone there is none."""

    async def run() -> None:
        async with workers(settings, 2) as (some, _):
            last = 0
            for n in range(40):
                answers = await some[n % 2].resolve((A, B), (A, B), (f"c2-{n}",))
                await some[n % 2].publish(answers)
                (at,) = {answer.resolved_at for answer in answers}
                assert at > last
                assert [answer.identifier for answer in answers] == ["", "", ""]
                last = at
            assert [answer.identifier for answer in await some[0].resolve((B,), (A,))] == [B, ""]
            ahead = last + 3_600_000_000
            await some[0].publish([msgspec.structs.replace(answers[0], facts=(Fact(C, B, "told"),), resolved_at=ahead)])
            flush(settings)
            assert (await some[1].resolve((A,)))[0].resolved_at > ahead
            some[1].index._away_until = float("inf")
            assert (await some[1].resolve((A,)))[0].resolved_at == 0

    asyncio.run(run())


@pytest.mark.parametrize("how", ["asked", "found in the log", "shared", "shared later"])
def test_a_merge_that_no_timeline_was_told(settings: Settings, how: str) -> None:
    """A link is cut before the timeline of who leaves by that was told of its merge, by a person or in the very touch that merged them:
    what that timeline holds of others gets to those with whom they stay; the fact says so, also when it is asked for after a flush."""

    async def run() -> None:
        async with workers(settings, 2) as ((first, second), _):
            timelines = Timelines(random.Random(5))

            async def touch(*ids: str) -> None:
                answers = await first.resolve(ids)
                timelines.take(answers)
                await first.publish(answers)
                timelines.deliver()

            if how == "shared":
                for ids in (("c2-y", D), ("c2-z", C, D), ("c2-x", D), ("c2-a", C, D)):
                    await touch(*ids)
                expected = {"c2-a": "c2-a", "c2-x": "c2-x", "c2-y": "c2-y", "c2-z": "c2-a", C: "c2-a", D: D}
            elif how == "shared later":
                for ids in ((A, B), ("c1-x", B), ("c1-y", B), (C, D), (D,)):
                    await touch(*ids)
                await second.resolve((B, C), (B, D))  # it ends before Kafka has the links
                await second.ask(C, D)  # nor this; B holds them together
                await touch("c1-z", B)
                expected = {A: A, B: B, C: C, D: D}
            else:
                await touch(B, C)
                await touch(C)
                if how == "asked":
                    await second.resolve((A, C))  # it ends before Kafka has the link
                else:
                    await second.send(Fact(A, C))
                    await second.publish([])
                    first.index.suspect()
                answer = await first.ask(B, C)
                timelines.take(answer.waiting, touches=False)
                await first.publish(list(answer.waiting))
                assert answer.fact is not None and (answer.fact.untold, answer.fact.staying) == ((B,), (A, C))
                flush(settings)
                assert (await second.ask(B, C)).fact == answer.fact
                expected = {A: A, B: B, C: A}
            await settled(first, timelines)
            assert await second.customers(*expected) == list(expected.values())
            assert not (astray := timelines.astray(lambda own: expected.get(own, own))), astray

    asyncio.run(run())


STEPS = st.lists(
    st.tuples(
        st.lists(st.integers(0, 11), min_size=1, max_size=3, unique=True),
        st.integers(0, 2),
        st.sampled_from(("touch", "touch", "touch", "touch unpublished", "cut", "cut unpublished")),
    ),
    max_size=30,
)


@hypothesis_settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, rng=st.randoms(use_true_random=False))
def test_cuts_are_the_graphs(settings: Settings, steps: list[tuple[list[int], int, str]], rng: random.Random) -> None:
    """Any touches and cuts through three workers in turn, published or cut off by a crash, give the customers of the graph; in the end
    each touch is on the timeline of its customer, once."""
    example = next(_examples)

    async def run() -> None:
        async with workers(settings, 3) as (some, _):
            graph, timelines, again = Graph(), Timelines(rng), list[tuple[str, ...]]()
            for n, (numbers, who, what) in enumerate(steps):
                ids = tuple(sorted(f"c{1 + n % 5}-{example}-{n}" for n in numbers))
                worker = some[who]
                links = sorted((f.a, f.b) for f in graph.facts() if f.kind == "link" and f.a != f.b)
                if what.startswith("touch"):
                    answers = await worker.resolve(ids)
                    assert answers[0].customer_id == graph.link(ids)
                    if what == "touch":
                        timelines.take(answers)
                        await worker.publish(answers)
                    else:
                        again.append(ids)
                elif links:
                    a, b = rng.choice(links)
                    answer = await worker.ask(*rng.sample((a, b), 2), f"r{example}-{n}")
                    before, apart = graph.find(a), Graph(graph.facts())
                    apart.apply(Fact(a, b, "cut"))
                    graph.cut(a, b)
                    assert answer.standing == "cut" and answer.fact is not None
                    assert (
                        answer.fact.customers[:2]
                        == tuple(dict.fromkeys((before, *sorted((apart.find(a), apart.find(b))))))[:2]
                    )
                    assert all(apart.find(one) == answer.fact.customers[1] for one in answer.fact.ids)
                    if what == "cut":
                        timelines.take(answer.waiting, touches=False)
                        await worker.publish(list(answer.waiting))
                timelines.deliver(rng.random())
            for ids in again:  # they were not committed, so they are read again
                answers = await some[0].resolve(ids)
                timelines.take(answers)
                await some[0].publish(answers)
            await settled(some[0], timelines)
            assert not (astray := timelines.astray(graph.find)), astray

    asyncio.run(run())
