"""A process with nothing but a lane, for the tests of how it ends: `lane_child.py SCENARIO SILENCE_LIMIT`, settings in
the environment.

missing     one record for a topic that does not exist
too_large   one changelog record above the topic's max.message.bytes
late        one good record after twice the silence limit without any, as after a long recovery
endless     writes without a pause; "committed N" means that N writes would have been committed
"""

import asyncio
import logging
import sys
from collections.abc import Iterator

from aiokafka import AIOKafkaProducer

from streams import settings as settings_module
from streams.edge.kafka_auth import client_options
from streams.edge.lane import Lane, Out, Write
from streams.edge.metrics import Metrics
from streams.edge.topics import CONFLICTS, changelog


def writes(scenario: str, topic: str) -> Iterator[Write]:
    """The scenario's writes; the last of a failing one is followed by a good one, which must not be reached."""
    if scenario == "missing":
        yield Write([Out(topic + ".missing", b"k", b"v")])
    elif scenario == "late":
        yield Write([Out(topic, b"k", b"v")])
    elif scenario == "too_large":
        yield Write([], 0, {b"k": bytes(2_000_000)})
    else:
        while True:
            yield Write([Out(topic, b"k", bytes(1000))], 0, {b"k": b"v"})


async def main(scenario: str, silence_limit: float) -> None:
    """Submit the scenario's writes; "committed" is printed where a worker would commit their offsets."""
    settings = settings_module.load()
    producer = AIOKafkaProducer(
        acks="all",
        enable_idempotence=True,
        max_request_size=4_000_000,
        request_timeout_ms=5000,
        **client_options(settings),
    )
    await producer.start()
    lane = Lane(producer, changelog(settings), settings.partitions, Metrics(), silence_limit)
    if scenario == "late":
        await asyncio.sleep(2 * silence_limit)
    for number, write in enumerate(writes(scenario, settings.topic(CONFLICTS)), 1):
        await lane.submit(write)
        if number % 10 == 0 or scenario != "endless":
            await lane.barrier()
            print("committed", number, flush=True)


logging.basicConfig()
asyncio.run(main(sys.argv[1], float(sys.argv[2])))
