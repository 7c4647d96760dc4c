"""Kafka to whoever looks: every partition of some topics, without a consumer group, so that looking changes nothing."""

from __future__ import annotations

import heapq
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError
from msgspec import Struct

from streams.core.backtest import fold
from streams.core.outcome import Finding
from streams.core.touch import Origin
from streams.edge.codec import Codec, DecodeError
from streams.edge.kafka_auth import client_options
from streams.edge.publisher import describe
from streams.edge.registry import Registry, RegistryUnavailable
from streams.edge.topics import CONFLICTS, HANDOFFS, catalogue
from streams.settings import PREFIX, Settings, SettingsError

T = TypeVar("T")

log = logging.getLogger("touchstream.reader")

REQUEST_MS = 15_000
QUIET_POLLS = 20
"""Polls of half a second without a record after which the broker is asked whether it is still there."""


class ReadError(Exception):
    """Kafka cannot be read. The text names the broker or topic, the cause, and what to do."""


class Stored(Struct, frozen=True, gc=False):
    """A record as it stands in Kafka; `timestamp` is Kafka's, UTC ms. A value of None is a tombstone."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None

    @property
    def address(self) -> str:
        """For people: "touches.email[1]@42", the form that logs and errors use."""
        return f"{self.topic}[{self.partition}]@{self.offset}"


async def read(
    settings: Settings, topics: Iterable[str], *, start: Literal["beginning", "end"] | int, follow: bool
) -> AsyncIterator[Stored]:
    """Records of the topics (full names): from the beginning, the end, or a time (UTC ms); then for ever, or up to the records
    that are there at the call.

    Order holds within a partition, hence for one key; across partitions it is by timestamp as far as records come together.

    Raises:
        ReadError: the broker or a topic is not there, or stops answering.
    """
    names = list(topics)
    async with _consumer(settings, *names) as consumer:
        partitions = sorted(consumer.assignment())
        ends: dict[TopicPartition, int] = await consumer.end_offsets(partitions)
        await _seek(consumer, partitions, ends, start)
        quiet = 0
        while follow or not await _done(consumer, ends):
            polled = await consumer.getmany(timeout_ms=500)
            quiet = 0 if polled else quiet + 1
            if quiet and quiet % QUIET_POLLS == 0:
                await consumer.end_offsets(
                    partitions
                )  # aiokafka itself would wait for a lost broker for ever, in silence
            for record in heapq.merge(*polled.values(), key=lambda item: item.timestamp):
                if follow or record.offset < ends[TopicPartition(record.topic, record.partition)]:
                    yield Stored(
                        record.topic, record.partition, record.offset, record.timestamp, record.key, record.value
                    )


def in_order(records: Iterable[T], place: Callable[[T], tuple[str, int]], at: Callable[[T], Any]) -> list[T]:
    """Records as `read` brings them, in an order that does not depend on which partition came first: those of one `place` (topic and
    partition) stay as they are, those of several go by their time (`at`), then by place."""
    places: dict[tuple[str, int], list[T]] = {}
    for record in records:
        places.setdefault(place(record), []).append(record)
    return list(heapq.merge(*(places[one] for one in sorted(places)), key=at))


class Stretch(Struct, frozen=True, gc=False):
    """The records of one partition from an offset up to another one, which is not among them."""

    topic: str
    partition: int
    first: int
    end: int

    def __len__(self) -> int:
        return max(0, self.end - self.first)


async def stretches(settings: Settings, topics: Iterable[str]) -> list[Stretch]:
    """All that is in the topics (full names) now, by partition. Raises ReadError."""
    async with _consumer(settings, *topics) as consumer:
        places = sorted(consumer.assignment())
        firsts, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
        return [Stretch(place.topic, place.partition, firsts[place], ends[place]) for place in places]


async def batches(settings: Settings, stretch: Stretch) -> AsyncIterator[list[Stored]]:
    """The records of a stretch, some thousands at a time. Tombstones are left out.

    Raises:
        ReadError: as `read`.
    """
    place = TopicPartition(stretch.topic, stretch.partition)
    async with _consumer(settings) as consumer:
        consumer.assign([place])
        consumer.seek(place, stretch.first)
        quiet = 0
        while not await _done(consumer, {place: stretch.end}):
            polled = await consumer.getmany(timeout_ms=500)
            quiet = 0 if polled else quiet + 1
            if quiet and quiet % QUIET_POLLS == 0:
                await consumer.end_offsets([place])  # as in `read`
            yield [
                Stored(one.topic, one.partition, one.offset, one.timestamp, one.key, one.value)
                for one in polled.get(place, ())
                if one.offset < stretch.end and one.value is not None
            ]


async def committed(settings: Settings, group: str, topic: str) -> dict[int, int]:
    """How far a consumer group has come in a topic (full name), by partition. What is not known is left out: it has not begun, may not be
    asked, or nobody answers for it just now; so it serves only to spare work."""
    admin = AIOKafkaAdminClient(**client_options(settings), request_timeout_ms=REQUEST_MS)
    try:
        await admin.start()
        found = await admin.list_consumer_group_offsets(group)
    except (KafkaError, OSError) as error:
        log.info("what the group %s has read is not known: %s", group, describe(error))
        return {}
    finally:
        await admin.close()
    return {place.partition: one.offset for place, one in found.items() if place.topic == topic and one.offset >= 0}


async def latest(settings: Settings, topic: str, wanted: Callable[[bytes], bool] | None = None) -> dict[bytes, bytes]:
    """The last value of each key of a compacted topic (full name) now, without those that ended in a null; with `wanted` only of the keys
    for which it holds. Raises ReadError."""
    values: dict[bytes, bytes] = {}
    async for stored in read(settings, [topic], start="beginning", follow=False):
        if stored.key is None or (wanted is not None and not wanted(stored.key)):
            continue
        if stored.value is None:
            values.pop(stored.key, None)
        else:
            values[stored.key] = stored.value
    return values


async def fetch(settings: Settings, origin: Origin) -> Stored | None:
    """The record at one address, or None when it is no longer there.

    Raises:
        ReadError: as `read`.
    """
    partition = TopicPartition(origin.topic, origin.partition)
    async with _consumer(settings, origin.topic) as consumer:
        if partition not in consumer.assignment():
            return None
        first = (await consumer.beginning_offsets([partition]))[partition]
        end = (await consumer.end_offsets([partition]))[partition]
        if not first <= origin.offset < end:
            return None
        consumer.seek(partition, origin.offset)
        while await consumer.position(partition) <= origin.offset:
            polled = await consumer.getmany(partition, timeout_ms=500, max_records=1)
            for record in polled.get(partition, ()):
                if record.offset == origin.offset:
                    return Stored(
                        record.topic, record.partition, record.offset, record.timestamp, record.key, record.value
                    )
    return None  # compacted away


async def partitions(settings: Settings, topics: Iterable[str]) -> list[TopicPartition]:
    """All partitions of the topics (full names). Raises ReadError."""
    async with _consumer(settings, *topics) as consumer:
        return sorted(consumer.assignment())


@asynccontextmanager
async def _consumer(settings: Settings, *topics: str) -> AsyncIterator[AIOKafkaConsumer]:
    """A started consumer of all partitions of the topics; Kafka's errors inside come out as ReadError."""
    consumer = AIOKafkaConsumer(
        *topics,
        group_id=None,
        client_id="touchstream-reader",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        isolation_level="read_committed",  # as the workers read
        request_timeout_ms=REQUEST_MS,
        **client_options(settings),
    )
    try:
        await consumer.start()
        yield consumer
    except UnknownTopicOrPartitionError as error:
        raise ReadError(
            f"{settings.bootstrap} does not have all of {', '.join(topics)}; `touchstream topics create` makes all topics"
            " (is --topic-prefix right?)"
        ) from error
    except (KafkaError, OSError, TimeoutError) as error:
        raise ReadError(
            f"cannot read from Kafka at {settings.bootstrap}: {describe(error)}; is it running (`touchstream up`) and is"
            " --bootstrap or TOUCHSTREAM_BOOTSTRAP right?"
        ) from error
    finally:
        await consumer.stop()


