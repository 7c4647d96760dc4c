"""A person is erased: from the index, from its log, and for touches that are still on their way or come later."""

from __future__ import annotations

import asyncio
import itertools
import random
import time

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.core.identity_facts import Erased, Fact, Resolved, cause_of, parse_key
from streams.core.identity_graph import Graph
from streams.edge import identity_index
from streams.edge.identity_index import SharedIdentifier
from streams.edge.topics import IDENTITIES
from streams.settings import Settings
from tests.core.made import touch
from tests.support.identities import Worker, because, flush, keys, restore, snapshot, workers
from tests.support.lanes import contents

pytestmark = [pytest.mark.stack, pytest.mark.timeout(200)]

A, B, C, D = "c1-a", "c2-b", "c3-c", "c4-d"
_examples = itertools.count()
NOON = touch("t", "sent").occurred_at


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Overdue at once, so that a test need not wait for it."""
    monkeypatch.setattr(identity_index, "OVERDUE_AFTER", 0)


def cause(at: int, published: int | None = None) -> bytes:
    """A touch of an event `at` ms after noon, as a cause; published then, too, unless given."""
    made = touch("t", "sent", at)
    return cause_of(made, made.occurred_at if published is None else NOON + published)


def now() -> int:
    """In ms after noon."""
    return time.time_ns() // 1_000_000 - NOON


async def take(worker: Worker, ids: tuple[str, ...], at: int, published: int | None = None) -> Resolved:
    """A touch of an event at that time, decided and published."""
    answers = await worker.index.resolve([ids], lambda _: cause(at, published))
    await worker.publish(answers)
    return answers[0]


async def erase(worker: Worker, node_id: str, at: int, request: str = "e1") -> Erased:
    """Have a person erased and publish what follows: the marks, then null values."""
    gone = await worker.index.erase(node_id, request, NOON + at, because(request))
    until = gone.decided_at // 1000
    marks = tuple(
        Fact(one, one, "erased", because(request), at=gone.decided_at, until=until) for one in gone.identifiers
    )
    await worker.publish([Resolved(gone.customer_id, marks)])
    for key in gone.log_keys:
        await worker.take_back(key)
    await worker.publish([])
    await worker.index.erasure_done(request)
    return gone


def end(gone: Erased) -> int:
    """When the last event was that the erasure is about, in ms after noon."""
    return gone.decided_at // 1000 - NOON


async def held(settings: Settings) -> list[str]:
    """Keys of what the log says."""
    newest = {record.key: record.value for record in await contents(settings, settings.topic(IDENTITIES))}
    return [key.decode() for key, value in newest.items() if value is not None]


async def named(settings: Settings) -> set[str]:
    """All ids that the log names but as erased."""
    facts = map(parse_key, await held(settings))
    return {one for kind, a, b in facts if kind != "erased" for one in (a, b)}


def test_everything_goes(settings: Settings) -> None:
    """Links, blocks, cuts, undecided pairs, merges told and facts on their way: nothing names the person's ids any more, in Redis or in the
    log, but the marks; others keep what is theirs."""

    async def run() -> None:
        async with workers(settings, 2) as ((first, second), _):
            for n, ids in enumerate(
                ((B,), (C, D), (B, D), (A, B), ("c1-x", "c5-x"), ("c1-x", B), (A, "c5-x"), (A, "c2-cut"))
            ):
                await take(first, ids, n)
            await first.mend()
            await first.cut(A, "c2-cut")
            await first.mend()
            second.index._away_until = float("inf")
            await second.publish(await second.index.resolve([(B, "c4-seen")], lambda _: cause(9)))
            second.index._away_until = 0
            await second.touch(("c1-y",))
            await second.mend()
            await first.index.resolve([(A, "c5-waits")], lambda _: cause(10))
            gone = await erase(first, D, 20)
            assert gone.customer_id == A
            assert gone.identifiers == (A, B, C, "c4-seen", D, "c5-waits")[:3] + tuple(
                sorted(("c4-seen", D, "c5-waits"))
            )
            assert gone.used == (A, B, C)
            assert await named(settings) == {"c1-x", "c5-x", "c1-y", "c2-cut"}
            stored = keys(settings)
            assert {one: stored[one] for one in gone.identifiers} == {
                one: f"{one} e{NOON + end(gone)}".encode() for one in gone.identifiers
            }
            theirs = {name: value for name, value in stored.items() if name not in gone.identifiers}
            assert not [
                name for name, value in theirs.items() if any(one in value.decode().split() for one in gone.identifiers)
            ]
            assert not [
                name for name, value in theirs.items() if any(f"!{one}" in value.decode() for one in gone.identifiers)
            ]
            assert await second.index.overdue() == []
            assert await second.customers("c1-x", "c5-x", "c2-cut") == ["c1-x", "c1-x", "c2-cut"]

    asyncio.run(run())


@pytest.mark.parametrize("rebuilt", [False, True])
def test_touches_from_before_are_refused(settings: Settings, rebuilt: bool) -> None:
    """A touch of an event before the erasure, or published before it, is refused by any of the person's own ids; one of another person who
    had the same number is taken without it; all the same in an index that was built from the log."""

    async def run() -> None:
        async with workers(settings, refuse_erased=False) as ((worker,), _):
            await take(worker, (B, C), 0)
            await take(worker, ("c1-x",), 0)
            gone = await erase(worker, C, 20)
            last = end(gone)
            if rebuilt:
                flush(settings)
            for ids, at, published in (
                ((B,), last, None), ((C,), 5, last + 30), ((B, C), last + 30, last), (("c1-new", C), 6, None)
            ):  # fmt: skip
                refused = await take(worker, ids, at, published)
                assert (refused.refused, refused.erased_at, refused.facts) == (True, NOON + last, ())
                assert refused.resolved_at > gone.decided_at
            taken = await take(worker, ("c1-x", C), 7)
            assert (taken.customer_id, taken.refused, taken.erased_at) == ("c1-x", False, NOON + last)
            fresh = await take(worker, (B, C), last + 1)
            assert (fresh.customer_id, fresh.refused) == (B, False)
            assert {fact.key for fact in fresh.facts} == {f"{B}|{B}", f"{B}|{C}"}
            assert (await take(worker, (B, C), last)).refused, "not remembered: it depends on when the touch was"
            assert await named(settings) == {"c1-x", B, C}
            flush(settings)
            assert [a.customer_id for a in await worker.index.resolve([(C,)], lambda _: cause(last + 40))] == [B]

    asyncio.run(run())


def test_policy_refuses_later_touches(settings: Settings) -> None:
    """With the policy "refuse" an erased person does not begin again, whenever the touch was."""

    async def run() -> None:
        async with workers(settings) as ((worker,), _):
            await take(worker, (B, C), 0)
            await erase(worker, B, 20)
            assert (await take(worker, (C,), 1_000_000)).refused
            assert not (await take(worker, ("c1-x",), 1)).refused
            assert (await take(worker, ("c1-x", C), 1_000_000)).facts == ()

    asyncio.run(run())


def test_switchboard_stays(settings: Settings) -> None:
    """A number that many share stays theirs; it names no one to erase, and who had it goes alone."""

    async def run() -> None:
        async with workers(settings) as ((worker,), _):
            for n in range(5):
                await take(worker, (f"c2-{n}", "c3-board"), n)
            await take(worker, ("c2-0", "c5-e"), 9)
            await worker.mend()
            with pytest.raises(SharedIdentifier, match="c3-board"):
                await worker.index.erase("c3-board", "e0", NOON)
            gone = await erase(worker, "c2-1", 20)
            assert gone.identifiers == ("c2-1",), "the switchboard had linked the others, too"
            assert {"c2-0", "c2-2", "c3-board", "c5-e"} <= await named(settings)
            assert "c2-1" not in await named(settings)
            for rebuilt in (False, True):
                if rebuilt:
                    flush(settings)
                assert (await take(worker, ("c2-3", "c3-board"), 21)).customer_id == "c2-3"
                assert (await take(worker, ("c3-board", "c5-f"), 21)).customer_id == "c5-f"
                assert (await take(worker, ("c3-board",), 21)).customer_id == "c3-board"

    asyncio.run(run())


def test_asked_again(settings: Settings) -> None:
    """The same request gives the same answer, whatever became of the person's ids; once it is done, without the records that were to go,
    since what is there now came later. Whom nobody knows is marked, too."""

    async def run() -> None:
        async with workers(settings, 2) as ((first, second), _):
            await take(first, (A, B), 0)
            gone = await first.index.erase(B, "e1", NOON + 20)
            assert await second.index.erase(B, "e1", NOON + 20) == gone
            await first.index.erasure_done("e1")
            assert gone.log_keys
            assert await second.index.erase(B, "e1", NOON + 20) == replace(gone, log_keys=())
            later = await second.index.erase(B, "e3", NOON + 20)
            assert (later.customer_id, later.identifiers, later.used) == (B, (B,), ())
            assert later.decided_at > gone.decided_at
            unknown = await second.index.erase("c5-unknown", "e2", NOON + 20)
            assert (unknown.identifiers, unknown.log_keys) == (("c5-unknown",), ())
            assert (await take(first, ("c5-unknown",), 3)).refused

    asyncio.run(run())


def test_decision_on_its_way(settings: Settings) -> None:
    """What a worker decided before the erasure and publishes after it is taken out of the log again; the index does not learn it."""

    async def run() -> None:
        async with workers(settings, 2) as ((first, second), _):
            await take(first, (A, B), 0)
            in_flight = await second.index.resolve([(B, D)], lambda _: cause(10))
            await erase(first, A, 20)
            await second.publish(in_flight)
            assert B in await named(settings)
            await first.mend()
            assert await named(settings) == set()
            assert await first.index.overdue() == []
            for rebuilt in (False, True):
                if rebuilt:
                    flush(settings)
                assert (await take(first, (D,), 15)).refused is True

    asyncio.run(run())


def test_older_snapshot(settings: Settings) -> None:
    """A Redis that comes back as it was before the erasure forgets the person once it has read the log's tail."""

    async def run() -> None:
        async with workers(settings, 2, refuse_erased=False) as ((first, second), _):
            await take(first, (A, B, C), 0)
            await take(first, ("c1-x", D), 0)
            await first.index.sync()
            before = snapshot(settings)
            last = end(await erase(first, B, 20))
            await take(first, (C, D), last + 30)
            restore(settings, before)
            second.index.suspect()
            assert [a.customer_id for a in await second.index.resolve([(C,), (B,)], lambda _: cause(last + 40))] == [
                "c1-x",
                B,
            ]
            assert (await take(second, (A,), 3)).refused

    asyncio.run(run())


