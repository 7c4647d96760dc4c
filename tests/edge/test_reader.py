"""Reading topics without a group: bounded, in order, from where it was asked to start."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import msgspec
import pytest

from streams.core.touch import Origin
from streams.edge.embedded.stack import EmbeddedStack
from streams.edge.publisher import Publisher, Record, Written
from streams.edge.reader import ReadError, Stored, committed, fetch, read
from streams.edge.topics import CONFLICTS
from streams.settings import Settings
from tests.support.waiting import SLOWER

pytestmark = pytest.mark.stack


def put(settings: Settings, count: int, keys: int = 5) -> list[Written]:
    """Store "0", "1", ... in the conflicts topic, keyed in turn."""

    async def run() -> list[Written]:
        topic = settings.topic(CONFLICTS)
        async with Publisher(settings) as publisher:
            records = [Record(topic, f"k{i % keys}".encode(), str(i).encode()) for i in range(count)]
            results = await publisher.publish_many(records)
        return [result for result in results if isinstance(result, Written)]

    return asyncio.run(run())


async def everything(settings: Settings, **options: object) -> list[Stored]:
    choice = {"start": "beginning", "follow": False, **options}
    return [record async for record in read(settings, [settings.topic(CONFLICTS)], **choice)]  # type: ignore[arg-type]


def test_reads_all_once_in_order_within_a_key(settings: Settings) -> None:
    """Every stored record is read once, with its address, and the records of one key in their order."""
    written = put(settings, 3000)
    records = asyncio.run(everything(settings))
    places = {(record.partition, record.offset): record for record in records}
    assert len(places) == len(records) == 3000
    assert [places[item.partition, item.offset].value for item in written] == [str(i).encode() for i in range(3000)]
    for key in range(5):
        values = [int(record.value or b"") for record in records if record.key == f"k{key}".encode()]
        assert values == sorted(values)
    assert records[0].address == f"{settings.topic(CONFLICTS)}[{records[0].partition}]@{records[0].offset}"


def test_empty_topic_ends_at_once(settings: Settings) -> None:
    """Without follow, nothing stored is nothing read, from wherever."""
    for start in ("beginning", "end", 0, 4_000_000_000_000):
        assert asyncio.run(everything(settings, start=start)) == []


def test_end_means_only_new_ones(settings: Settings) -> None:
    """From the end without follow, old records are not read; with follow, the next one is."""
    put(settings, 10)
    assert asyncio.run(everything(settings, start="end")) == []

    async def next_one() -> Stored:
        topic = settings.topic(CONFLICTS)
        async with (
            aclosing(read(settings, [topic], start="end", follow=True)) as records,
            Publisher(settings) as publisher,
        ):
            waiting = asyncio.ensure_future(anext(records))
            while not waiting.done():  # it may not have found the end yet
                await publisher.publish(Record(topic, b"k", b"new"))
                await asyncio.wait([waiting], timeout=0.2)
            return waiting.result()

    assert asyncio.run(asyncio.wait_for(next_one(), 60 * SLOWER)).value == b"new"


def test_fetch_one_record(settings: Settings) -> None:
    """A record is found at its address; an address where none is gives None."""
    written = put(settings, 50)
    place = written[20]
    found = asyncio.run(fetch(settings, Origin(place.topic, place.partition, place.offset)))
    assert found is not None
    assert (found.value, found.key) == (b"20", b"k0")
    assert asyncio.run(fetch(settings, Origin(place.topic, place.partition, 10_000))) is None
    assert asyncio.run(fetch(settings, Origin(place.topic, 77, 0))) is None


def test_broker_that_goes_away_while_following(
    stack: EmbeddedStack, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that waits for new records notices that the broker stopped answering, and says so."""
    monkeypatch.setattr("streams.edge.reader.REQUEST_MS", 4000)
    monkeypatch.setattr("streams.edge.reader.QUIET_POLLS", 2)
    put(settings, 1)

    async def run() -> None:
        async with aclosing(read(settings, [settings.topic(CONFLICTS)], start="beginning", follow=True)) as records:
            await anext(records)
            stack.broker.pause()
            try:
                with pytest.raises(ReadError, match=f"cannot read from Kafka at {settings.bootstrap}"):
                    await anext(records)
            finally:
                stack.broker.resume()

    asyncio.run(asyncio.wait_for(run(), 90 * SLOWER))


def test_missing_topic(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A topic that is not there is named, with the command that makes it."""
    monkeypatch.setattr("streams.edge.reader.REQUEST_MS", 4000)
    elsewhere = msgspec.structs.replace(settings, topic_prefix="nowhere.")
    with pytest.raises(ReadError, match=r"does not have all of nowhere\.conflicts; `touchstream topics create`"):
        asyncio.run(everything(elsewhere))


def test_what_a_group_has_read_is_known_or_not(settings: Settings) -> None:
    """Of a group that has never committed, and of one that nobody answers for, nothing is known; that is no error, for it only spares
    work."""
    topic = settings.topic(CONFLICTS)
    for known in (settings, msgspec.structs.replace(settings, bootstrap="127.0.0.1:1")):
        assert asyncio.run(committed(known, "nobody", topic)) == {}
