"""Faust's aiokafka driver with micro-batches in and an honest flush out. Registered with Faust under the scheme `lane`.

Five things differ from the driver (faust-streaming 0.15.3, pinned for that reason):

- The polled records of one partition become one Faust message: its value is the list of raw records, its offset the last one's.
  Faust spends about 50 us on a message, which is too much for one touch and nothing for a thousand.
- Which offset to commit is decided by the order of delivery and by the agents, who mark a micro-batch as done once the lane has its
  output. Faust's own bookkeeping counts the offsets between two messages as done ("gaps"), which would commit a micro-batch
  that is still being processed, skips ahead of unfinished messages (faust-streaming/faust#606), and takes messages for done
  that it dropped unprocessed at a rebalance.
- `flush()`, which Faust calls before each commit, waits until the broker has acknowledged every write (`Lane.barrier`). Faust's
  returns early, and goes on when a delivery failed.
- Nothing is on its way to an agent while the partitions are set to their committed offsets at the end of a rebalance. Faust starts to
  read before that, empties the agents' queues after it, and does not go back where nothing was committed yet: the first
  records of a partition were lost, or kept those behind them from being committed.
- Records of aborted transactions are not read. Faust reads them unless it runs transactions itself.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Mapping
from typing import Any, ClassVar

from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from msgspec import Struct

from streams.edge import crash_points, doubt
from streams.edge.lane import clock

FETCH_MIN_BYTES = 32_768
FETCH_MAX_WAIT_MS = 10
"""The broker answers a fetch when it has so many bytes, or after so many milliseconds. At once, as is usual, each touch of a
moderate load is a fetch, a poll and a micro-batch of its own, and the worker is busy with little."""


class Records(list[Any]):
    """The records of a micro-batch. The agent sets `done` when their offsets may be committed after the lane's next barrier."""

    done = False


class MicroBatch(Struct, gc=False):
    """Records of one partition in the shape of one aiokafka record; `value` is the list of records."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    timestamp_type: int
    value: Records
    key: bytes | None = None
    headers: tuple[Any, ...] = ()
    checksum: int | None = None
    serialized_key_size: int = 0
    serialized_value_size: int = 0


def micro_batches(records: list[Any], limit: int) -> list[MicroBatch]:
    """Records of one partition as micro-batches of at most `limit`."""
    chunks = (Records(records[start : start + limit]) for start in range(0, len(records), limit))
    return [
        MicroBatch(c[-1].topic, c[-1].partition, c[-1].offset, c[-1].timestamp, c[-1].timestamp_type, c) for c in chunks
    ]


class ConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """See the module."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # Read by its start(); Faust has no settings for them.
        consumer._isolation_level = "read_committed"
        consumer._fetch_min_bytes, consumer._fetch_max_wait_ms = FETCH_MIN_BYTES, FETCH_MAX_WAIT_MS
        return consumer

    async def on_start(self) -> None:
        """The lane is told of each heartbeat: what the group says of us decides whether we may write (`streams.edge.lane`)."""
        await super().on_start()
        coordinator = self._ensure_consumer()._coordinator
        send_heartbeat = coordinator._do_heartbeat

        async def heartbeat() -> bool:
            sent_at = time.clock_gettime(clock)
            taken: bool = await send_heartbeat()
            if self.app.lane is not None:
                if taken:
                    self.app.lane.confirmed(sent_at)
                elif coordinator.generation < 0:  # reset: we are no member any more
                    self.app.lane.expelled()
            return taken

        coordinator._do_heartbeat = heartbeat

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """The changelog is assigned with its touches, but read elsewhere (`streams.edge.recovery`): not fetched here."""
        if self.app.lane is not None:
            self.app.lane.joined()
        logs = self.app.tables.changelog_topics
        self._ensure_consumer().pause(*(driver.ensure_aiokafka_TP(tp) for tp in assigned if tp.topic in logs))
        await super().on_partitions_assigned(assigned, generation_id)


