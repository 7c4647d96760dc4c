"""Touches into Kafka as a producer would, and what must come out of them."""

from __future__ import annotations

import asyncio
import time

from msgspec.structs import replace

from streams import Client
from streams.core import backtest
from streams.core.outcome import Finding
from streams.core.policy import Policy
from streams.core.published import Published, made
from streams.core.touch import Touch
from streams.edge import policies, reader
from streams.edge.publisher import Record
from streams.edge.topics import POLICIES
from streams.settings import Settings


def publish(settings: Settings, touches: list[Touch]) -> None:
    """All touches into Kafka, acknowledged."""
    with Client.sync(settings=settings) as client:
        client.send_many(touches)


def put_policy(settings: Settings, text: str) -> None:
    """This policy comes into force."""
    before = asyncio.run(policies.newest(settings))
    say(settings, made(text, "published.toml", "p.ito", time.time_ns() // 1_000_000, before))


def say(settings: Settings, told: Published, value: bytes | None = None) -> None:
    """A publication as the workers write it once all partitions have the marker; or `value` in its place."""

    async def write() -> None:
        async with Client(settings=settings) as client:
            record = value or client.codec.encode_policy(told)
            await client.publisher.publish(Record(settings.topic(POLICIES), told.publication_id.encode(), record))

    asyncio.run(write())


def expected(settings: Settings, touches: list[Touch]) -> list[Finding]:
    """What the backtest finds in these touches, as `comparable`."""
    now = time.time_ns() // 1_000_000
    result = backtest.run(touches, Policy(), id_key=settings.id_key, region=settings.default_region, now=now)
    return comparable(result.findings)


def comparable(found: list[Finding]) -> list[Finding]:
    """Findings without what depends on the order of arrival: revision, its cause, and detected or amended."""
    return [replace(finding, revision=1, state="detected", cause=None) for finding in found]


def streamed(settings: Settings) -> list[Finding]:
    """What a consumer of the alert topics holds to be true now, as `comparable`."""
    return comparable(backtest.standing(asyncio.run(reader.findings(settings))))
