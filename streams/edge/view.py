"""The view: a copy of the timelines in Redis, for whoever asks about one customer now (`streams.gateway`).

One hash a partition, `touchstream:<app_id>:view:<partition>`: the keys and values of the changelog, taken over once the broker has them. It
is a copy: a write that fails is counted, logged and mended later, and nothing ever waits for it. `WHOLE` in the hash says that nothing is
missing; a lost or flushed Redis has none, so the partition is copied again from the store, a part at a time, between the
changes. `AT` is the offset of the changelog up to which the copy goes: whoever takes the partition over need not copy what is there.
`touchstream:<app_id>:view:beats` tells once a second how fresh each partition is (`Beat`).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any
from uuid import uuid4

import msgspec
import redis.asyncio as redis
from msgspec import Struct
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from streams.edge import companies
from streams.edge.freshness import Place
from streams.edge.metrics import Metrics
from streams.edge.store import Store
from streams.settings import Settings

log = logging.getLogger("touchstream.view")

WHOLE, AT, FILLING = b"#whole", b"#at", b"#filling"
"""Fields of a partition's hash that are no customer: no id begins so."""

PATIENCE = 2.0
RETRY_AFTER = 1.0
CHUNK = 500
PAUSE = 0.03
"""Seconds between two steps: what changes meanwhile, in all partitions, is one trip, and a customer who changes twice is written once."""

WAITING = 50_000
"""Changes of a partition that are kept while Redis is away; with more it is copied whole."""

_FAILURES = (RedisError, OSError)

_FILLED = """
if redis.call('HGET', KEYS[1], '#filling') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], '#whole', '1', '#at', ARGV[2])
redis.call('HDEL', KEYS[1], '#filling')
return 1
"""


class Beat(Struct, frozen=True):
    """How fresh the copy of a partition is: at `at` (UTC ms) its worker had `lag` records of the partition to work off, in all topics of
    touches together, and what was published before `fresh_at` (UTC ms) was taken over, also what it led to in other partitions."""

    at: int
    lag: int
    fresh_at: int


encode_beat = msgspec.json.Encoder().encode
decode_beat = msgspec.json.Decoder(Beat).decode


def prefix(settings: Settings) -> str:
    """What all keys of the view begin with."""
    return f"touchstream:{settings.app_id}:view:"


