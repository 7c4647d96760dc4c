"""A merge as a command: two are joined once, published as one story, waited for while the index is away, refused where it is none."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import CollectorRegistry

from streams.core.commands import Command
from streams.core.identity_facts import decode, decode_request
from streams.edge.gather import NotNow
from streams.edge.identity_index import IdentityIndex
from streams.edge.lane import Write
from streams.edge.metrics import Metrics
from streams.settings import Settings
from tests.edge.test_identity_conflicts import asked as ask
from tests.edge.test_identity_conflicts import published, safe, take
from tests.edge.test_identity_conflicts import told as findings
from tests.edge.test_requests import letters, requests
from tests.edge.test_stage_splits import told
from tests.edge.test_stages import CODEC, T0, Record
from tests.support.identities import because, flush, workers

A, B, X, C, D = "c1-a", "c2-b", "c1-x", "c3-c", "c4-d"


def asked(*identifiers: str, request: str = "r-1", at: int = T0) -> Record:
    """The command as somebody writes it."""
    command = Command(request, A, "identity_merge", at, "one woman", identifiers=identifiers, requested_by="p.ito")
    return Record("x.commands", CODEC.encode_command(command), key=A.encode())


@pytest.mark.parametrize("identifiers", [(), (A,), (A, A), (A, B, C), (A, "dana@example.com")])
def test_what_is_no_pair_of_ids(identifiers: tuple[str, ...]) -> None:
    """Anything but two pseudonymous ids is a dead letter that says what to do; while Redis is away, two such ids wait."""

    async def run() -> Write:
        settings = Settings(topic_prefix="x.", redis_url="redis://127.0.0.1:1/0")
        index = IdentityIndex(settings, Metrics(CollectorRegistry()))
        stage = requests(settings, index)
        with pytest.raises(NotNow, match="a merge waits"):
            await stage.run([asked(A, B)])
        write = await stage.run([asked(*identifiers)])
        await index.close()
        return write

    (letter,) = letters(asyncio.run(run()))
    assert letter.reason == "unroutable" and "touchstream identity merge" in letter.detail


@pytest.mark.stack
@pytest.mark.parametrize("flushed", [False, True])
def test_a_merge(settings: Settings, flushed: bool) -> None:
    """The log hears who joined whom and why, the timeline of the larger id where it goes, and for whose reason; read again, before or
    after Kafka has it, or after a flush then, the fact is the same to the byte."""

    async def run() -> None:
        async with workers(settings, 2) as ((worker, other), _):
            await worker.touch((A, B), (X, C), (C, D))
            stage = requests(settings, worker.index)
            first, second = await stage.run([asked(X, B)]), await requests(settings, other.index).run([asked(X, B)])
            commands = told(settings, first.outputs)
            assert sorted(commands) == [f"customer_merged {X}"]
            (merged,) = commands.values()
            assert (merged.into, merged.identifiers, merged.cause) == (A, (A, X, B, C, D), "r-1")
            assert (merged.reason, merged.issued_at, merged.decided_at > 0) == ("one woman", T0, True)
            key = f"joined:{X}|{B}".encode()
            (out,) = [out for out in first.outputs if out.key == key]
            fact = decode(key, out.value or b"")
            request = decode_request(fact)
            assert request is not None and 0 < fact.at < merged.decided_at
            assert (request.requested_by, request.reason, request.requested_at) == ("p.ito", "one woman", T0)
            assert [out.value for out in second.outputs if out.key == key] == [out.value]
            await safe(settings, worker, first)
            if flushed:
                flush(settings)
            third = await stage.run([asked(X, B)])
            assert [out.value for out in third.outputs if out.key == key] == [out.value]
            assert letters(third) == []
            assert flushed or told(settings, third.outputs) == {}, "what the timeline was told is not in this log"
            assert await other.customers(A, B, X, C, D) == [A] * 5

    asyncio.run(run())


@pytest.mark.stack
@pytest.mark.parametrize("flushed", [False, True])
@pytest.mark.parametrize("acts", [False, True])
def test_conflicts_end(settings: Settings, acts: bool, flushed: bool) -> None:
    """All conflicts of the two end with who decided and why: retracted, or withdrawn when somebody acts on one; read again, also when Redis
    was lost before Kafka had it, each says the same. A conflict with a third record stays."""

    async def run() -> None:
        async with workers(settings, 2) as ((worker, other), _):
            await take(worker, "t-0", A, B, C)
            (detected,) = findings(await take(worker, "t-1", X, B))
            (second,) = findings(await take(worker, "t-2", X, C))
            (third,) = findings(await take(worker, "t-3", "c1-y", B))
            stage, again = requests(settings, worker.index), requests(settings, other.index)
            if acts:
                acted = ask("finding_acknowledged", "r-0", detected.customer, finding_id=detected.finding_id)
                await safe(settings, worker, await stage.run([acted]))
            write = await stage.run([asked(A, X)])
            ended = {one.finding_id: one for one in published(settings, write)}
            assert ended.keys() == {detected.finding_id, second.finding_id}
            one, two = ended[detected.finding_id], ended[second.finding_id]
            assert (one.state, one.withdrawn, one.revision) == (
                ("amended", True, 3) if acts else ("retracted", False, 2)
            )
            assert (two.state, two.withdrawn, two.revision) == ("retracted", False, 2)
            for each in (one, two):
                assert each.cause is not None
                assert (each.cause.kind, each.cause.id, each.cause.reason) == ("merge", "r-1", "one woman")
                assert each.reason.endswith("p.ito decided that they are one person: one woman")
            if flushed:
                flush(settings)
            replayed = {finding.finding_id: finding for finding in published(settings, await again.run([asked(A, X)]))}
            assert replayed == ended
            await safe(settings, other, await again.run([asked(A, X)]))
            await other.mend()
            assert await other.index.overdue() == []
            assert [fact.customers for fact in await other.index.conflicts(A)].count(("c1-y", A)) == 1
            letter = await again.run([ask("finding_acknowledged", "r-9", A, finding_id=third.finding_id)])
            assert [finding.state for finding in published(settings, letter)] == ["amended"]

    asyncio.run(run())


@pytest.mark.stack
def test_who_is_not_merged(settings: Settings) -> None:
    """One person already, an identifier of many, of a person who was erased, an unknown one, or a merge that was asked for before a split:
    a dead letter that says which."""
    pairs = ((A, B), (A, D), (A, "c5-gone"), (A, "c5-unknown"), (A, C))

    async def run() -> Write:
        async with workers(settings) as ((worker,), _):
            await worker.touch((A, B, C), ("c5-gone",), *((f"c1-{n}", D) for n in range(4)))
            await worker.index.erase("c5-gone", "e-1", 1, because("e-1"))
            await worker.index.cut(A, C, "r-0", because("r-0", T0 + 1))
            return await requests(settings, worker.index).run(
                [asked(*pair, request=f"r{n}") for n, pair in enumerate(pairs)]
            )

    found = letters(asyncio.run(run()))
    said = [
        "are one person already",
        "many people have one",
        "who was erased",
        "no touch has shown",
        "dana decided otherwise later",
    ]
    assert [letter.reason for letter in found] == ["unroutable"] * 5
    assert [text in letter.detail for text, letter in zip(said, found, strict=True)] == [True] * 5
