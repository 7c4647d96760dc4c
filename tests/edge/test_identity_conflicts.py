"""Shared identifiers and contradicting records on real Redis and Kafka: what they hold apart, and the findings until they end."""

from __future__ import annotations

import asyncio
import random

import msgspec
import pytest
from msgspec.structs import replace

from streams.core.commands import Command
from streams.core.identity_conflict import RULE, finding
from streams.core.identity_facts import Cause, Fact, Resolved
from streams.core.identity_facts import decode as fact_of
from streams.core.outcome import Finding
from streams.edge.gather import NotNow
from streams.edge.lane import Out, Write
from streams.edge.topics import CONFLICTS, IDENTIFIED, IDENTITIES
from streams.settings import Settings
from tests.edge.test_requests import letters, requests
from tests.edge.test_stages import CODEC, T0, Record
from tests.support.identities import Worker, flush, workers
from tests.support.timelines import Timelines, settled

pytestmark = [pytest.mark.stack, pytest.mark.timeout(200), pytest.mark.usefixtures("quick_index")]

A, B, X, BOARD = "c1-a", "c2-b", "c1-x", "c3-board"


def because(touch_id: str) -> bytes:
    """A touch as a cause."""
    return msgspec.json.encode(Cause(touch_id, T0, T0 + 1, "email", "marketing", "sent"))


async def take(worker: Worker, touch_id: str, *ids: str) -> Resolved:
    """A touch, decided and published."""
    answers = await worker.index.resolve([ids], lambda _: because(touch_id))
    await worker.publish(answers)
    return answers[0]


def told(answer: Resolved) -> list[Finding]:
    """What people are told by an answer's facts."""
    facts = sorted(answer.facts, key=lambda fact: fact.key)
    found = [finding(fact, "high") for fact in facts if fact.kind in ("blocked", "acted", "ended")]
    return [one for one in found if one is not None]


def published(settings: Settings, write: Write) -> list[Finding]:
    """The findings of a write."""
    topic = settings.topic(CONFLICTS)
    return [CODEC.decode_finding(out.value or b"") for out in write.outputs if out.topic == topic]


def asked(kind: str, request: str, customer: str = A, **more: object) -> Record:
    """A command as somebody writes it."""
    command = replace(Command(request, customer, kind, T0, "p.ito", requested_by="p.ito"), **more)
    return Record("x.commands", CODEC.encode_command(command), key=customer.encode())


async def safe(settings: Settings, worker: Worker, write: Write) -> None:
    """Kafka has what was written, and the index knows it."""
    for out in write.outputs:
        if out.topic == settings.topic(IDENTITIES):
            await worker.send(fact_of(out.key or b"", out.value or b""))
    await worker.publish([])
    if write.done is not None:
        await write.done()


@pytest.mark.parametrize("seed", range(3))
def test_what_a_shared_number_had_linked(settings: Settings, seed: int) -> None:
    """Touches by a number that turns out to be a switchboard's, of those who were linked by it, and by what hung on it: each is where it
    belongs in the end, however late, once; in an index that is built from the log as well."""
    rng = random.Random(seed)

    async def run() -> None:
        async with workers(settings, 3) as (some, _):
            timelines = Timelines(rng)
            shown = [(BOARD,), (BOARD, "c6-k"), ("c6-k",), ("c2-0", "c4-same"), ("c2-2", "c4-same"), ("c2-1", "c5-e")]
            shown += [(f"c2-{n}",) for n in range(3)]
            many = [(f"c2-{n}", BOARD) for n in range(3)]
            rng.shuffle(shown)
            for ids in [*shown, *rng.sample(many, 3), *shown, ("c2-3", BOARD), (BOARD,), *shown]:
                answers = await rng.choice(some).resolve(ids)
                timelines.take(answers)
                await some[0].publish(answers)
                timelines.deliver(rng.random())
            await settled(some[0], timelines)
            expected = {
                "c2-0": "c2-0",
                "c2-1": "c2-1",
                "c2-2": "c2-0",
                "c2-3": "c2-3",
                "c5-e": "c2-1",
                "c4-same": "c2-0",
            }
            expected |= {BOARD: BOARD, "c6-k": "c6-k"}
            for rebuilt in (False, True):
                if rebuilt:
                    flush(settings)
                assert await some[1].customers(*expected) == list(expected.values())
                assert await some[1].index.overdue() == []
            assert not (astray := timelines.astray(expected.__getitem__)), astray

    asyncio.run(run())