class View:
    """The worker's end of it. `ends` gives the changelog's offsets by partition (`Lane.changelog_ends`); `fence` ends a process that stood
    still for too long to write (`Lane.fence`); `by_company` says whether `streams.edge.companies` is kept."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        store: Store,
        ends: Callable[[], Mapping[int, int]],
        fence: Callable[[], None],
        by_company: bool = False,
    ) -> None:
        self._metrics, self._store, self._ends, self._fence = metrics, store, ends, fence
        self._redis = redis.Redis.from_url(
            settings.redis_url,
            socket_timeout=PATIENCE,
            socket_connect_timeout=PATIENCE,
            retry=Retry(NoBackoff(), 0),
        )
        self._prefix = prefix(settings)
        self._filled = self._redis.register_script(_FILLED)
        self._changes: dict[int, dict[bytes, bytes | None]] = {}
        self._beats: dict[int, Beat] = {}
        self._owned: frozenset[int] = frozenset()
        self._missing: set[int] = set()
        self._sound: dict[int, int] = {}  # partitions of which the copy is whole, and up to where it goes
        self._filling: tuple[int, str, Iterator[bytes]] | None = None
        self._members: companies.Members = {}
        self.by_company = by_company
        self._anew: set[int] = set()
        self._settings = settings
        self._came = asyncio.Event()

    async def close(self) -> None:
        """Disconnect."""
        await self._redis.aclose()

    def keep_companies(self) -> None:
        """From now on some rule looks at companies: partitions are copied whole once more, for who belongs to which."""
        if not self.by_company:
            self.by_company = True
            self._anew |= self._owned
            self._missing |= self._owned

    async def take(
        self,
        partition: int,
        changelog: Mapping[bytes, bytes | None],
        members: companies.Members | None = None,
    ) -> None:
        """The broker has these changes. They are copied soon, and who belongs to which company."""
        self._members.update(members or {})
        if len(self._members) > WAITING:
            self._members.clear()
            self._missing |= self._owned
        self._changes.setdefault(partition, {}).update(changelog)
        self._came.set()

    def beat(self, lags: Mapping[int, int], fresh_at: Mapping[int, int]) -> None:
        """Told once a second: the partitions that are this worker's now, with their records not worked off, and up to when it has
        everything (`Freshness`). What the former owner told of a partition stands until that is known."""
        now = _now()
        for partition in self._owned - lags.keys():
            self._changes.pop(partition, None)
            self._sound.pop(partition, None)
        for partition in lags.keys() - self._owned:
            self._missing.add(partition)
        self._owned = frozenset(lags)
        self._beats |= {p: Beat(now, lag, fresh_at[p]) for p, lag in lags.items() if p in fresh_at}
        self._came.set()

    async def run(self, should_stop: Callable[[], bool]) -> None:
        """The worker's task."""
        while not should_stop():
            if self._filling is None and not self._missing & self._owned:
                await self._came.wait()
            self._came.clear()
            changes, self._changes = self._changes, {}
            try:
                await self.step(changes)
            except _FAILURES as error:
                self._metrics.view_writes.labels("failed").inc()
                log.warning("the view in Redis is not written, and mended later: %s: %s", type(error).__name__, error)
                self._keep(changes)
                await asyncio.sleep(RETRY_AFTER)
            else:
                await asyncio.sleep(0 if self._filling is not None else PAUSE)

    def _keep(self, changes: dict[int, dict[bytes, bytes | None]]) -> None:
        """What was not written waits, unless it is so much that the partition is better copied whole."""
        if self._filling is not None:
            self._missing.add(self._filling[0])
            self._filling = None
        for partition, changed in changes.items():
            together = changed | self._changes.get(partition, {})
            if len(together) > WAITING:
                self._changes.pop(partition, None)
                self._sound.pop(partition, None)
                self._missing.add(partition)
            else:
                self._changes[partition] = together
        self._came.set()

    async def step(self, changes: Mapping[int, Mapping[bytes, bytes | None]]) -> None:
        """Copy what has changed, and a part of a partition that has to be copied whole."""
        self._fence()
        beats, self._beats = self._beats, {}
        pipe = self._redis.pipeline(transaction=False)
        ends = dict(self._ends())
        # What comes before a partition's first beat is left to the copying of the whole that follows.
        owned = {partition: changed for partition, changed in changes.items() if partition in self._owned}
        for partition, changed in owned.items():
            self._write(pipe, partition, changed, ends.get(partition))
        members = dict(self._members)
        companies.write(pipe, self._settings, members, _now())
        if beats:
            pipe.hset(f"{self._prefix}beats", mapping={str(p): encode_beat(beat) for p, beat in beats.items()})
            for partition in beats:
                pipe.hmget(self._key(partition), [WHOLE.decode(), AT.decode()])
        answers = await pipe.execute() if len(pipe) else []
        for member, at in members.items():
            if self._members.get(member) == at:
                self._members.pop(member, None)
        for partition in owned.keys() & self._sound.keys():
            self._sound[partition] = ends.get(partition, -1)
        for partition, (whole, at) in zip(beats, answers[len(answers) - len(beats) :], strict=True):
            # Flushed, or restarted from an older state.
            if partition in self._sound and (not whole or int(at or -1) != self._sound[partition]):
                del self._sound[partition]
                self._missing.add(partition)
        if owned:
            self._metrics.view_writes.labels("written").inc(sum(map(len, owned.values())))
        await self._fill()

    def _write(self, pipe: Any, partition: int, changed: Mapping[bytes, bytes | None], end: int | None) -> None:
        key = self._key(partition)
        values: dict[bytes, bytes | str] = {name: value for name, value in changed.items() if value is not None}
        gone = [name for name, value in changed.items() if value is None]
        if partition in self._sound:
            values[AT] = str(-1 if end is None else end)
        if values:
            pipe.hset(key, mapping=values)
        if gone:
            pipe.hdel(key, *gone)

    def _key(self, partition: int) -> str:
        return f"{self._prefix}{partition}"

    async def _fill(self) -> None:
        """The next part of a partition that is copied whole."""
        if self._filling is None:
            self._missing &= self._owned
            if self._missing:
                self._filling = await self._begin(next(iter(self._missing)))
            return
        partition, token, keys = self._filling
        values = self._held(partition)
        if partition not in self._owned:
            self._filling = None
        elif part := self._part(values, keys):
            pipe = self._redis.pipeline(transaction=False)
            pipe.hset(self._key(partition), mapping=part)
            if self.by_company:
                companies.write(pipe, self._settings, companies.of_values(part, values, self._settings.id_key), _now())
            await pipe.execute()
            self._metrics.view_writes.labels("filled").inc(len(part))
        else:
            await self._sweep(partition)
            self._filling = None
            end = self._ends().get(partition, -1)
            if await self._filled(keys=[self._key(partition)], args=[token, end]):
                self._sound[partition] = end
            else:  # lost in the middle
                self._missing.add(partition)

    async def _begin(self, partition: int) -> tuple[int, str, Iterator[bytes]] | None:
        """None when the copy is whole up to where the changelog goes on."""
        end = self._ends().get(partition, -1)
        whole, at = await self._redis.hmget(self._key(partition), [WHOLE.decode(), AT.decode()])
        self._missing.discard(partition)
        if whole and int(at or -1) == end and partition not in self._anew:
            self._sound[partition] = end
            return None
        self._anew.discard(partition)
        token = uuid4().hex
        await self._redis.hset(self._key(partition), FILLING.decode(), token)
        values = self._held(partition)
        log.info("copying %d records of partition %d into the view", len(values), partition)
        return partition, token, iter(list(values))

    def _part(self, values: Mapping[bytes, bytes], keys: Iterator[bytes]) -> dict[Any, Any]:
        return {key: values[key] for key in islice(keys, CHUNK) if key in values}

    def _held(self, partition: int) -> Mapping[bytes, bytes]:
        held = self._store.partitions.get(partition)
        return {} if held is None else held.values

    async def _sweep(self, partition: int) -> None:
        """What the store does not hold, the copy must not hold either: it may be of somebody who was erased."""
        cursor = 0
        while True:
            answer: Any = await self._redis.hscan(self._key(partition), cursor, count=CHUNK)
            cursor, found = answer
            held = self._held(partition)
            gone = [key for key in found if key not in held and not key.startswith(b"#")]
            if gone:
                await self._redis.hdel(self._key(partition), *gone)
            if not cursor:
                return


def _now() -> int:
    return time.time_ns() // 1_000_000


def lags_of(app: Any) -> dict[int, int]:
    """Records not worked off of the partitions of touches that are this worker's, all topics together; none before the first fetch."""
    known: dict[int, int] = {}
    for (_, partition), (done, end) in places_of(app).items():
        known[partition] = known.get(partition, 0) + max(0, end - done)
    return known


def places_of(app: Any) -> dict[Place, tuple[int, int]]:
    """Of each partition that is this worker's: the offset behind all that is done, and its end as far as that is known."""
    read = {tp: app.consumer.place(tp) for tp in app.consumer.assignment() if tp.topic in app.gathers}
    return {(tp.topic, tp.partition): place for tp, place in read.items() if place is not None}


def register(app: Any, view: View) -> None:
    """The worker's task; `streams.edge.watch` tells the beats."""

    async def copy() -> None:
        await view.run(lambda: app.should_stop)

    app.task(copy)
