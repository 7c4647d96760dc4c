"""Reservations of somebody who is erased: out of Redis at once, and the keys of their records in Kafka.

The gateway keeps them (`streams.gateway`); a worker takes them away, whether a gateway runs or not. What a gateway has under way then, it
finds gone and takes out of Kafka again.
"""

from __future__ import annotations

from collections.abc import Collection
from importlib.resources import files
from uuid import uuid4

import redis.asyncio as redis

from streams.edge.reader import read
from streams.edge.topics import RESERVATIONS
from streams.settings import Settings

SCRIPT = files("streams.gateway").joinpath("holds.lua").read_text(encoding="utf-8")

PATIENCE = 5.0
"""Seconds for an answer of Redis."""


def key_prefix(settings: Settings) -> str:
    """What all keys of reservations in Redis begin with."""
    return f"touchstream:{settings.app_id}:hold:"


class Reservations:
    """One for each worker."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._redis = redis.Redis.from_url(settings.redis_url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE)
        self._script = self._redis.register_script(SCRIPT)

    async def close(self) -> None:
        """Close the connection."""
        await self._redis.aclose()

    async def erase(self, persons: Collection[str]) -> list[str]:
        """Forget the reservations for these ids; the keys of the records in Kafka that are to get a null value.

        All of the topic is read for it: its keys do not say whose they are. So an erasure takes a second more for some 50,000 of them.

        Raises:
            RedisError: Redis is away.
            ReadError: Kafka cannot be read.
        """
        await self._forget(persons, ())  # from here on no gateway holds anything more on what it knew before
        ids = [id_.encode() for id_ in persons]
        found: dict[str, None] = {}
        async for stored in read(self._settings, [self._settings.topic(RESERVATIONS)], start="beginning", follow=False):
            key = (stored.key or b"").decode("utf-8", "replace")
            if stored.value is None:
                found.pop(key, None)
            elif any(id_ in stored.value for id_ in ids):
                found[key] = None
        await self._forget((), found)
        return list(found)

    async def _forget(self, persons: Collection[str], reservations: Collection[str]) -> None:
        operands: list[str | int] = [uuid4().hex, len(persons), *persons, len(reservations), *reservations]
        await self._script(args=["forget", key_prefix(self._settings), *operands])