def test_a_log_of_an_earlier_release(settings: Settings) -> None:
    """A log that says that a number is shared, and nothing of what it linked before: that is cut when the index is built from it."""

    async def run() -> None:
        async with workers(settings, 2) as ((first, second), _):
            for fact in (*(Fact(f"c2-{n}", BOARD) for n in range(3)), Fact("c2-1", "c2-1")):
                await first.send(fact)
            await first.send(Fact(BOARD, BOARD, "shared", because("t-4")))
            await first.publish([])
            assert await second.customers("c2-0", "c2-1", "c2-2", BOARD) == ["c2-0", "c2-1", "c2-2", BOARD]
            waiting = {fact.key: fact for who in await second.index.overdue() for fact in who.facts}
            cuts = {key: (fact.customers[:2], fact.ids) for key, fact in waiting.items() if fact.kind == "cut"}
            assert cuts == {
                f"cut:c2-0|{BOARD}": (("c2-0", BOARD), (BOARD,)),
                f"cut:c2-1|{BOARD}": (("c2-0", "c2-1"), ("c2-1",)),
                f"cut:c2-2|{BOARD}": (("c2-0", "c2-2"), ("c2-2",)),
            }
            await second.mend()
            flush(settings)
            assert await first.customers("c2-1") == ["c2-1"]
            assert await first.index.overdue() == []

    asyncio.run(run())


def test_a_conflict_of_a_shared_identifier(settings: Settings) -> None:
    """Two records and an address that two more have: the conflict is taken back, by the touch that showed so."""

    async def run() -> None:
        async with workers(settings) as ((worker,), _):
            await take(worker, "t-0", A, B)
            (detected,) = told(await take(worker, "t-1", X, B))
            (other,) = told(await take(worker, "t-2", "c1-y", B))
            gone = told(await take(worker, "t-3", "c1-z", B))
            assert {one.finding_id for one in gone} == {detected.finding_id, other.finding_id}
            assert {(one.state, one.revision) for one in gone} == {("retracted", 2)}
            assert {(one.cause.kind, one.cause.id) for one in gone if one.cause} == {("split", "t-3")}
            assert await worker.customers(A, X, B) == [A, X, B]

    asyncio.run(run())


