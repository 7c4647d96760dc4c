"""Bytes to Kafka for producers: idempotent, acknowledged by all replicas, in bounded time, with errors that say where.

The worker does not use this (`streams.edge.lane` is its way out); the SDK, the commands and the replay do.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    UnknownTopicOrPartitionError,
)

from streams.edge.kafka_auth import client_options
from streams.settings import Settings

MAX_RECORD = 1_000_000
"""Bytes of the largest record that is handed to Kafka; just under the brokers' default `message.max.bytes` of 1,048,588."""


class PublishError(Exception):
    """Kafka did not take a record. The text names broker, topic and cause; `__cause__` is Kafka's own error if there is one.

    After a time-out the record may be stored all the same. To publish it again is safe: its id makes the two one.
    """


class TooLarge(PublishError):
    """A record that is larger than this client or the topic allows."""


@dataclass(frozen=True, slots=True)
class Record:
    """What is published: the topic's full name, key and value as bytes. A value of None is the end of the key's earlier records."""

    topic: str
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Written:
    """Where an acknowledged record stands."""

    topic: str
    partition: int
    offset: int


class _Disturbed(PublishError):
    """A record that failed only because another one of its partition did."""


@dataclass(slots=True)
class _Connection:
    """A producer and the number of `publish_many` that use it."""

    producer: AIOKafkaProducer
    users: int = 0
    broken: bool = False