@hypothesis_settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1_000_000))
def test_others_keep_what_is_theirs(settings: Settings, seed: int) -> None:
    """After any touches, cuts and erasures, everybody else has the customer that the log's graph says, also when built anew."""
    rng = random.Random(seed)
    example = next(_examples)
    pool = [f"c{rank}-{example}-{n}" for rank, count in ((1, 3), (2, 5), (3, 4), (4, 3)) for n in range(count)]

    async def run() -> None:
        async with workers(settings, 3, refuse_erased=False) as (some, _):
            erased: set[str] = set()
            for n in range(25):
                worker = rng.choice(some)
                what = rng.random()
                if what < 0.12:
                    one = rng.choice(pool)
                    try:
                        gone = await erase(worker, one, n * 10 + 5, f"e{example}-{n}")
                    except SharedIdentifier:
                        continue
                    assert one in gone.identifiers
                    erased |= set(gone.identifiers)
                    left = [key for key in await held(settings) if not key.startswith("erased:")]
                    assert not [key for key in left if set(gone.identifiers) & set(parse_key(key)[1:])]
                elif what < 0.3:
                    a, b = rng.sample(pool, 2)
                    await worker.cut(a, b, f"{example}-{n}")
                else:
                    ids = tuple(sorted({i[:3]: i for i in rng.sample(pool, rng.randint(1, 3))}.values()))
                    await take(worker, ids, now() + 5 - rng.choice((0, 0, 0, 3_600_000)))
            while any([await worker.index.overdue() for worker in some]):
                await some[0].mend()
            graph = Graph([Fact(a, b, kind) for kind, a, b in map(parse_key, await held(settings))])
            alone = [(one,) for one in pool]
            expected = [graph.customer(ids) for ids in alone]
            for rebuilt in (False, True):
                if rebuilt:
                    flush(settings)
                answers = await some[1].index.resolve(alone, lambda _: cause(now() + 60_000))
                assert [answer.customer_id for answer in answers] == expected
            answers = await some[2].index.resolve([(one,) for one in sorted(erased)], lambda _: cause(-1))
            assert all(answer.refused for answer in answers)

    asyncio.run(run())


