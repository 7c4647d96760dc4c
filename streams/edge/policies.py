"""The published policies: asked for, and followed in the topic `policies` by whoever decides by one.

What a partition's timelines are decided by stands with them (`streams.edge.stages.timelines`). Ingest, requests and the gateway go by the
topic: they have the latest before they begin, and later ones within a second.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from streams.core.commands import Command
from streams.core.policy import Policy, PolicyError
from streams.core.published import CHANGED, KEY, Published, encode, holds_over, policy_of
from streams.edge.client import Client
from streams.edge.codec import Codec, DecodeError
from streams.edge.publisher import Record
from streams.edge.reader import ReadError, decoded, open_codec, read
from streams.edge.topics import COMMANDS, POLICIES
from streams.settings import Settings

PAUSE = 2.0
"""Seconds between two tries to read the topic."""

log = logging.getLogger("touchstream.policy")


class Policies:
    """Calls `use` with each policy that comes into force, the latest one first; never with one that this release cannot read."""

    def __init__(self, settings: Settings, codec: Codec, use: Callable[[Policy, Published], None]) -> None:
        self._settings, self._codec, self._use = settings, codec, use
        self.latest: Published | None = None

    async def catch_up(self) -> None:
        """Returns when the latest policy is in use. Waits while Kafka is away."""
        while True:
            try:
                latest = await newest(self._settings, self._codec)
            except ReadError as error:
                log.warning("waiting for the published policies: %s", error)
                await asyncio.sleep(PAUSE)
                continue
            if latest is not None:
                self._take(latest)
            return

    async def follow(self) -> None:
        """Never returns; while Kafka is away the latest policy known stays in use."""
        topic = self._settings.topic(POLICIES)
        while True:
            try:
                records = read(self._settings, [topic], start="beginning", follow=True)
                async for stored, published in decoded(records, self._codec, self._codec.decode_policy):
                    if isinstance(published, DecodeError):
                        log.error("%s is passed over: %s", stored.address, published)
                    else:
                        self._take(published)
            except ReadError as error:
                log.warning("published policies cannot be followed now: %s", error)
            await asyncio.sleep(PAUSE)

    def _take(self, published: Published) -> None:
        if not holds_over(published, self.latest):
            return
        try:
            policy = policy_of(published)
        except PolicyError as error:
            log.error("the published policy %s needs another release: %s", published.fingerprint, error)
            return
        self.latest = published
        self._use(policy, published)
        log.info("policy %s@%s of %s in use", published.version, published.fingerprint, published.published_by)


async def history(settings: Settings, codec: Codec | None = None) -> list[Published]:
    """All that was published, oldest first. Raises ReadError; what cannot be decoded is passed over."""
    if codec is None:
        async with open_codec(settings) as own:
            return await history(settings, own)
    records = read(settings, [settings.topic(POLICIES)], start="beginning", follow=False)
    found: dict[str, Published] = {}
    async for stored, published in decoded(records, codec, codec.decode_policy):
        if isinstance(published, DecodeError):
            log.error("%s is passed over: %s", stored.address, published)
        else:
            found[published.publication_id] = published
    return sorted(found.values(), key=lambda one: (one.published_at, one.publication_id))


async def newest(settings: Settings, codec: Codec | None = None) -> Published | None:
    """The one in force; None when none was published. Raises ReadError."""
    published = await history(settings, codec)
    return published[-1] if published else None


async def ask(client: Client, published: Published) -> None:
    """Ask the workers to put this policy in force. Raises PublishError. All such commands have one key, hence one order."""
    command = Command(
        published.publication_id, KEY, CHANGED, published.published_at, published.fingerprint,
        entries=(encode(published),), requested_by=published.published_by,
    )  # fmt: skip
    value = client.codec.encode_command(command)
    await client.publisher.publish(Record(client.settings.topic(COMMANDS), KEY.encode(), value))
