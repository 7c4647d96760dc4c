"""The lane out: micro-batches of records to Kafka, acknowledged before any offset they stand for is committed.

A `Write` is all that one micro-batch of input leads to. Its outputs are sent at once; when the broker has them all, its changelog is
sent; when the broker has that too, what says so is sent (`Write.after`), and the write is done. So a timeline in the changelog implies
that everything found on the way to it has been published: a touch read again after a crash is a duplicate that may be skipped, or it is
processed again from the old state with the same result. Writes of one partition reach the changelog in order.

What was begun as a member of the group must not reach Kafka once somebody else has the partitions. So before each request to
a broker the lane looks whether the group has confirmed a heartbeat within the session timeout, and waits for the next one if not;
when the group says that this worker is no member any more, and writes are under way, the process ends.

`barrier()` waits for every write begun so far. Faust calls it (through the transport's `flush`) before each offset commit. A
write that fails ends the process (`streams.edge.doubt`): no retry in doubt, no commit past it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import murmur2
from msgspec import Struct

from streams.edge import crash_points, doubt
from streams.edge.metrics import Metrics

IN_FLIGHT = 16
"""Writes under way at most; beyond it the agents wait, so that a slow broker slows the reading and memory stays bounded."""

BEAT = 0.5
"""Seconds between two signs of life of the event loop; see `silence_limit`."""

MEMBER_POLL = 0.05
"""Seconds between two looks whether the group has confirmed this worker again."""

clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # counts while the machine sleeps, too


class Out(Struct, frozen=True, gc=False):
    """One record to publish. A value of None deletes the key in a compacted topic. `timestamp` (UTC ms) is Kafka's; None means now.
    `partition` is the key's unless given."""

    topic: str
    key: bytes | None
    value: bytes | None
    timestamp: int | None = None
    partition: int | None = None


class Write(Struct):
    """All output of one micro-batch: `outputs`, then `last`, then `changelog` (key to value, None deletes) of `partition`, then `after`,
    then `done` is called; each once the broker has what comes before it."""

    outputs: list[Out]
    partition: int = -1
    changelog: dict[bytes, bytes | None] | None = None
    published: Callable[[], None] | None = None
    done: Callable[[], Awaitable[None]] | None = None
    last: list[Out] = []
    after: list[Out] = []


@lru_cache(maxsize=65_536)  # aiokafka's murmur2 is Python: 6 us a key, and keys repeat
def partition_of(key: bytes, partitions: int) -> int:
    """Kafka's default partition of a key (murmur2, as the Java client computes it)."""
    hashed: int = murmur2(key)
    return (hashed & 0x7FFFFFFF) % partitions