async def taken_back(worker: Worker, settings: Settings, gone: Erased) -> None:
    """After a round of mending the log has nothing of the person but marks, and nothing waits."""
    await worker.mend()
    assert await worker.index.overdue() == []
    names = [parse_key(key) for key in await held(settings) if not key.startswith("erased:")]
    assert not [name for name in names if set(gone.identifiers) & set(name[1:])]


@pytest.mark.parametrize("flushed", [False, True])
def test_decided_alone_after_the_erasure(settings: Settings, flushed: bool) -> None:
    """A worker that lacks Redis takes touches of somebody who was erased for good, and of somebody else with a number of theirs: what it
    wrote to the log is taken back once the index is there again, as it was or built from that log."""

    async def run() -> None:
        async with workers(settings, 2) as ((first, second), _):
            await take(first, (A, B), 0)
            await take(first, ("c1-x",), 0)
            gone = await erase(first, A, 20)
            second.index._away_until = float("inf")
            for ids in ((A,), (A, B), (B,), ("c1-x", B)):
                await take(second, ids, now() + 60_000)
            second.index._away_until = 0
            assert {A, B} <= await named(settings)
            if flushed:
                flush(settings)
            second.index.suspect()
            assert (await take(second, (B,), now() + 60_000)).refused
            await taken_back(second, settings, gone)
            assert await named(settings) == {"c1-x"}
            assert await second.customers("c1-x") == ["c1-x"]

    asyncio.run(run())


