"""Reads the changelog into the store, a record batch at a time."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, KafkaTimeoutError

from streams.edge.kafka_auth import client_options
from streams.edge.store import Partition, Store
from streams.edge.topics import changelog
from streams.settings import Settings

CHUNK = 2_000
"""Records taken over before the event loop has its turn: some 20 ms."""

PARTITION_BYTES = 2 * 1024 * 1024
"""Bytes of one partition in one answer of the broker. So much memory a partition is needed beside the store, for a while."""

WAIT_MS = 50
"""How long the broker waits for more when there is nothing to read; so long takes a restore of nothing."""

PAUSE = 2.0
"""Seconds between two tries to reach the brokers."""

TOLD_EVERY = 10.0
"""Seconds between two lines about a restore that takes long."""

log = logging.getLogger("touchstream.recovery")


class Restore:
    """Reads partitions of the changelog into the store. `records` and `size` (bytes of keys and values) are what was read so far."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings, self._store = settings, store
        self._topic = changelog(settings)
        self.records = self.size = 0

    async def run(self, partitions: set[int]) -> None:
        """Returns when the store holds what the partitions held when this began. Tries again while no broker answers.

        Raises:
            KafkaError: trying again does not help; for example, the changelog may not be read.
        """
        while partitions:
            try:
                await self._read_all(partitions)
                return
            except KafkaError as error:
                if not error.retriable and not isinstance(error, KafkaTimeoutError):
                    raise
                log.warning("the changelog cannot be read now, trying again: %s: %s", type(error).__name__, error)
            await asyncio.sleep(PAUSE)

    async def _read_all(self, partitions: set[int]) -> None:
        places = {TopicPartition(self._topic, partition) for partition in partitions}
        # The end is asked for, not taken from what is fetched: a broker that has just become the leader may say too little there,
        # and knows it only here (KIP-207). Uncommitted, since our own records may stand behind another's open transaction.
        async with _consumer(self._settings) as plain:
            ends = await plain.end_offsets(places)
        for place, end in ends.items():
            if end < self._store.partitions[place.partition].offset:
                self._stand(place.partition, 0)
        if not self._left(ends):  # aiokafka cannot stop a consumer that was assigned just now: CancelledError
            return
        async with _consumer(
            self._settings,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            max_partition_fetch_bytes=PARTITION_BYTES,
            fetch_max_wait_ms=WAIT_MS,
        ) as consumer:
            await self._read(consumer, ends)

    async def _read(self, consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> None:
        consumer.assign(list(ends))
        for place in ends:
            consumer.seek(place, self._store.partitions[place.partition].offset)
        told = time.monotonic()
        while left := self._left(ends):
            for place, records in (await consumer.getmany(*left, timeout_ms=2 * WAIT_MS, max_records=CHUNK)).items():
                self._take(place.partition, records)
            for place in left:  # the position passes aborted records and transaction markers, which no record tells of
                self._stand(place.partition, await consumer.position(place))
            if time.monotonic() - told > TOLD_EVERY:
                told = time.monotonic()
                self._tell(consumer, left)
            await asyncio.sleep(0)

    def _left(self, ends: dict[TopicPartition, int]) -> dict[TopicPartition, int]:
        return {place: end for place, end in ends.items() if self._store.partitions[place.partition].offset < end}

    def _take(self, partition: int, records: list[Any]) -> None:
        self._stand(partition, records[0].offset)
        held = self._store.partitions[partition]
        for record in records:
            held.put(record.key, record.value)
            self.size += record.serialized_key_size + max(0, record.serialized_value_size)
        self._stand(partition, records[-1].offset + 1)
        self.records += len(records)

    def _stand(self, partition: int, offset: int) -> None:
        """The changelog goes on at `offset` behind what the store holds."""
        if offset < self._store.partitions[partition].offset:
            log.warning(
                "partition %d of %s was cut or made anew; it is read from its beginning", partition, self._topic
            )
            self._store.partitions[partition] = Partition()
        self._store.partitions[partition].offset = offset

    def _tell(self, consumer: AIOKafkaConsumer, left: dict[TopicPartition, int]) -> None:
        behind = {place: end - self._store.partitions[place.partition].offset for place, end in left.items()}
        log.info("restoring: %d records, %.0f MB; %d to go", self.records, self.size / 1e6, sum(behind.values()))
        for place, end in left.items():
            stable = consumer.last_stable_offset(place)
            if stable is not None and end - behind[place] >= stable:
                log.warning(
                    "partition %d of %s: an open transaction, which is not touchstream's, hides what is behind offset %d; "
                    "waiting for its end or time-out",
                    place.partition, place.topic, stable,
                )  # fmt: skip


def _consumer(settings: Settings, **options: Any) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(enable_auto_commit=False, **options, **client_options(settings))
