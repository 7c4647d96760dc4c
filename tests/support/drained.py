"""Waiting until the workers have nothing left to do, by what the broker says: everything is read and committed."""

from __future__ import annotations

import asyncio

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.edge.kafka_auth import client_options
from streams.edge.topics import COMMANDS, IDENTIFIED, TOUCH_TOPICS
from streams.settings import Settings
from tests.support.waiting import wait_until_async

INPUTS = (*TOUCH_TOPICS.values(), IDENTIFIED, COMMANDS)


def wait_drained(settings: Settings, seconds: float = 120) -> dict[tuple[str, int], int]:
    """Until the group has committed up to the end of every input partition, those that the workers write themselves
    included; the ends by (topic, partition). The last record of a partition must be no transaction's marker."""
    return asyncio.run(_wait_drained(settings, seconds))


async def _wait_drained(settings: Settings, seconds: float) -> dict[tuple[str, int], int]:
    consumer = AIOKafkaConsumer(group_id=settings.app_id, enable_auto_commit=False, **client_options(settings))
    await consumer.start()
    places = [TopicPartition(settings.topic(name), p) for name in INPUTS for p in range(settings.partitions)]
    consumer.assign(places)

    async def rest() -> dict[TopicPartition, tuple[int, int]]:
        # Committed first: what a worker writes is there before the offset that led to it is committed.
        done = {place: await consumer.committed(place) or 0 for place in places}
        ends = await consumer.end_offsets(places)
        return {place: (done[place], ends[place]) for place in places if done[place] != ends[place]}

    async def drained() -> bool:
        return not await rest()

    try:
        await wait_until_async(drained, seconds, "every input record to be committed")
        ends = await consumer.end_offsets(places)
        return {(place.topic, place.partition): end for place, end in ends.items()}
    finally:
        await consumer.stop()