@pytest.mark.parametrize("flushed", [False, True])
@pytest.mark.parametrize("acts", [False, True])
def test_somebody_decides_a_conflict(settings: Settings, acts: bool, flushed: bool) -> None:
    """That two records are two: the finding is retracted with who said so and why, or withdrawn when somebody acts on it; read again,
    before or after a flush, each command says the same to the byte; who acts on what has ended gets a dead letter."""

    async def run() -> None:
        async with workers(settings, 2) as ((worker, other), _):
            await take(worker, "t-0", A, B)
            (detected,) = told(await take(worker, "t-1", X, B))
            stage, again = requests(settings, worker.index), requests(settings, other.index)
            acted = asked("finding_acknowledged", "r-1", detected.customer, finding_id=detected.finding_id)
            if acts:
                write = await stage.run([acted])
                (amended,) = published(settings, write)
                assert (amended.state, amended.revision, amended.acknowledged_by) == ("amended", 2, "p.ito")
                assert (amended.finding_id, amended.customer) == (detected.finding_id, detected.customer)
                assert published(settings, await again.run([acted])) == [amended]
                await safe(settings, worker, write)
                late = asked("finding_acknowledged", "r-9", detected.customer, finding_id=detected.finding_id)
                assert (await again.run([late])).outputs == [], "somebody does already"
            if flushed:
                flush(settings)
            split = asked("identity_split", "r-2", A, identifiers=(X, B), cause="two sisters")
            write = await stage.run([split])
            (ended,) = published(settings, write)
            assert (ended.state, ended.withdrawn) == (("amended", True) if acts else ("retracted", False))
            assert (ended.revision, ended.acknowledged_by) == ((3, "p.ito") if acts else (2, None))
            assert (ended.finding_id, ended.customer) == (detected.finding_id, detected.customer)
            assert ended.cause is not None and (ended.cause.kind, ended.cause.id) == ("split", "r-2")
            assert "p.ito" in ended.reason and "two sisters" in ended.reason
            assert published(settings, await again.run([split])) == [ended]
            await safe(settings, worker, write)
            assert await other.index.overdue() == []
            if flushed:
                flush(settings)
            assert published(settings, await again.run([split])) == [ended]
            assert await other.customers(A, B, X) == [A, A, X]
            letter = await again.run(
                [asked("finding_acknowledged", "r-3", detected.customer, finding_id=ended.finding_id)]
            )
            assert ["does not hold any more" in one.detail for one in letters(letter)] == [True]

    asyncio.run(run())


def test_the_identifier_was_not_the_first_ones(settings: Settings) -> None:
    """Of two records with one address somebody splits the first one's off: it is the second one's then, with all its touches, and the
    conflict is taken back."""

    async def run() -> None:
        async with workers(settings) as ((worker,), _):
            timelines = Timelines(random.Random(1))
            for n, ids in enumerate(((A, B), (B,), (X, B), (B, "c3-p"))):
                timelines.take([await take(worker, f"t-{n}", *ids)])
            timelines.deliver()
            write = await requests(settings, worker.index).run([asked("identity_split", "r-1", identifiers=(A, B))])
            (ended,) = published(settings, write)
            assert (ended.state, ended.revision, ended.touch_ids) == ("retracted", 2, ("t-2",))
            timelines.take(await worker.index.overdue(), touches=False)
            await safe(settings, worker, write)
            await settled(worker, timelines)
            for rebuilt in (False, True):
                if rebuilt:
                    flush(settings)
                assert await worker.customers(A, B, X, "c3-p") == [A, X, X, X]
            assert sorted(timelines.places().values()) == [[A], [X], [X], [X]]

    asyncio.run(run())


def test_several_conflicts_end_by_one_split(settings: Settings) -> None:
    """A record and two identifiers that hang together and are another one's: when somebody splits them off that one, both are the first
    record's, and both conflicts have ended."""

    async def run() -> None:
        async with workers(settings) as ((worker,), _):
            for n, ids in enumerate(((A, B), (B, BOARD), (X, B), (X, BOARD))):
                await take(worker, f"t-{n}", *ids)
            ended = published(
                settings,
                await requests(settings, worker.index).run([asked("identity_split", "r-1", identifiers=(A, B))]),
            )
            assert sorted((one.state, one.touch_ids) for one in ended) == [
                ("retracted", ("t-2",)),
                ("retracted", ("t-3",)),
            ]
            assert await worker.customers(A, B, X, BOARD) == [A, X, X, X]

    asyncio.run(run())


@pytest.mark.parametrize("acts", [False, True])
def test_an_erasure_of_one_of_two(settings: Settings, acts: bool) -> None:
    """A conflict that somebody acts on is retracted all the same when one of the two is erased; one that has ended is not told of again."""

    async def run() -> None:
        async with workers(settings) as ((worker,), _):
            await take(worker, "t-0", A, B)
            (one,) = told(await take(worker, "t-1", X, B))
            await take(worker, "t-2", "c1-y", B)
            stage = requests(settings, worker.index)
            if acts:
                acted = asked("finding_acknowledged", "r-1", one.customer, finding_id=one.finding_id)
                await safe(settings, worker, await stage.run([acted]))
            await safe(settings, worker, await stage.run([asked("identity_split", "r-2", identifiers=("c1-y", B))]))
            (gone,) = published(settings, await stage.run([asked("customer_erased", "r-3")]))
            assert (gone.finding_id, gone.state, gone.revision) == (one.finding_id, "retracted", 3 if acts else 2)
            assert gone.acknowledged_by is None or acts

    asyncio.run(run())