async def _seek(
    consumer: AIOKafkaConsumer,
    partitions: list[TopicPartition],
    ends: dict[TopicPartition, int],
    start: Literal["beginning", "end"] | int,
) -> None:
    if start == "beginning":
        offsets = await consumer.beginning_offsets(partitions)
    elif start == "end":
        offsets = ends
    else:
        found = await consumer.offsets_for_times(dict.fromkeys(partitions, start))
        offsets = {tp: ends[tp] if place is None else place.offset for tp, place in found.items()}
    for partition in partitions:
        consumer.seek(partition, offsets[partition])


async def _done(consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> bool:
    for partition, end in ends.items():
        if await consumer.position(partition) < end:
            return False
    return True


def make_registry(settings: Settings) -> Registry | None:
    """The schema registry of an installation, if one is set; to be closed by who made it.

    Raises:
        SettingsError: its address is none.
    """
    if not settings.schema_registry_url:
        return None
    try:
        return Registry(settings.schema_registry_url)
    except ValueError as error:
        raise SettingsError(f"{PREFIX}SCHEMA_REGISTRY_URL: {error}") from None


def make_codec(settings: Settings, registry: Registry | None = None) -> Codec:
    """The codec of an installation, without a registry unless one is given."""
    return Codec(registry, settings.max_message_bytes, catalogue(settings))


@asynccontextmanager
async def open_codec(settings: Settings) -> AsyncIterator[Codec]:
    """The codec of an installation, with its schema registry if one is set, which is closed in the end."""
    registry = make_registry(settings)
    try:
        yield make_codec(settings, registry)
    finally:
        if registry is not None:
            await registry.close()


async def decoded(
    records: AsyncIterator[Stored], codec: Codec, decode: Callable[[bytes], T]
) -> AsyncIterator[tuple[Stored, T | DecodeError]]:
    """Each record with what it means, or with why it cannot be decoded. Tombstones are left out.

    Raises:
        ReadError: the schema registry is needed and does not answer; or as `read`.
    """
    async for stored in records:
        if stored.value is None:
            continue
        try:
            await learn(codec, stored.value, stored.address)
            event: T | DecodeError = decode(stored.value)
        except DecodeError as error:
            event = error
        yield stored, event


async def learn(codec: Codec, value: bytes, address: str) -> None:
    """Look up the schema of the record at an address, if a registry knows it and the codec does not yet.

    Raises:
        ReadError: the registry does not answer.
        DecodeError: no registry can know it.
    """
    await learn_all(codec, [value], address)


async def learn_all(codec: Codec, values: Sequence[bytes], address: str) -> None:
    """The same of many records, of which the first one stands at the address."""
    try:
        if unknown := codec.unknown_ids(values):
            await codec.learn(unknown)
    except RegistryUnavailable as error:
        raise ReadError(f"{address} needs the schema registry: {error}") from error


async def findings(settings: Settings) -> dict[str, Finding]:
    """All that stands in the alert topics now, by finding id, folded as every consumer folds it; see `backtest.standing`.

    Raises:
        ReadError: as `decoded`.
        DecodeError: a record is no finding.
    """
    known: dict[str, Finding] = {}
    names = [settings.topic(CONFLICTS), settings.topic(HANDOFFS)]
    async with open_codec(settings) as codec:
        records = read(settings, names, start="beginning", follow=False)
        async for _, finding in decoded(records, codec, codec.decode_finding):
            if isinstance(finding, DecodeError):
                raise finding
            fold(known, [finding])
    return known