class Consumer(driver.Consumer):  # type: ignore[misc]
    """See the module."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_order: dict[TP, deque[Records]] = defaultdict(deque)
        self.committed_at = time.monotonic()
        self.waiting_since: float | None = None
        self._drained = asyncio.Event()
        self._drained.set()

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def _wait_next_records(self, timeout: float) -> tuple[Any, Any]:  # noqa: ASYNC109 - Faust's signature
        records, active = await super()._wait_next_records(timeout)
        if records:
            limit = self.app.conf.broker_max_poll_records
            batched = self.app.batched_topics
            records = {
                tp: micro_batches(found, limit) if tp.topic in batched else found for tp, found in records.items()
            }
        return records, active

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:  # noqa: ASYNC109 - Faust's signature
        """Records on their way to the agents, until the flow is stopped; what is left then is read again."""
        if not self.flow_active:
            await self.wait(self.can_resume_flow)
        self._drained.clear()
        try:
            records, active = await self._wait_next_records(timeout)
            generation = self.app.consumer_generation_id
            for tp, record in self.scheduler.iterate(records or {}):
                if self.should_stop or not self.flow_active or generation != self.app.consumer_generation_id:
                    return
                if active is None or tp in active or tp in self._buffered_partitions:
                    yield tp, self._to_message(tp, record)
        finally:
            self._drained.set()

    async def perform_seek(self) -> None:
        """Go back to the committed offsets, or to the beginning where there are none. Faust resumes the flow after it."""
        self.stop_flow()
        await self._drained.wait()
        self.forget(set(self._in_order))
        self._buffered_partitions.clear()
        await super().perform_seek()
        fresh = [tp for tp in self.assignment() if tp.topic in self.app.batched_topics and not self._read_offset[tp]]
        if fresh:
            await self._thread.seek_to_beginning(*map(driver.ensure_aiokafka_TP, fresh))

    def _to_message(self, tp: TP, record: Any) -> Any:
        """Called for each message on its way to an agent: the order of delivery, which is the order of commits."""
        if isinstance(record, MicroBatch):
            self._in_order[tp].append(record.value)
            if self.waiting_since is None:
                self.waiting_since = time.monotonic()
        return super()._to_message(tp, record)

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Nothing: compaction, transaction markers and micro-batches leave holes that need no book."""

    def _new_offset(self, tp: TP) -> int | None:
        """The offset behind the last micro-batch that is done and has no unfinished one before it."""
        waiting = self._in_order[tp]
        done: int | None = None
        while waiting and waiting[0].done:
            done = waiting.popleft()[-1].offset
        acked = self._acked[tp]
        if done is not None:
            self._acked[tp] = [offset for offset in acked if offset > done]
            self._acked_index[tp].intersection_update(self._acked[tp])
            return done + 1
        return None

    async def _commit_offsets(self, offsets: Mapping[TP, int], start_new_transaction: bool = True) -> bool:
        try:
            did: bool = await super()._commit_offsets(offsets, start_new_transaction=start_new_transaction)
        except Exception as error:  # noqa: BLE001 - the acknowledged offsets are gone from the book: start clean
            doubt.leave("offsets could not be committed", error)
        if did:
            self.committed_at = time.monotonic()
            self.waiting_since = self.committed_at if any(self._in_order.values()) else None
        return did

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        crash_points.reach("before_commit")
        did: bool = await super()._commit(offsets)
        crash_points.reach("after_commit")
        return did

    def lag(self, tp: TP) -> int | None:
        """Records from the first one that is not done to the end of the partition; None before the first fetch."""
        subscription = self._thread._ensure_consumer()._subscription.subscription
        assignment = None if subscription is None else subscription.assignment  # changes in the consumer's thread
        if assignment is None or tp not in assignment.tps:
            return None
        state = assignment.state_value(tp)
        if state.highwater is None or not state.has_valid_position:
            return None
        # Behind the last record there may be markers of transactions: the position passes them, no record does.
        waiting = self._in_order.get(tp, ())
        first = next((records[0].offset for records in waiting if not records.done), state.position)
        return max(0, int(state.highwater - first))

    def forget(self, tps: set[TP]) -> None:
        """Partitions were revoked: what was in flight will be read again by their new owner."""
        for tp in tps:
            self._in_order.pop(tp, None)
        if not any(self._in_order.values()):
            self.waiting_since = None


class Producer(driver.Producer):  # type: ignore[misc]
    """See the module. Idempotent, so that a retry inside aiokafka neither doubles nor reorders records."""

    def _settings_extra(self) -> Mapping[str, Any]:
        return {"acks": "all", "enable_idempotence": True}

    async def on_start(self) -> None:
        await super().on_start()
        self.app.open_lane(self._producer)

    async def flush(self) -> None:
        await super().flush()
        if self.app.lane is not None:  # a start that failed is stopped before there was a lane
            await self.app.lane.barrier()


class Transport(driver.Transport):  # type: ignore[misc]
    """Faust's transport with the two classes above."""

    Consumer: ClassVar[type] = Consumer
    Producer: ClassVar[type] = Producer
