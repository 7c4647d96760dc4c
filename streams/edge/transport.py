"""Faust's aiokafka driver with micro-batches in and an honest flush out. Registered with Faust under the scheme `lane`.

Three things differ from the driver (faust-streaming 0.15.3, pinned for that reason):

- The polled records of one partition become one Faust message: its value is the list of raw records, its offset the last one's.
  Faust spends about 50 us on a message, which is too much for one touch and nothing for a thousand.
- Which offset to commit is decided by the order of delivery. Faust's own bookkeeping counts the offsets between two messages as
  done ("gaps"), which would commit a micro-batch that is still being processed, and it skips ahead of unfinished
  messages (faust-streaming/faust#606).
- `flush()`, which Faust calls before each commit, waits until the broker has acknowledged every write (`Lane.barrier`). Faust's
  returns early, and goes on when a delivery failed.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Mapping
from typing import Any, ClassVar

from faust.transport.drivers import aiokafka as driver
from faust.types import TP, Message
from msgspec import Struct

from streams.edge import doubt


class MicroBatch(Struct, gc=False):
    """Records of one partition in the shape of one aiokafka record; `value` is the list of records."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    timestamp_type: int
    value: list[Any]
    key: bytes | None = None
    headers: tuple[Any, ...] = ()
    checksum: int | None = None
    serialized_key_size: int = 0
    serialized_value_size: int = 0


def micro_batches(records: list[Any], limit: int) -> list[MicroBatch]:
    """Records of one partition as micro-batches of at most `limit`."""
    chunks = (records[start : start + limit] for start in range(0, len(records), limit))
    return [
        MicroBatch(c[-1].topic, c[-1].partition, c[-1].offset, c[-1].timestamp, c[-1].timestamp_type, c) for c in chunks
    ]


class Consumer(driver.Consumer):  # type: ignore[misc]
    """See the module."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_order: dict[TP, deque[Message]] = defaultdict(deque)
        self.committed_at = time.monotonic()
        self.waiting_since: float | None = None

    async def _wait_next_records(self, timeout: float) -> tuple[Any, Any]:  # noqa: ASYNC109 - Faust's signature
        records, active = await super()._wait_next_records(timeout)
        if records:
            limit = self.app.conf.broker_max_poll_records
            batched = self.app.batched_topics
            records = {
                tp: micro_batches(found, limit) if tp.topic in batched else found for tp, found in records.items()
            }
        return records, active

    def track_message(self, message: Message) -> None:
        """Remember the order of delivery, which is the order of commits."""
        super().track_message(message)
        self._in_order[message.tp].append(message)
        if self.waiting_since is None:
            self.waiting_since = time.monotonic()

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Nothing: compaction, transaction markers and micro-batches leave holes that need no book."""

    def _new_offset(self, tp: TP) -> int | None:
        """The offset behind the last message that is done and has no unfinished message before it."""
        waiting = self._in_order[tp]
        done: int | None = None
        while waiting and waiting[0].acked:
            done = waiting.popleft().offset
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