@pytest.mark.parametrize("acts", [False, True])
def test_an_end_that_kafka_does_not_have(settings: Settings, acts: bool) -> None:
    """A worker ends after the index ended a conflict, before people were told, and one of the two is erased: the erasure takes the conflict
    back."""

    async def run() -> None:
        async with workers(settings) as ((worker,), _):
            await take(worker, "t-0", A, B)
            (one,) = told(await take(worker, "t-1", X, B))
            stage = requests(settings, worker.index)
            if acts:
                acted = asked("finding_acknowledged", "r-1", one.customer, finding_id=one.finding_id)
                await safe(settings, worker, await stage.run([acted]))
            await stage.run([asked("identity_split", "r-2", identifiers=(X, B))])
            erasure = asked("customer_erased", "r-3")
            write = await stage.run([erasure])
            (gone,) = published(settings, write)
            assert (gone.finding_id, gone.state, gone.revision) == (one.finding_id, "retracted", 3 if acts else 2)
            assert published(settings, await stage.run([erasure])) == [gone]

    asyncio.run(run())


def test_a_pair_that_was_taken_back_may_contradict_itself_anew(settings: Settings) -> None:
    """Of a conflict that ended and of which the log has null values, in whatever order its partitions are read, an index that is built
    remembers nothing: the next one of the same two is told of, acted on and ended as the first was."""

    async def run() -> None:
        async with workers(settings) as ((worker,), _):
            await take(worker, "t-0", A, B)
            (one,) = told(await take(worker, "t-1", X, B))
            ended = (await worker.cut(X, B)).ended
            assert ended is not None
            for key in (f"blocked:{X}|{B}", f"cut:{X}|{B}"):
                await worker.take_back(key)
            await worker.publish([])
            await worker.send(ended)
            await worker.take_back(ended.key)
            await worker.publish([])
            flush(settings)
            (again,) = told(await take(worker, "t-3", X, B))
            assert again.finding_id != one.finding_id
            (conflict,) = await worker.index.conflicts(A)
            assert (await worker.index.act(conflict, "r-9", because("r-9"))).standing == "acted"

    asyncio.run(run())


def test_other_findings_are_the_timelines(settings: Settings) -> None:
    """Who acts on a finding of a timeline says so to the timeline, also when the customer has a conflict of the index."""

    async def run() -> Write:
        async with workers(settings) as ((worker,), _):
            await take(worker, "t-0", A, B)
            await take(worker, "t-1", X, B)
            return await requests(settings, worker.index).run(
                [asked("finding_acknowledged", "r-1", finding_id="another")]
            )

    outputs: list[Out] = asyncio.run(run()).outputs
    assert [out.topic for out in outputs] == [settings.topic(IDENTIFIED)]


def test_other_findings_do_not_wait_for_the_index(settings: Settings) -> None:
    """While Redis is away, who acts on a finding and says of which rule it is says so to the timeline; only what may be a conflict of the
    index waits."""

    async def run(**said: str) -> Write:
        async with workers(settings) as ((worker,), _):
            worker.index._away_until = float("inf")
            return await requests(settings, worker.index).run(
                [asked("finding_acknowledged", "r-1", finding_id="another", **said)]
            )

    assert [out.topic for out in asyncio.run(run(rule="double_contact")).outputs] == [settings.topic(IDENTIFIED)]
    kinds: list[dict[str, str]] = [{}, {"rule": RULE}]
    for said in kinds:
        with pytest.raises(NotNow):
            asyncio.run(run(**said))
