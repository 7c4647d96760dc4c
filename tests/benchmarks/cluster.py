"""Topics, input and committed offsets on the benchmark's broker."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import GroupCoordinatorNotAvailableError

from streams.edge.client import Client
from streams.edge.lane import partition_of
from streams.edge.topics import CATALOGUE, COMMANDS, IDENTIFIED, POLICIES, TOUCH_TOPICS, catalogue, changelog
from tests.benchmarks import PARTITIONS
from tests.benchmarks.plan import RULE_INPUT, RULE_OUTPUT, Job, Run, Size
from tests.benchmarks.rule import Contact, encode
from tests.support import histories

SEED = 11
CHUNK = 4000
"""Touches loaded at once: so far can the input's partitions be ahead of one another."""


def inputs(job: Job) -> list[str]:
    """Input topics of a job."""
    return list(TOUCH_TOPICS.values()) if job == "whole_worker" else [RULE_INPUT]


def outputs(job: Job) -> list[str]:
    """All other topics of a job."""
    if job == "rule_only":
        return [RULE_OUTPUT, POLICIES]
    return [spec.name for spec in CATALOGUE if spec.name not in inputs(job)]


def watched(job: Job) -> list[str]:
    """Topics whose end must be committed when a run has ended."""
    return [*inputs(job), IDENTIFIED, COMMANDS] if job == "whole_worker" else inputs(job)


@asynccontextmanager
async def admin(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    """An admin client."""
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()
    try:
        yield client
    finally:
        await client.close()


async def recreate(
    bootstrap: str, names: Iterable[str], remove: str = "", configs: Mapping[str, dict[str, str]] | None = None
) -> None:
    """Empty topics of these names, with their settings; topics whose name contains `remove` are deleted (changelogs of an earlier run)."""
    names = list(names)
    async with admin(bootstrap) as client:
        present = set(await client.list_topics())
        gone = [name for name in present if name in names or (remove and remove in name)]
        if gone:
            await client.delete_topics(gone)
            while present & set(gone):
                await asyncio.sleep(0.05)
                present = set(await client.list_topics())
        if names:
            configs = configs or {}
            await client.create_topics(
                [NewTopic(name, PARTITIONS, 1, topic_configs=configs.get(name, {})) for name in names]
            )
            while not await _led(client, names):  # noqa: ASYNC110 - another process's state
                await asyncio.sleep(0.05)


async def _led(client: AIOKafkaAdminClient, names: list[str]) -> bool:
    topics = await client.describe_topics(names)
    return all(partition["leader"] >= 0 for topic in topics for partition in topic["partitions"])


def touches(job: Job, size: Size, run: Run) -> Iterator[tuple[str, bytes, bytes]]:
    """The input: topic, key, value."""
    made = histories.stream(SEED, size.customers, size.touches)
    if job == "whole_worker":
        client = Client(settings=run.settings())
        for touch in made:
            record = client.encode(touch)
            yield record.topic, record.key or b"", record.value
    else:
        for touch in made:
            customer = touch.customer.email or touch.customer.crm_id or ""
            contact = Contact(customer, touch.department, touch.occurred_at, touch.touch_id)
            yield run.topic(RULE_INPUT), customer.encode(), encode(contact)


async def load(run: Run, size: Size) -> None:
    """Input topics with the whole input, compressed as the SDK does it."""
    await recreate(run.bootstrap, [run.topic(name) for name in inputs(run.job)], configs=_configs(run))
    await write(run.bootstrap, touches(run.job, size, run), "lz4")


async def write(bootstrap: str, records: Iterable[tuple[str, bytes, bytes]], compression: str | None = None) -> int:
    """Records as (topic, key, value), acknowledged when this returns; how many."""
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        acks="all",
        compression_type=compression,
        max_batch_size=900_000,
        max_request_size=4_000_000,
    )
    left, count = iter(records), 0
    await producer.start()
    try:
        while chunk := list(itertools.islice(left, CHUNK)):
            await send(producer, chunk)
            count += len(chunk)
    finally:
        await producer.stop()
    return count


async def send(producer: AIOKafkaProducer, records: list[tuple[str, bytes, bytes]]) -> None:
    """Records as (topic, key, value) in full batches, acknowledged when this returns."""
    batches: dict[tuple[str, int], Any] = {}
    sent = []
    for topic, key, value in records:
        place = topic, partition_of(key, PARTITIONS)
        batch = batches.get(place)
        if batch is None:
            batch = batches[place] = producer.create_batch()
        if batch.append(key=key, value=value, timestamp=None) is None:
            sent.append(await producer.send_batch(batch, topic, partition=place[1]))
            batch = batches[place] = producer.create_batch()
            batch.append(key=key, value=value, timestamp=None)
    sent += [await producer.send_batch(batch, topic, partition=p) for (topic, p), batch in batches.items()]
    for future in sent:
        await future


async def prepare(run: Run) -> None:
    """Empty output topics, and the changelog that touchstream does not create by itself."""
    names = [run.topic(name) for name in outputs(run.job)]
    await recreate(run.bootstrap, [*names, changelog(run.settings())], configs=_configs(run))


def _configs(run: Run) -> dict[str, dict[str, str]]:
    """Settings of the product's topics."""
    return {spec.name: dict(spec.config) for spec in catalogue(run.settings())}


async def ended(run: Run, stop: Any) -> bool:
    """Returns True when the group has committed the ends of all topics it reads; False once `stop()` is true."""
    partitions = [TopicPartition(run.topic(name), p) for name in watched(run.job) for p in range(PARTITIONS)]
    consumer = AIOKafkaConsumer(bootstrap_servers=run.bootstrap)
    await consumer.start()
    try:
        async with admin(run.bootstrap) as client:
            least: dict[TopicPartition, int] = await consumer.end_offsets(partitions)
            while not stop():
                try:
                    committed = await client.list_consumer_group_offsets(run.group)
                except GroupCoordinatorNotAvailableError:  # the broker is making its offsets topic
                    committed = {}
                at = {tp: committed[tp].offset if tp in committed else -1 for tp in partitions}
                if all(at[tp] >= end or end == 0 for tp, end in least.items()):
                    least = await consumer.end_offsets(partitions)  # the middle topics grow
                    if sum(least.values()) >= run.records and all(
                        at[tp] >= end or end == 0 for tp, end in least.items()
                    ):
                        return True
                await asyncio.sleep(0.1)
            return False
    finally:
        await consumer.stop()
