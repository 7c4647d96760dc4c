"""Who is who, for all workers: an index in Redis, one pipelined look-up a micro-batch, and its log in Kafka.

Redis is never the only copy. Every link goes to the compacted topic `identities`; `sync` reads what Redis has not seen yet: all of it
when Redis was lost or flushed. While Redis is away, touches are decided from their own identifiers
(`streams.core.identity_facts.resolve_alone`), and the timelines, which know where a merged customer went, send them on.

A timeline that nobody told that its customer goes by another id would be orphaned. It comes about when a touch is decided alone by an
identifier that other workers know to belong to somebody, or when an answer of Redis is lost on its way. So:

- every id under which a touch was sent on is in the log ("n|n"), and each edge in the log reaches Redis: by `logged`, or by a `sync`
  after any doubt (a failed call, a new connection, partitions that came from another worker);
- Redis reports a merge as long as it is not known to be logged, also one that it learns from the log;
- `overdue` gives the reported merges that no touch came by to publish; `Ingest.mend` publishes them.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import Any

import redis.asyncio as redis
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from streams.core.identity_facts import Fact, Resolved, decode, parse_key, resolve_alone
from streams.core.identity_graph import SHARED_AFTER
from streams.edge.identity_cache import Settled
from streams.edge.kafka_auth import client_options
from streams.edge.metrics import Metrics
from streams.edge.topics import IDENTITIES
from streams.settings import Settings

log = logging.getLogger("touchstream.identity")

PATIENCE = 2.0
"""Seconds before a look-up counts as failed. A healthy one takes milliseconds; a longer wait would hold up every touch."""

RETRY_AFTER = 1.0
"""Seconds without a try after a failed one, so that an absent Redis costs one time-out a second, not one a micro-batch."""

OVERDUE_AFTER = 5
"""Seconds after which a merge that is not known to be logged is published by `Ingest.mend`; a micro-batch takes far less."""

_AT_ONCE = 500
_CHUNK = 2000
_ATTEMPTS = 3
_FAILURES = (RedisError, OSError, KafkaError)
_RESULTS = (("blocked", "blocked"), ("told", "merged"))


def _unknown(_: int) -> bytes:
    return b""


class IdentityIndex:
    """See the module. Called by the ingest stage only; `suspect` also by `streams.edge.mend`."""

    def __init__(self, settings: Settings, metrics: Metrics, shared_after: int = SHARED_AFTER) -> None:
        self._settings = settings
        self._metrics = metrics
        self._limit = str(shared_after)
        self._redis = redis.Redis.from_url(
            settings.redis_url,
            socket_timeout=PATIENCE,
            socket_connect_timeout=PATIENCE,
            retry=Retry(NoBackoff(), 0),  # the client's own retries would cost a time-out each
            redis_connect_func=self._connected,
        )
        self._script = self._redis.register_script(
            files("streams.edge").joinpath("identity.lua").read_text(encoding="utf-8")
        )
        self._prefix = f"touchstream:{settings.app_id}:id:"
        self._away_until = 0.0
        self._behind = True
        self._syncing = asyncio.Lock()
        self.synced_at = 0.0
        self._settled = Settled()

    async def close(self) -> None:
        """Close the connection."""
        await self._redis.aclose()

    async def resolve(
        self, touches: Sequence[tuple[str, ...]], cause: Callable[[int], bytes] = _unknown
    ) -> list[Resolved]:
        """The customer of each touch, given its node ids, strongest first. Never fails: without Redis it decides alone.

        `cause` says what to note as the cause (`identity_facts.Cause`) of what the touch at an index brings to light.
        """
        if not touches:
            return []
        if not self._away:
            try:
                return await self._find(touches, cause)
            except _FAILURES as error:
                self._failed(error)
        self._metrics.identity_lookups.labels("unavailable").inc(len(touches))
        return [resolve_alone(ids, cause(n)) for n, ids in enumerate(touches)]

    async def logged(self, facts: Sequence[Fact]) -> None:
        """Kafka has these: they need not be reported again. Redis learns those that it has not."""
        if not facts:
            return
        if self._away:  # they are in the log behind what Redis has seen
            self.suspect()
            return
        try:
            await self._take_in("logged", facts)
        except _FAILURES as error:
            self._failed(error)

    async def overdue(self) -> list[Resolved]:
        """Customers with merges that somebody may not have told their timelines; none while Redis is away."""
        if self._away:
            return []
        try:
            await self._catch_up()
            found = await self._run("overdue", [str(OVERDUE_AFTER), str(_AT_ONCE)])
        except _FAILURES as error:
            self._failed(error)
            return []
        return [] if self._behind else [_resolved(answer) for answer in found]

    def suspect(self) -> None:
        """Redis may lack a part of the log: read its tail before the next look-up."""
        self._behind = True

    @property
    def syncing(self) -> bool:
        """Whether the log is being read; touches wait for it. When it ended last is `synced_at`, as `time.monotonic`."""
        return self._syncing.locked()

    @property
    def _away(self) -> bool:
        return time.monotonic() < self._away_until

    def _failed(self, error: BaseException) -> None:
        self._away_until = time.monotonic() + RETRY_AFTER
        self.suspect()
        log.warning("identity index away, deciding from each touch alone: %s: %s", type(error).__name__, error)

    async def _connected(self, connection: Any) -> None:
        # Another server, or the same one restarted from an older snapshot.
        self.suspect()
        await connection.on_connect()

    async def _find(self, touches: Sequence[tuple[str, ...]], cause: Callable[[int], bytes]) -> list[Resolved]:
        """The answer for each touch: remembered, if the index says that it still holds, else asked for."""
        for _ in range(_ATTEMPTS):
            await self._catch_up()
            started = time.perf_counter()
            settled = self._settled  # another one after each sync
            known, era = settled.get(touches), settled.era
            unknown: dict[tuple[str, ...], int] = {}
            for n, answer in enumerate(known):
                if answer is None:
                    unknown.setdefault(touches[n], n)
            found = await self._look_up([(ids, cause(n)) for ids, n in unknown.items()], settled)
            if found is None or self._behind or settled is not self._settled:
                continue
            if (settled.era != era and any(known)) or not settled.hold(known):
                continue
            self._metrics.identity_lookup_seconds.observe(time.perf_counter() - started)
            self._count(len(touches), list(unknown), found)
            answers = dict(zip(unknown, found, strict=True))
            return [answer or answers[ids] for ids, answer in zip(touches, known, strict=True)]
        raise RedisError("its data was lost or changed again and again while it was read")

    async def _look_up(
        self, touches: Sequence[tuple[tuple[str, ...], bytes]], settled: Settled
    ) -> list[Resolved] | None:
        """The index's answers, once `settled` has heard of all changes before them; None when the index was lost meanwhile."""
        found: list[Resolved] = []
        for start in range(0, max(1, len(touches)), _CHUNK):  # Redis serves nobody else while a script runs
            part = touches[start : start + _CHUNK]
            try:
                operands = [operand for ids, cause in part for operand in (" ".join(ids), cause)]
                news, *answers = await self._run("resolve", [settled.place, self._limit, *operands])
            except ResponseError as error:
                self._check(error)
                return None
            place, whole, *gone = map(bytes.decode, news)
            if whole == "0":
                settled.clear()
                if start:
                    return None
            settled.drop(gone)
            settled.place = place
            found += map(_resolved, answers)
            for (ids, _), answer in zip(part, found[start:], strict=True):
                settled.put(ids, answer)
        return found

    async def _catch_up(self) -> None:
        """Bring the index up to the log, if there is any doubt about it."""
        async with self._syncing:
            while self._behind:
                await self.sync()

    def _check(self, error: ResponseError) -> None:
        """Whether the index only has to be built anew; else raises."""
        if not str(error).startswith("UNSYNCED"):
            raise error
        log.warning("identity index is empty: rebuilding it from the topic %s", IDENTITIES)
        self.suspect()

    async def _take_in(self, operation: str, facts: Sequence[Fact]) -> None:
        for start in range(0, len(facts), _CHUNK):
            operands = [operand for fact in facts[start : start + _CHUNK] for operand in (fact.key, fact.cause)]
            await self._run(operation, [self._limit, *operands])

    async def _run(self, operation: str, operands: Sequence[str | bytes]) -> list[list[bytes]]:
        answers = await self._script(args=[operation, self._prefix, *operands])
        return answers if isinstance(answers, list) else []

    def _count(self, touches: int, asked: Sequence[tuple[str, ...]], found: Sequence[Resolved]) -> None:
        """Look-ups by what they brought; a touch whose ids came twice brings nothing the second time."""
        results: Counter[str] = Counter()
        for ids, answer in zip(asked, found, strict=True):
            if answer.facts:
                kinds = {fact.kind for fact in answer.facts}
                new = sum(fact.kind == "link" for fact in answer.facts) >= len(ids)
                result = next((name for kind, name in _RESULTS if kind in kinds), "new" if new else "linked")
                results[result] += 1
        results["hit"] = touches - results.total()
        for result, count in results.items():
            self._metrics.identity_lookups.labels(result).inc(count)

    async def sync(self) -> int:
        """Bring Redis up to the end of the log; returns how many links were read.

        Raises:
            RedisError: it is away, or was flushed meanwhile.
            KafkaError: the log cannot be read.
        """
        self._settled = Settled()
        self._behind = False  # what gives rise to doubt from now on needs another sync
        try:
            return await self._sync()
        except BaseException:
            self.suspect()
            raise
        finally:
            self.synced_at = time.monotonic()

    async def _sync(self) -> int:
        started = time.monotonic()
        epoch, complete, *known = await self._script(args=["begin", self._prefix, uuid.uuid4().hex])
        offsets = (
            {int(p): int(offset) for p, offset in zip(known[::2], known[1::2], strict=True)} if int(complete) else {}
        )
        consumer = AIOKafkaConsumer(enable_auto_commit=False, fetch_max_wait_ms=50, **client_options(self._settings))
        await consumer.start()
        try:
            topic = self._settings.topic(IDENTITIES)
            places = [TopicPartition(topic, p) for p in range(self._settings.partitions)]
            ends = await consumer.end_offsets(places)
            begins = await consumer.beginning_offsets(places)
            starts = {place: offsets.get(place.partition, 0) for place in places}
            starts = {
                place: at if begins[place] <= at <= ends[place] else begins[place] for place, at in starts.items()
            }
            behind = [place for place in places if starts[place] < ends[place]]
            consumer.assign(behind)
            for place in behind:
                consumer.seek(place, starts[place])
            count, undecided = await self._apply(consumer, {place: ends[place] for place in behind})
        finally:
            await consumer.stop()
        await self._take_in("apply", undecided)  # the log may hold the decision further on
        reached = [str(item) for place in places for item in (place.partition, ends[place])]
        await self._script(args=["synced", self._prefix, epoch, *reached])
        log.info("identity index is up to date: %d links read in %.1f s", count, time.monotonic() - started)
        return count

    async def _apply(self, consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> tuple[int, list[Fact]]:
        """Redis takes in the log up to `ends`; how many facts it has, and those that are yet to be decided."""
        count, undecided = 0, list[Fact]()
        applying: asyncio.Task[None] | None = None
        try:
            while any([await consumer.position(place) < end for place, end in ends.items()]):
                facts: list[Fact] = []
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    facts += [fact for record in records if (fact := _fact(record)) is not None]
                undecided += [fact for fact in facts if fact.kind == "seen"]
                count += len(facts)
                if applying is not None:
                    await applying
                decided = [fact for fact in facts if fact.kind != "seen"]
                applying = asyncio.create_task(self._take_in("apply", decided))  # Redis works while we read on
            if applying is not None:
                await applying
        finally:
            if applying is not None:
                applying.cancel()
                await asyncio.gather(
                    applying, return_exceptions=True
                )  # it was awaited above, or another error is on its way
        return count, undecided


def _fact(record: Any) -> Fact | None:
    """A record of the log; None, with a warning, when somebody else wrote it: one record must not stop all workers."""
    try:
        return decode(record.key or b"", record.value or b"")
    except ValueError as error:
        log.warning("skipped %s[%s]@%s: %s", record.topic, record.partition, record.offset, error)
        return None


def _resolved(answer: Sequence[bytes]) -> Resolved:
    facts = []
    for key, value in zip(answer[1::2], answer[2::2], strict=True):
        kind, a, b = parse_key(key.decode())
        customers, _, cause = value.partition(b"\n")
        facts.append(Fact(a, b, kind, cause, tuple(customers.decode().split())))
    return Resolved(answer[0].decode(), tuple(facts))
