"""A split as a command: cut once, published as one story, waited for while the index is away, refused where it makes no sense."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import CollectorRegistry

from streams.core.commands import Command
from streams.core.identity_facts import decode, decode_request
from streams.edge.gather import NotNow
from streams.edge.identity_index import IdentityIndex
from streams.edge.lane import Out, Write
from streams.edge.metrics import Metrics
from streams.settings import Settings
from tests.edge.test_requests import letters, requests
from tests.edge.test_stages import CODEC, T0, Record
from tests.support.identities import flush, workers

A, B, C, D = "c1-a", "c2-b", "c3-c", "c4-d"


def asked(*identifiers: str, request: str = "r-1", reason: str = "a wrong number") -> Record:
    """The command as somebody writes it."""
    command = Command(request, A, "identity_split", T0, reason, identifiers=identifiers, requested_by="p.ito")
    return Record("x.commands", CODEC.encode_command(command), key=b"c1-a")


def told(settings: Settings, outs: list[Out]) -> dict[str, Command]:
    """Commands for timelines, by customer and kind."""
    found = [
        CODEC.decode_command(out.value or b"") for out in outs if out.topic == settings.topic("touches.identified")
    ]
    return {f"{one.kind} {one.customer_id}": one for one in found}


@pytest.mark.parametrize("identifiers", [(), (A,), (A, A), (A, B, C), (A, "dana@example.com"), ("", B)])
def test_what_is_no_pair_of_ids(identifiers: tuple[str, ...]) -> None:
    """Anything but two pseudonymous ids is a dead letter that says what to do; the index is not asked."""

    async def run() -> Write:
        settings = Settings(topic_prefix="x.", redis_url="redis://127.0.0.1:1/0")
        index = IdentityIndex(settings, Metrics(CollectorRegistry()))
        write = await requests(settings, index).run([asked(*identifiers)])
        await index.close()
        return write

    (letter,) = letters(asyncio.run(run()))
    assert letter.reason == "unroutable" and "touchstream identity split" in letter.detail


def test_a_split_waits_for_redis() -> None:
    """While Redis is away a split is put off, and no dead letter is made of it."""

    async def run() -> None:
        settings = Settings(topic_prefix="x.", redis_url="redis://127.0.0.1:1/0")
        index = IdentityIndex(settings, Metrics(CollectorRegistry()))
        with pytest.raises(NotNow, match="a split waits"):
            await requests(settings, index).run([asked(A, B)])
        await index.close()

    asyncio.run(run())


@pytest.mark.stack
@pytest.mark.parametrize("flushed", [False, True])
def test_a_split(settings: Settings, flushed: bool) -> None:
    """The log hears who cut what and why, the timeline which identifiers leave, the one merged before where it goes now; read again,
    before or after Kafka has it, or after a flush then, the split is the same to the byte."""

    async def run() -> None:
        async with workers(settings, 2) as ((worker, other), _):
            await worker.touch((C, D), (B, C), (A,), (A, B))
            stage = requests(settings, worker.index)
            first, second = await stage.run([asked(B, A)]), await requests(settings, other.index).run([asked(B, A)])
            commands = told(settings, first.outputs)
            assert sorted(commands) == [f"customer_merged {C}", f"customer_split {A}"]
            split, merged = commands[f"customer_split {A}"], commands[f"customer_merged {C}"]
            assert (split.into, split.identifiers, split.cause) == (B, (B, C, D), "r-1")
            assert (merged.into, merged.decided_at > split.decided_at > 0) == (B, True)
            (fact,) = [
                decode(out.key or b"", out.value or b"")
                for out in first.outputs
                if (out.key or b"").startswith(b"cut:")
            ]
            request = decode_request(fact)
            assert request is not None and fact.at == split.decided_at
            assert (request.requested_by, request.reason, request.requested_at) == ("p.ito", "a wrong number", T0)
            assert told(settings, second.outputs)[f"customer_split {A}"] == split
            await worker.send(fact)
            assert first.done is not None
            await first.done()
            assert await other.index.overdue() == []
            if flushed:
                flush(settings)
            third = await stage.run([asked(B, A)])
            again = told(settings, third.outputs)
            assert again[f"customer_split {A}"] == split
            assert flushed or len(again) == 1
            assert await other.customers(A, B, C, D) == [A, B, B, B]

    asyncio.run(run())


@pytest.mark.stack
def test_a_split_and_an_erasure(settings: Settings) -> None:
    """The worker ends with the link cut and Kafka told nothing, and the person is erased: before the timeline is told of that, it is told
    whose touches leave it, so that those stay; the log has nothing of the cut, and the split, asked again, is of two people already."""

    async def run() -> None:
        async with workers(settings, 2) as ((worker, other), _):
            await worker.touch((C, D), (A,), (A, C))
            await requests(settings, worker.index).run([asked(A, C)])
            erasure = Command("r-2", A, "customer_erased", T0, "a letter", requested_by="p.ito")
            stage = requests(settings, other.index)
            write = await stage.run([Record("x.commands", CODEC.encode_command(erasure), key=A.encode())])
            there = [
                CODEC.decode_command(out.value or b"")
                for out in write.outputs
                if out.topic == settings.topic("touches.identified") and out.key == A.encode()
            ]
            assert [(one.kind, one.identifiers) for one in there] == [
                ("customer_split", (C, D)),
                ("customer_erased", (A,)),
            ]
            assert there[0].into == C and there[0].decided_at < there[1].decided_at
            assert f"cut:{A}|{C}".encode() in {out.key for out in write.last}
            again = await requests(settings, worker.index).run([asked(A, C)])
            assert [letter.reason for letter in letters(again)] == ["unroutable"]

    asyncio.run(run())


@pytest.mark.stack
def test_what_is_not_linked(settings: Settings) -> None:
    """Unknown, apart, only indirectly linked, or cut by somebody else: a dead letter that says which."""
    pairs = ((A, "c5-unknown"), (B, D), (A, B))

    async def run() -> Write:
        async with workers(settings) as ((worker,), _):
            await worker.touch((A, B), (A, D))
            await worker.cut(A, B, "r-0")
            await worker.touch((A, "c3-p"), (B, "c3-p"))
            return await requests(settings, worker.index).run(
                [asked(*pair, request=f"r{n}") for n, pair in enumerate(pairs)]
            )

    write = asyncio.run(run())
    said = [
        "two people already, or unknown",
        "other links hold them together",
        "was cut before",
    ]
    found = letters(write)
    assert [letter.reason for letter in found] == ["unroutable"] * 3
    assert [text in letter.detail for text, letter in zip(said, found, strict=True)] == [True] * 3
