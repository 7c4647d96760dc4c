"""The identity log, read into Redis: what Redis has not seen yet, or all of it when Redis was lost, flushed, or of an older layout.

All workers notice a flush, and one of them builds the index anew while the others wait: records that are taken back, and links that
were cut, must not show for a moment in an index that is in use. For the same reason the tail of the log is applied at once:
its newest record of each key, erasures and cuts first.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaConnectionError

from streams.core.identity_facts import Fact, decode, parse_key
from streams.edge.identity_protocol import TAKEN_BACK, value_of
from streams.edge.kafka_auth import client_options
from streams.edge.topics import IDENTITIES
from streams.settings import Settings

log = logging.getLogger("touchstream.identity")

Run = Callable[[str, Sequence[str | bytes]], Awaitable[Any]]
"""Operation and operands of the script to its answer."""

LONGEST_TAIL = 50_000
"""Records that are held in memory to be applied at once, some 20 MB; an index that lacks more is built anew."""

CHUNK = 2000
"""Facts or touches in one call: Redis serves nobody else while a script runs."""

TOGETHER = 100
"""Shared identifiers in one call: of one that holds many together all of these are read."""

_PAUSE = 0.2
_FIRST = {"erased": 0, "cut": 1}


async def sync(settings: Settings, run: Run, policy: str) -> int:
    """Bring Redis up to the end of the log; returns how many facts were read. `policy` is the script's operand of that name.

    Raises:
        RedisError: it is away, or was flushed meanwhile.
        KafkaError: the log cannot be read.
    """
    try:
        return await _Sync(settings, run, policy).run()
    except AssertionError as error:  # aiokafka's word for a connection that was lost while it was made
        raise KafkaConnectionError(f"the log cannot be read: {error}") from error


class _Sync:
    def __init__(self, settings: Settings, run: Run, policy: str) -> None:
        self._settings, self._run, self._policy = settings, run, policy
        self._token = uuid.uuid4().hex

    async def run(self) -> int:
        started = time.monotonic()
        epoch, complete, offsets = await self._begin()
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
            if complete and sum(ends[place] - starts[place] for place in places) > LONGEST_TAIL:
                await self._run("unsynced", [])
                epoch, complete, _ = await self._begin()
                starts = begins
            behind = [place for place in places if starts[place] < ends[place]]
            consumer.assign(behind)
            for place in behind:
                consumer.seek(place, starts[place])
            records = _records(consumer, {place: ends[place] for place in behind})
            count = await (self._add(records) if complete else self._build(records))
        finally:
            await consumer.stop()
        reached = [str(item) for place in places for item in (place.partition, ends[place])]
        await self._run("synced", [self._token, epoch, *reached])
        log.info("identity index is up to date: %d facts read in %.1f s", count, time.monotonic() - started)
        return count

    async def _begin(self) -> tuple[bytes, bool, dict[int, int]]:
        """Epoch, whether the index is complete up to the offsets, and these. Waits while another worker builds it."""
        waiting = False
        while True:
            epoch, state, *known = await self._run("begin", [self._token])
            if state != b"2":
                break
            if not waiting:
                waiting = True
                log.info("waiting for another worker, which builds the identity index")
            await asyncio.sleep(_PAUSE)
        offsets = {int(p): int(offset) for p, offset in zip(known[::2], known[1::2], strict=True)}
        return epoch, state == b"1", offsets

    async def _add(self, records: AsyncIterator[list[Any]]) -> int:
        """The tail of the log, into an index that is in use."""
        count, newest = 0, dict[str, Fact]()
        async for some in records:
            for key, fact in _facts(some):
                newest.pop(key, None)  # what is taken back, the index has taken out already; see `IdentityIndex.erase`
                if fact is not None:
                    newest[key] = fact
                    count += 1
        undecided = [fact for fact in newest.values() if fact.kind == "seen"]
        shared = {fact.a: fact.cause for fact in newest.values() if fact.kind == "shared"}
        decided = sorted(
            (fact for fact in newest.values() if fact.kind != "seen"), key=lambda fact: _FIRST.get(fact.kind, 2)
        )
        await self._apply([(fact.key, value_of(fact)) for fact in (*decided, *undecided)], "")
        await self._free(shared, "")
        return count

    async def _build(self, records: AsyncIterator[list[Any]]) -> int:
        """All of the log, into an index that nobody uses yet."""
        count, undecided, erased, shared = 0, dict[str, Fact](), set[str](), dict[str, bytes]()
        applying: asyncio.Task[None] | None = None
        try:
            async for some in records:
                operands: list[tuple[str, bytes]] = []
                for key, fact in _facts(some):
                    count += fact is not None
                    if fact is not None and fact.kind == "erased":
                        erased.add(fact.a)
                    if fact is not None and fact.kind == "shared":
                        shared[fact.a] = fact.cause
                    if key.startswith("seen:"):
                        undecided.pop(key, None)
                        if fact is not None:
                            undecided[key] = fact
                    else:
                        operands.append((key, TAKEN_BACK if fact is None else value_of(fact)))
                if applying is not None:
                    await applying
                # Redis works while we read on.
                applying = asyncio.create_task(self._apply(operands, self._token))
            if applying is not None:
                await applying
        finally:
            if applying is not None:
                applying.cancel()
                # It was awaited above, or another error is on its way.
                await asyncio.gather(applying, return_exceptions=True)
        # The log may hold the decision further on.
        await self._apply([(key, value_of(fact)) for key, fact in undecided.items()], self._token)
        gone = sorted(erased)
        for start in range(0, len(gone), CHUNK):
            await self._run("sweep", [self._token, self._policy, *gone[start : start + CHUNK]])
        await self._free(shared, self._token)
        return count

    async def _free(self, shared: dict[str, bytes], token: str) -> None:
        """What shared identifiers hold together all the same, since the log lacks cuts, is taken apart."""
        operands = [operand for fact in sorted(shared.items()) for operand in fact]
        for start in range(0, len(operands), 2 * TOGETHER):
            await self._run("free", [token, self._policy, *operands[start : start + 2 * TOGETHER]])

    async def _apply(self, facts: Sequence[tuple[str, bytes]], token: str) -> None:
        for start in range(0, len(facts), CHUNK):
            operands = [operand for fact in facts[start : start + CHUNK] for operand in fact]
            await self._run("apply", [token, self._policy, *operands])


async def _records(consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> AsyncIterator[list[Any]]:
    """The assigned partitions' records up to `ends`, in the order of each."""
    while any([await consumer.position(place) < end for place, end in ends.items()]):
        yield [record for some in (await consumer.getmany(timeout_ms=500)).values() for record in some]


def _facts(records: Sequence[Any]) -> list[tuple[str, Fact | None]]:
    """Key and fact of each record, None for one that is taken back. One that somebody else wrote is skipped with a warning: it must
    not stop all workers."""
    found: list[tuple[str, Fact | None]] = []
    for record in records:
        try:
            key = (record.key or b"").decode()
            if record.value is None:
                parse_key(key)
                found.append((key, None))
            else:
                found.append((key, decode(record.key or b"", record.value)))
        except ValueError as error:
            log.warning("skipped %s[%s]@%s: %s", record.topic, record.partition, record.offset, error)
    return found
