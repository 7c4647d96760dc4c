"""Who is who, for all workers: an index in Redis, one pipelined look-up a micro-batch, and its log in Kafka.

Redis is never the only copy. Every link goes to the compacted topic `identities`; `sync` reads what Redis has not seen yet: all of it
when Redis was lost or flushed. While Redis is away, touches are decided from their own identifiers, and the timelines,
which know where a merged customer went, send them on (`streams.core.identify.resolve_alone`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from importlib.resources import files

import redis.asyncio as redis
from aiokafka import AIOKafkaConsumer, TopicPartition
from redis.exceptions import RedisError, ResponseError

from streams.core.identify import Link, Resolved, resolve_alone
from streams.edge.kafka_auth import client_options
from streams.edge.metrics import Metrics
from streams.edge.topics import IDENTITIES
from streams.settings import Settings

log = logging.getLogger("touchstream.identity")

PATIENCE = 2.0
"""Seconds before a look-up counts as failed. A healthy one takes milliseconds; a longer wait would hold up every touch."""

RETRY_AFTER = 1.0
"""Seconds without a try after a failed one, so that an absent Redis costs one time-out a second, not one a micro-batch."""

_CHUNK = 2000


class IdentityIndex:
    """See the module. `resolve` and `logged` are called by the ingest stage only."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._redis = redis.Redis.from_url(settings.redis_url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE)
        self._script = self._redis.register_script(
            files("streams.edge").joinpath("identity.lua").read_text(encoding="utf-8")
        )
        self._prefix = f"touchstream:{settings.app_id}:id:"
        self._away_until = 0.0
        self._behind = True

    async def close(self) -> None:
        """Close the connection."""
        await self._redis.aclose()

    async def resolve(self, touches: Sequence[tuple[str, ...]]) -> list[Resolved]:
        """The customer of each touch, given its node ids. Never fails: without Redis it decides alone."""
        if not touches:
            return []
        distinct = list(dict.fromkeys(touches))
        if time.monotonic() >= self._away_until:
            try:
                answers = dict(zip(distinct, await self._look_up(distinct), strict=True))
            except (RedisError, OSError) as error:
                self._away_until, self._behind = time.monotonic() + RETRY_AFTER, True
                log.warning("identity index away, deciding from each touch alone: %s: %s", type(error).__name__, error)
            else:
                self._count(touches, answers)
                return [answers[ids] for ids in touches]
        self._metrics.identity_lookups.labels("unavailable").inc(len(touches))
        return [resolve_alone(ids) for ids in touches]

    async def logged(self, links: Sequence[Link]) -> None:
        """Kafka has these links: they need not be reported again. A failure only means that they are."""
        if not links or time.monotonic() < self._away_until:
            return
        try:
            await self._run("logged", [f"{link.a}|{link.b}" for link in links])
        except (RedisError, OSError) as error:
            log.warning("identity index did not note %d logged links: %s", len(links), error)

    async def _look_up(self, distinct: list[tuple[str, ...]]) -> list[Resolved]:
        if self._behind:
            await self.sync()
        started = time.perf_counter()
        try:
            answers = await self._run("resolve", [" ".join(ids) for ids in distinct])
        except ResponseError as error:
            if not str(error).startswith("UNSYNCED"):
                raise
            log.warning("identity index is empty: rebuilding it from the topic %s", IDENTITIES)
            await self.sync()
            answers = await self._run("resolve", [" ".join(ids) for ids in distinct])
        self._metrics.identity_lookup_seconds.observe(time.perf_counter() - started)
        return [_resolved([part.decode() for part in answer]) for answer in answers]

    async def _run(self, operation: str, operands: Sequence[str]) -> list[list[bytes]]:
        answers: list[list[bytes]] = []
        for start in range(0, len(operands), _CHUNK):  # Redis serves nobody else while a script runs
            answer = await self._script(args=[operation, self._prefix, *operands[start : start + _CHUNK]])
            answers += answer if isinstance(answer, list) else []
        return answers

    def _count(self, touches: Sequence[tuple[str, ...]], answers: dict[tuple[str, ...], Resolved]) -> None:
        seen: set[tuple[str, ...]] = set()
        for ids in touches:
            links = answers[ids].links if ids not in seen else ()
            seen.add(ids)
            result = (
                "hit"
                if not links
                else "merged"
                if any(link.loser for link in links)
                else "new"
                if len(links) >= len(ids)
                else "linked"
            )
            self._metrics.identity_lookups.labels(result).inc()

    async def sync(self) -> int:
        """Bring Redis up to the end of the log; returns how many links were read. Raises RedisError when it is away."""
        topic, count, started = self._settings.topic(IDENTITIES), 0, time.monotonic()
        consumer = AIOKafkaConsumer(
            enable_auto_commit=False, auto_offset_reset="earliest", **client_options(self._settings)
        )
        await consumer.start()
        try:
            places = [TopicPartition(topic, p) for p in range(self._settings.partitions)]
            consumer.assign(places)
            ends = await consumer.end_offsets(places)
            begins = await consumer.beginning_offsets(places)
            known = await self._redis.hgetall(self._prefix + "offsets")
            complete = await self._redis.exists(self._prefix + "synced")
            for place in places:
                offset = int(known.get(str(place.partition).encode(), 0)) if complete else 0
                consumer.seek(place, min(max(offset, begins[place]), ends[place]))
            while any([await consumer.position(place) < ends[place] for place in places]):
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    await self._run("apply", [record.key.decode() for record in records])
                    count += len(records)
            offsets = [item for place in places for item in (str(place.partition), ends[place])]
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.hset(self._prefix + "offsets", items=offsets)
                pipe.set(self._prefix + "synced", 1)
                await pipe.execute()
        finally:
            await consumer.stop()
        self._behind = False
        log.info("identity index is up to date: %d links read in %.1f s", count, time.monotonic() - started)
        return count


def _resolved(answer: list[str]) -> Resolved:
    customer, *pairs = answer
    links = []
    for edge, loser in zip(pairs[::2], pairs[1::2], strict=True):
        a, _, b = edge.partition("|")
        links.append(Link(a, b, loser or None))
    return Resolved(customer, tuple(links))
