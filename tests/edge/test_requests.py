"""What others ask for that needs the identity index: waited for while it is away, refused where it makes no sense."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import pytest
from prometheus_client import CollectorRegistry

from streams.core.commands import LEAD_KINDS, Command
from streams.core.dead_letter import DeadLetter
from streams.core.policy import Policy
from streams.edge import reservations
from streams.edge.embedded.ports import free_port
from streams.edge.gather import NotNow
from streams.edge.identity_index import IdentityIndex
from streams.edge.lane import Write
from streams.edge.metrics import Metrics
from streams.edge.reader import Stored
from streams.edge.reservations import Reservations
from streams.edge.stages import Ingest, Requests
from streams.edge.stages.requests import _then as then
from streams.settings import Settings
from tests.edge.test_stages import CODEC, POLICY, SETTINGS, T0, Record
from tests.support.identities import workers

ID = "c2-" + "0" * 24


def asked(customer_id: str, kind: str = "customer_erased", request: str = "r-1") -> Record:
    """A command as somebody writes it."""
    command = Command(request, customer_id, kind, T0, "a letter", requested_by="p.ito")
    return Record("x.commands", CODEC.encode_command(command), key=customer_id.encode())


def letters(write: Write) -> list[DeadLetter]:
    """The dead letters of a write."""
    return [
        CODEC.decode_dead_letter(out.value or b"") for out in write.outputs if out.topic.endswith("touches.dead-letter")
    ]


def requests(settings: Settings, index: IdentityIndex, policy: Policy = POLICY) -> Requests:
    """The stage."""
    metrics = Metrics(CollectorRegistry())
    ingest = Ingest(settings, policy, CODEC, metrics, index)
    return Requests(settings, policy, CODEC, metrics, index, ingest, Reservations(settings))


@pytest.fixture
def absent() -> Settings:
    """An installation whose Redis does not answer."""
    return Settings(topic_prefix="x.", redis_url=f"redis://127.0.0.1:{free_port()}/0")


def test_an_erasure_waits_for_redis(absent: Settings) -> None:
    """While Redis is away an erasure is put off, and no dead letter is made of it."""

    async def run() -> None:
        index = IdentityIndex(absent, Metrics(CollectorRegistry()))
        with pytest.raises(NotNow, match="an erasure waits"):
            await requests(absent, index).run([asked(ID)])
        await index.close()

    asyncio.run(run())


@pytest.mark.parametrize("plain", ["dana@example.com", "+14155550132", "c2-dana@example.com", "", "c0-00"])
def test_a_plain_address_does_not_travel_on(absent: Settings, plain: str) -> None:
    """An erasure that names a person by anything but a pseudonymous id is a dead letter, under a key that does not show it; the index
    is not asked."""

    async def run() -> Write:
        index = IdentityIndex(absent, Metrics(CollectorRegistry()))
        write = await requests(absent, index).run([asked(plain)])
        await index.close()
        return write

    write = asyncio.run(run())
    ((letter,), (out,)) = (letters(write), write.outputs)
    assert (letter.reason, "touchstream customer erase" in letter.detail) == ("unroutable", True)
    assert out.key is not None and out.key.startswith(b"k-")


def test_what_only_workers_say_is_refused() -> None:
    """A merge from outside is a dead letter, and so is an acknowledgement of nothing."""

    async def run() -> Write:
        index = IdentityIndex(SETTINGS, Metrics(CollectorRegistry()))
        write = await requests(SETTINGS, index).run([asked(ID, "customer_merged"), asked(ID, "finding_acknowledged")])
        await index.close()
        return write

    assert [letter.reason for letter in letters(asyncio.run(run()))] == ["unroutable", "unroutable"]


@pytest.mark.stack
def test_a_shared_identifier_says_nothing_about_whom(settings: Settings) -> None:
    """Who is named by a number that many people have is not erased: the request is a dead letter that says what to do."""
    people = [(f"c2-{n}", "c3-office") for n in range(5)]

    async def run() -> Write:
        async with workers(settings) as ((worker,), _):
            await worker.touch(*people)
            return await requests(settings, worker.index).run([asked("c3-office")])

    (letter,) = letters(asyncio.run(run()))
    assert letter.reason == "unroutable"
    assert "many people have" in letter.detail and "another id of the person" in letter.detail


@pytest.mark.stack
def test_the_same_request_again(settings: Settings) -> None:
    """Read again before its offset was committed, an erasure gives the same records in the same order: marks, commands and receipt
    first, null values last, and after them the receipt that says so."""

    async def run() -> tuple[Write, Write]:
        async with workers(settings) as ((worker,), _):
            await worker.touch(("c1-7", "c2-dana"), ("c2-bo",))
            stage = requests(settings, worker.index)
            return await stage.run([asked("c2-dana")]), await stage.run([asked("c2-dana")])

    first, second = asyncio.run(run())
    assert (first.outputs, first.last, first.after) == (second.outputs, second.last, second.after)
    receipts = [CODEC.decode_receipt(out.value or b"") for out in (first.outputs[-1], *first.after)]
    assert [one.gone for one in receipts] == [False, True]
    kinds = [(out.topic.removeprefix(settings.topic_prefix), out.key) for out in first.outputs]
    assert kinds == [
        ("identities", b"erased:c1-7|c1-7"),
        ("identities", b"erased:c2-dana|c2-dana"),
        ("touches.identified", b"c1-7"),
        ("touches.identified", b"c2-dana"),
        ("erasures", b"c1-7"),
    ]
    assert {b"c1-7|c1-7", b"c1-7|c2-dana"} <= {out.key for out in first.last}
    assert all(out.value is None for out in first.last)


@pytest.mark.parametrize("kind", ["finding_acknowledged", *sorted(LEAD_KINDS)])
@pytest.mark.parametrize("customer", ["#policy", f"{ID}#00ff00ff00ff00ff", "dana@example.com", ""])
def test_what_is_said_of_nobody_is_refused_at_the_door(kind: str, customer: str) -> None:
    """The key of the policy, of a segment or a plain address as a customer's id: a dead letter, since a timeline stage would read under it
    what is no timeline."""
    command = Command("r-1", customer, kind, T0, "a letter", finding_id="f-1", requested_by="p.ito", reason="no_need")

    async def run() -> Write:
        index = IdentityIndex(SETTINGS, Metrics(CollectorRegistry()))
        write = await requests(SETTINGS, index).run([Record("x.commands", CODEC.encode_command(command))])
        await index.close()
        return write

    write = asyncio.run(run())
    ((letter,), (_,)) = (letters(write), write.outputs)
    assert letter.reason == "unroutable" and "pseudonymous id of a customer" in letter.detail


@pytest.mark.stack
def test_many_erasures_at_once(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """300 people erased in one micro-batch: Kafka's reservations are read once for all of them; each receipt counts the person's own, whose
    keys get null values; and what is left to do when Kafka has it all does not grow too deep."""
    people = [f"c2-{n:024x}" for n in range(300)]
    reads: list[object] = []
    held = [Stored("", 0, n, 0, f"r-{n}".encode(), f"6{people[n % 2]}6{people[2]}".encode()) for n in range(3)]

    async def read(*args: object, **options: object) -> AsyncIterator[Stored]:
        reads.append(args)
        for one in held:
            yield one

    monkeypatch.setattr(reservations, "read", read)

    async def run() -> Write:
        async with workers(settings) as ((worker,), _):
            await worker.touch(*((one,) for one in people))
            write = await requests(settings, worker.index).run([asked(one, request=f"r-{one}") for one in people])
            assert write.done is not None
            await write.done()
            return write

    write = asyncio.run(run())
    receipts = [CODEC.decode_receipt(out.value or b"") for out in write.outputs if out.topic.endswith("erasures")]
    assert (len(reads), len(receipts)) == (1, 300)
    assert {one.customer_id: one.reservations for one in receipts if one.reservations} == {
        people[0]: 2, people[1]: 1, people[2]: 3,
    }  # fmt: skip
    gone = [out.key for out in write.last if out.topic.endswith("reservations")]
    assert sorted(gone) == [b"r-0", b"r-0", b"r-1", b"r-1", b"r-2", b"r-2"]


def test_what_is_to_be_done_behind_a_write_is_kept() -> None:
    """More to be done once Kafka has a write comes behind what was to be done already, whoever said so, and takes nothing away."""
    told: list[str] = []

    async def say(text: str) -> None:
        told.append(text)

    write = Write([], done=partial(say, "before"))
    for text in ("first", "second"):
        then(write, partial(say, text))
    assert write.done is not None
    asyncio.run(write.done())  # type: ignore[arg-type]
    assert told == ["before", "first", "second"]
