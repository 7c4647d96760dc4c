"""Timelines that the release before layout 2 wrote: restored, and gone on from."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from streams.edge.kafka_auth import client_options
from streams.edge.topics import CONFLICTS, HANDOFFS, IDENTITIES, changelog
from streams.settings import Settings
from tests.support import histories
from tests.support.drained import wait_drained
from tests.support.publishing import expected, publish, streamed
from tests.support.worker import Worker

pytestmark = [pytest.mark.stack, pytest.mark.timeout(400)]

STORED = json.loads((Path(__file__).parent / "data" / "layout_1.json").read_text())


def test_worker_goes_on_from_timelines_in_layout_1(make_settings: Callable[..., Settings]) -> None:
    """On what the older release left in Kafka, the rest of a history (late touches and merges in it) ends in the backtest's findings."""
    settings = make_settings(id_key="layout-1", partitions=2)
    assert all(base64.b64decode(value)[:1] == b"\x01" for _, _, value in STORED["changelog"])
    topics = {
        "changelog": changelog(settings),
        **{name: settings.topic(name) for name in (IDENTITIES, CONFLICTS, HANDOFFS)},
    }

    async def restore() -> None:
        async with AIOKafkaProducer(acks="all", **client_options(settings)) as producer:
            for name, topic in topics.items():
                for partition, key, value in STORED[name]:
                    key, value = base64.b64decode(key), base64.b64decode(value)
                    await producer.send_and_wait(topic, value, key=key, partition=partition)

    asyncio.run(restore())
    touches = list(histories.touches(seed=21, customers=12, count=160, days=14))
    assert streamed(settings) != expected(settings, touches)
    with Worker(settings) as worker:
        publish(settings, touches[110:])
        wait_drained(settings)
        assert worker.stop() == 0, "".join(worker.log[-30:])
    assert streamed(settings) == expected(settings, touches)
