"""Reservations of somebody who is erased: out of Redis at once, and the keys of their records in Kafka.

The gateway keeps them (`streams.gateway`); a worker takes them away, whether a gateway runs or not. What a gateway has under way then, it
finds gone and takes out of Kafka again.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from importlib.resources import files
from uuid import uuid4

import redis.asyncio as redis

from streams.core.dead_letter import PSEUDONYM
from streams.edge.reader import read
from streams.edge.topics import RESERVATIONS
from streams.settings import Settings

SCRIPT = files("streams.gateway").joinpath("holds.lua").read_text(encoding="utf-8")

PATIENCE = 5.0
"""Seconds for an answer of Redis."""

AT_ONCE = 500
"""Ids, of people or of reservations, in one call of Redis."""


_IDS = re.compile(rb"(?=(%b))" % PSEUDONYM.pattern)  # also one that begins in what only looks like another


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

    async def erase(self, people: Sequence[Collection[str]]) -> list[list[str]]:
        """Forget the reservations for these people, each given by their ids; for each, the keys of the records in Kafka that are to get a
        null value.

        All of the topic is read for it: its keys do not say whose they are. That takes a second for some 50,000 of them, so it is done
        once for all of these people.

        Raises:
            RedisError: Redis is away.
            ReadError: Kafka cannot be read.
        """
        whose: dict[bytes, list[int]] = {}
        for n, ids in enumerate(people):
            for id_ in ids:
                whose.setdefault(id_.encode(), []).append(n)
        # From here on no gateway holds anything more on what it knew before.
        await self._forget([id_.decode() for id_ in whose], ())
        found: dict[str, set[int]] = {}
        async for stored in read(self._settings, [self._settings.topic(RESERVATIONS)], start="beginning", follow=False):
            key = (stored.key or b"").decode("utf-8", "replace")
            if stored.value is None:
                found.pop(key, None)
            elif theirs := {n for id_ in whose.keys() & _IDS.findall(stored.value) for n in whose[id_]}:
                found[key] = theirs
        await self._forget((), list(found))
        keys: list[list[str]] = [[] for _ in people]
        for key, theirs in found.items():
            for n in theirs:
                keys[n].append(key)
        return keys

    async def _forget(self, persons: Sequence[str], reservations: Sequence[str]) -> None:
        """Some at a time: Redis does nothing else meanwhile."""
        for start in range(0, max(len(persons), len(reservations)), AT_ONCE):
            some, others = persons[start : start + AT_ONCE], reservations[start : start + AT_ONCE]
            operands: list[str | int] = [uuid4().hex, len(some), *some, len(others), *others]
            await self._script(args=["forget", key_prefix(self._settings), *operands])