class Publisher:
    """A producer connection. `timeout` (seconds) bounds the start, each acknowledgement, and the close.

    Use it as an async context manager; `publish` may be called from several tasks at once.
    """

    def __init__(self, settings: Settings, timeout: float = 30.0) -> None:
        self._settings = settings
        self._timeout = timeout
        self._open = False
        self._connection: _Connection | None = None
        self._connecting = asyncio.Lock()

    async def __aenter__(self) -> Publisher:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def start(self) -> None:
        """Connect.

        Raises:
            PublishError: no broker answers at the address, or not in the way the settings say.
        """
        self._open = True
        await self._connect()

    async def close(self) -> None:
        """Disconnect. Whatever was not acknowledged by now is given up: its publisher was told, or went away."""
        self._open = False
        connection, self._connection = self._connection, None
        if connection is not None:
            await give_up(connection.producer)

    async def publish(self, record: Record) -> Written:
        """Publish one record and wait for the acknowledgement.

        Raises:
            PublishError: it was not acknowledged in time, or was refused (TooLarge when for its size).
        """
        (result,) = await self.publish_many([record])
        if isinstance(result, PublishError):
            raise result
        return result

    async def publish_many(self, records: Sequence[Record]) -> list[Written | PublishError]:
        """Publish records and wait for all acknowledgements; one result a record, in their order.

        All records are in flight at once: the caller bounds their number.
        """
        if not self._open:
            raise RuntimeError("the publisher is not connected; use it in `async with`")
        results = await self._round(records)
        for i, result in enumerate(results):
            # The broker refuses whole batches, and then the rest of the partition: each of them gets a try of its own.
            if isinstance(result, TooLarge | _Disturbed):
                (results[i],) = await self._round([records[i]])
        return results

    async def _round(self, records: Sequence[Record]) -> list[Written | PublishError]:
        """One try of all records on one connection."""
        try:
            connection = await self._connect()
        except PublishError as error:
            return [error] * len(records)
        connection.users += 1
        try:
            return await self._all(connection, records)
        finally:
            connection.users -= 1
            if connection.broken and connection.users == 0:
                await give_up(connection.producer)

    async def _connect(self) -> _Connection:
        """The connection, or a new one: after a refused batch, aiokafka's idempotent producer has a gap in its sequence
        numbers and never delivers to that partition again."""
        async with self._connecting:
            if self._connection is None:
                self._connection = _Connection(await self._start())
            return self._connection

    async def _start(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            client_id="touchstream-publisher",
            acks="all",
            enable_idempotence=True,
            compression_type="lz4",
            max_batch_size=256 * 1024,
            max_request_size=MAX_RECORD,
            request_timeout_ms=int(self._timeout * 1000),
            **client_options(self._settings),
        )
        try:
            await asyncio.wait_for(producer.start(), self._timeout)
        except (KafkaError, OSError, TimeoutError) as error:
            await give_up(producer)
            raise PublishError(
                f"cannot reach Kafka at {self._settings.bootstrap}: {describe(error)}; is it running (`touchstream up`)"
                " and is --bootstrap or TOUCHSTREAM_BOOTSTRAP right?"
            ) from error
        except BaseException:
            await give_up(producer)
            raise
        return producer

    async def _all(self, connection: _Connection, records: Sequence[Record]) -> list[Written | PublishError]:
        deadline = asyncio.get_running_loop().time() + self._timeout
        pending: list[asyncio.Future[object] | PublishError] = []
        failed: dict[str, PublishError] = {}  # a missing topic costs one wait for metadata, not one a record
        for record in records:
            item = failed.get(record.topic) or await self._hand_over(connection.producer, record, deadline)
            if isinstance(item, PublishError) and not isinstance(item, TooLarge):
                failed[record.topic] = item
            pending.append(item)
        futures = [item for item in pending if not isinstance(item, PublishError)]
        if futures:
            await asyncio.wait(futures, timeout=max(0.0, deadline - asyncio.get_running_loop().time()))
        if any(future.done() and future.exception() is not None for future in futures):
            connection.broken = True
            if self._connection is connection:
                self._connection = None
        return [
            item if isinstance(item, PublishError) else self._outcome(item, record)
            for item, record in zip(pending, records, strict=True)
        ]

    async def _hand_over(
        self, producer: AIOKafkaProducer, record: Record, deadline: float
    ) -> asyncio.Future[object] | PublishError:
        try:
            async with asyncio.timeout_at(deadline):
                future: asyncio.Future[object] = await producer.send(record.topic, record.value, record.key)
        except (KafkaError, OSError, TimeoutError) as error:
            if isinstance(error, TimeoutError) and not producer.client.cluster.partitions_for_topic(record.topic):
                return self._problem(UnknownTopicOrPartitionError(record.topic), record)
            return self._problem(error, record)
        # A future that is given up at the deadline fails later, with nobody left to ask for its exception.
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        return future

    def _outcome(self, future: asyncio.Future[object], record: Record) -> Written | PublishError:
        if not future.done():
            return self._problem(TimeoutError(), record)
        error = future.exception()
        if error is not None:
            return self._problem(error, record)
        metadata = future.result()
        return Written(record.topic, metadata.partition, metadata.offset)  # type: ignore[attr-defined]

    def _problem(self, error: BaseException, record: Record) -> PublishError:
        where = f"topic {record.topic} at {self._settings.bootstrap}"
        if isinstance(error, MessageSizeTooLargeError):
            made: PublishError = TooLarge(
                f"{len(record.value or b'')} bytes are more than {where} takes; shorten the record (message.text), or raise the topic's"
                " max.message.bytes"
            )
        elif isinstance(error, UnknownTopicOrPartitionError):
            made = PublishError(f"there is no {where}; `touchstream topics create` makes all topics")
        elif isinstance(error, TimeoutError | KafkaTimeoutError):
            made = PublishError(
                f"{where} did not acknowledge within {self._timeout:g} s; the record may be stored all the same, and it is"
                " safe to send it again"
            )
        elif isinstance(error, OutOfOrderSequenceNumber | ProducerClosed):
            made = _Disturbed(f"{where} refused the record after another one failed; it is safe to send it again")
        else:
            made = PublishError(f"{where} refused the record: {describe(error)}")
        made.__cause__ = error
        return made


async def give_up(producer: AIOKafkaProducer) -> None:
    """Disconnect a producer; what it has not delivered by now is lost to it."""
    # An idempotent aiokafka producer retries for ever, and its stop() waits for that; so pending batches are failed first.
    producer._message_accumulator.fail_all(KafkaTimeoutError("the producer was closed"))
    await producer.stop()


def describe(error: BaseException) -> str:
    """Kafka's error for people: its text without the class's decoration, or its name when it has no text."""
    text = str(error)
    with contextlib.suppress(AttributeError):
        text = text.removeprefix(f"[Error {error.errno}] ").removeprefix(f"{type(error).__name__}: ")  # type: ignore[attr-defined]
    if isinstance(error, KafkaConnectionError):
        text = text.removeprefix("KafkaConnectionError: ")
    if isinstance(error, TimeoutError) and not text:
        return "no answer in time"
    return text or type(error).__name__
