"""A lane on real Kafka whose producer can be watched, and whose acknowledgements can be held back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from prometheus_client import CollectorRegistry

from streams.edge.kafka_auth import client_options
from streams.edge.lane import Lane
from streams.edge.metrics import Metrics
from streams.edge.topics import changelog
from streams.settings import Settings


class WatchedProducer(AIOKafkaProducer):  # type: ignore[misc]
    """`log` has ("sent" | "acknowledged", topic, partition) in order. A topic in `held` is acknowledged once its event is set."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.log: list[tuple[str, str, int]] = []
        self.held: dict[str, asyncio.Event] = {}

    async def send_batch(self, batch: Any, topic: str, *, partition: int) -> asyncio.Future[Any]:
        """Sends as ever; what is awaited afterwards is watched."""
        self.log.append(("sent", topic, partition))
        delivery = await super().send_batch(batch, topic, partition=partition)
        return asyncio.ensure_future(self._watch(delivery, topic, partition, self.held.get(topic)))

    async def _watch(self, delivery: Any, topic: str, partition: int, gate: asyncio.Event | None) -> Any:
        result = await delivery
        if gate is not None:
            await gate.wait()
        self.log.append(("acknowledged", topic, partition))
        return result


@asynccontextmanager
async def lane_of(settings: Settings) -> AsyncIterator[tuple[Lane, WatchedProducer]]:
    """A lane and its producer, configured as a worker's."""
    producer = WatchedProducer(
        acks="all",
        enable_idempotence=True,
        max_batch_size=950_000,
        max_request_size=3_800_000,
        **client_options(settings),
    )
    await producer.start()
    lane = Lane(producer, changelog(settings), settings.partitions, Metrics(CollectorRegistry()), 60.0)
    try:
        yield lane, producer
    finally:
        await lane.barrier()
        await lane.close()
        await producer.stop()


async def ends(settings: Settings, topic: str) -> list[int]:
    """End offset of each partition of a topic."""
    async with AIOKafkaConsumer(**client_options(settings)) as consumer:
        places = [TopicPartition(topic, partition) for partition in range(settings.partitions)]
        found = await consumer.end_offsets(places)
        return [found[place] for place in places]


async def contents(settings: Settings, topic: str) -> list[Any]:
    """All records of a topic, by partition, then offset."""
    async with AIOKafkaConsumer(**client_options(settings)) as consumer:
        places = [TopicPartition(topic, partition) for partition in range(settings.partitions)]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        stop = await consumer.end_offsets(places)
        records: list[Any] = []
        while any([await consumer.position(place) < stop[place] for place in places]):
            for found in (await consumer.getmany(timeout_ms=500)).values():
                records += found
        return sorted(records, key=lambda record: (record.partition, record.offset))