@pytest.mark.parametrize("whom", [A, B])
def test_a_cut_that_kafka_does_not_have(settings: Settings, whom: str) -> None:
    """A worker ends after the index cut a link, before Kafka heard of it, and one of the two is erased: the erasure says what was cut, so
    that the other one's touches get where they belong; the log does not name the person again, even if the worker was only slow."""

    async def run() -> None:
        async with workers(settings, 2) as ((first, second), _):
            await take(first, (A, B), 0)
            await take(first, (B, C), 1)
            slow = await first.ask(A, B)
            assert slow.fact is not None
            gone = await second.index.erase(whom, "e1", NOON + 20, because("e1"))
            assert gone.decided == (slow.fact,)
            assert await second.index.erase(whom, "e1", NOON + 20, because("e1")) == gone
            await erase(second, whom, 20)
            await first.publish(list(slow.waiting))
            await taken_back(second, settings, gone)
            assert [fact.key for fact in gone.decided] == [f"cut:{A}|{B}"]

    asyncio.run(run())


@pytest.mark.parametrize("rebuilt", [False, True])
def test_two_records_that_contradict_each_other(settings: Settings, rebuilt: bool) -> None:
    """An erasure says of which blocked links people were told, each as it was told: by the record, by the identifier, whoever is erased."""

    async def run() -> None:
        async with workers(settings) as ((worker,), _):
            await take(worker, (A, B), 0)
            await take(worker, ("c1-x", C), 1)
            (blocked,) = [fact for fact in (await take(worker, ("c1-x", B), 2)).facts if fact.kind == "blocked"]
            await worker.mend()
            if rebuilt:
                flush(settings)
            gone = await erase(worker, C, 20)
            assert gone.decided == (blocked,)
            assert (await erase(worker, A, 30, "e2")).decided == ()
            assert not {A, B, C, "c1-x"} & await named(settings)

    asyncio.run(run())