class Lane:
    """Sends writes in order and keeps count of what the broker has not acknowledged yet.

    `silence_limit` (seconds) is how long the process may have been stopped before it must not write any more: by then its
    partitions may belong to another worker.
    """

    def __init__(
        self, producer: AIOKafkaProducer, changelog_topic: str, partitions: int, metrics: Metrics, silence_limit: float
    ) -> None:
        self._producer = producer
        self._changelog_topic = changelog_topic
        self._partitions = partitions
        self._metrics = metrics
        self._silence_limit = silence_limit
        self._slots = asyncio.Semaphore(IN_FLIGHT)
        self._under_way: set[asyncio.Task[None]] = set()
        self._last: dict[int, asyncio.Task[None]] = {}
        self.changelog_ends: dict[int, int] = {}
        """Where the changelog of a restored partition goes on behind what this process restored and wrote. It stops moving
        when another process has written in between, so that recovery reads that."""
        self._alive_at = time.clock_gettime(clock)
        self._to_broker = producer.client.send
        # The last point before the socket: a batch may wait in the producer while the process stands still.
        producer.client.send = self._send_fenced
        self._member_at: float | None = None
        self._expelled = False
        self._heart = asyncio.get_running_loop().create_task(self._beat())
        self._ended = False

    async def submit(self, write: Write) -> None:
        """Begin a write; returns when its outputs are handed to the producer. Waits while too many are under way.

        Raises:
            asyncio.CancelledError: the worker stops, and the write is given up: what it stands for is not committed.
        """
        await self._slots.acquire()
        try:
            sent = [] if self._ended else await self._send_all(write.outputs)
        except Exception as error:  # noqa: BLE001 - any failure to write is doubt
            if not self._ended:
                doubt.leave("a record could not be handed to Kafka", error)
        if self._ended:
            self._slots.release()
            raise asyncio.CancelledError("the worker stops")
        task = asyncio.get_running_loop().create_task(self._finish(write, sent, self._last.get(write.partition)))
        if write.changelog:
            self._last[write.partition] = task
        self._under_way.add(task)
        task.add_done_callback(self._landed)

    async def barrier(self) -> None:
        """Wait until the broker has acknowledged every write begun so far; later ones may be under way when it returns."""
        if self._under_way:
            await asyncio.wait(set(self._under_way))

    def end(self) -> None:
        """The producer is about to close: all that may be committed was written before."""
        self._ended = True

    async def close(self) -> None:
        """Stop the heart; nothing can be written after it. Writes under way are not waited for: see `barrier`."""
        self._heart.cancel()
        await asyncio.wait({self._heart})

    @property
    def under_way(self) -> int:
        """Writes begun and not yet acknowledged."""
        return len(self._under_way)

    def begun(self) -> frozenset[object]:
        """Each of them, by something of its own."""
        return frozenset(self._under_way)

    def confirmed(self, at: float) -> None:
        """The group took a heartbeat that was sent at this moment of `clock`: until a session timeout later nobody else has our
        partitions. Called from the consumer's thread."""
        self._member_at = at

    def expelled(self) -> None:
        """The group says that this worker is no member any more. Called from the consumer's thread."""
        self._expelled = True

    def joined(self) -> None:
        """The group has given this worker partitions, in a new generation; nothing begun before may be under way."""
        self._leave_if_expelled()
        self._expelled, self._member_at = False, time.clock_gettime(clock)

    def _leave_if_expelled(self) -> None:
        if self._expelled and self._under_way:
            doubt.leave(
                "the group took this worker for dead while writes were under way: its partitions may have a new owner"
            )

    async def _membership(self) -> None:
        """Returns while this worker is surely a member of its group."""
        while True:
            self._leave_if_expelled()
            at = self._member_at
            if at is None or time.clock_gettime(clock) - at <= self._silence_limit:
                return
            await asyncio.sleep(MEMBER_POLL)

    async def _beat(self) -> None:
        while True:
            self._leave_if_expelled()
            self.fence()
            self._alive_at = time.clock_gettime(clock)
            await asyncio.sleep(BEAT)

    async def _send_fenced(self, node_id: int, request: Any, **options: Any) -> Any:
        await self._producer.client.ready(node_id, **options)  # connecting may take long; nothing after the fence does
        await self._membership()
        self.fence()
        return await self._to_broker(node_id, request, **options)

    def fence(self) -> None:
        """Ends the process when it stood still for so long that its partitions may have a new owner."""
        silent = time.clock_gettime(clock) - self._alive_at
        if silent > self._silence_limit:
            doubt.leave(
                f"the process stood still for {silent:.0f} s, longer than the session timeout: its partitions may have a new owner"
            )

    async def _finish(
        self, write: Write, sent: list[tuple[str, asyncio.Future[Any]]], before: asyncio.Task[None] | None
    ) -> None:
        started = time.perf_counter()
        await self._acknowledged(sent)
        if sent:
            crash_points.reach("after_outputs_acknowledged")
        if write.last:
            await self._acknowledged(await self._send_all(write.last))
        if write.published is not None:
            write.published()
        if write.changelog:
            if before is not None and not before.done():
                await asyncio.wait({before})
            logs = self._batches([(key, value, None) for key, value in write.changelog.items()])
            sent = [await self._send(self._changelog_topic, write.partition, batch) for batch in logs]
            crash_points.reach("after_changelog_sent")
            await self._acknowledged(sent)
            for batch, (_, future) in zip(logs, sent, strict=True):
                if future.result().offset == self.changelog_ends.get(write.partition):
                    self.changelog_ends[write.partition] += batch.record_count()
            crash_points.reach("after_changelog_acknowledged")
        if write.after:
            await self._acknowledged(await self._send_all(write.after))
        if write.done is not None:
            await write.done()
        self._metrics.stage_seconds.labels("write").observe(time.perf_counter() - started)

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._slots.release()
        if not task.cancelled() and task.exception() is not None:
            doubt.leave("a write was not acknowledged", task.exception())

    async def _acknowledged(self, sent: list[tuple[str, asyncio.Future[Any]]]) -> None:
        for topic, future in sent:
            try:
                await future
            except Exception as error:  # noqa: BLE001 - any failure to write is doubt
                self._metrics.produce_failures.labels(topic).inc()
                doubt.leave(f"Kafka did not acknowledge a write to {topic}", error)

    def _grouped(self, outputs: list[Out]) -> dict[tuple[str, int], list[Any]]:
        by_place: dict[tuple[str, int], list[tuple[bytes | None, bytes | None, int | None]]] = {}
        for out in outputs:
            partition = partition_of(out.key or b"", self._partitions) if out.partition is None else out.partition
            place = (out.topic, partition)
            by_place.setdefault(place, []).append((out.key, out.value, out.timestamp))
        return {place: self._batches(records) for place, records in by_place.items()}

    def _batches(self, records: Sequence[tuple[bytes | None, bytes | None, int | None]]) -> list[Any]:
        """Record batches as full as the producer allows."""
        batches = [self._producer.create_batch()]
        for key, value, timestamp in records:
            if batches[-1].append(key=key, value=value, timestamp=timestamp) is None:
                batches.append(self._producer.create_batch())
                batches[-1].append(key=key, value=value, timestamp=timestamp)  # takes a first record of any size
        return batches

    async def _send_all(self, outputs: list[Out]) -> list[tuple[str, asyncio.Future[Any]]]:
        return [
            await self._send(topic, p, batch)
            for (topic, p), batches in self._grouped(outputs).items()
            for batch in batches
        ]

    async def _send(self, topic: str, partition: int, batch: Any) -> tuple[str, asyncio.Future[Any]]:
        batch.close()
        return topic, await self._producer.send_batch(batch, topic, partition=partition)
