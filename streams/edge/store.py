"""The timelines table's store: encoded values in memory, by partition, so that a partition that moves away frees its memory.

Values stay bytes until a touch needs them: millions of small Python objects would make the garbage collector the biggest
cost. Registered with Faust under the URL scheme `touchstream`.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, MutableMapping, Set
from heapq import heapify, heappop, heappush
from itertools import islice
from typing import Any

from faust.stores import base
from faust.types import TP, EventT

from streams.core.entry import DamagedError
from streams.core.erasure import MARK_SIZES, erased_at
from streams.core.segments import FORMAT
from streams.core.timeline import STALE, customer_of, due_of, is_customer, may_have_plans

AGAIN_MS = 60_000
"""After which something that is due is told again, if it still is."""

log = logging.getLogger("touchstream.store")


class Partition:
    """Encoded timelines of one partition, counted as they change: walking millions of them each second would take too long.

    `offset` is where the changelog goes on behind what was restored from it. `marks` are the customers of whom nothing is left but
    when they were erased (identity index's clock, us). `due` says of customers when something of their lead or plans is due (UTC ms); in
    `_alarms` is when to look at whom, perhaps more often than needed, in `_told` when to tell whom again. `_policy` names the policy in
    force, by which plans are to be judged. `segments` are the keys of each customer's segments, which only long timelines have.
    """

    __slots__ = ("_alarms", "_policy", "_told", "customers", "due", "marks", "offset", "segments", "size", "values")

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.marks: dict[bytes, int] = {}
        self.due: dict[bytes, int] = {}
        self.segments: dict[bytes, set[bytes]] = {}
        self._alarms: list[tuple[int, bytes]] = []
        self._told: dict[bytes, int] = {}
        self._policy = ""
        self.customers = 0
        self.offset = 0
        self.size = 0

    def put(self, key: bytes, value: bytes | None) -> None:
        """Take over a new value; None deletes."""
        old = self.values.get(key) if value is not None else self.values.pop(key, None)
        if old is not None:
            if self.marks.pop(key, None) is None:
                self.customers -= is_customer(old)
            self.size -= len(old)
            if old[:1] == FORMAT:
                self._unseal(key)
        if value is not None:
            self.values[key] = value
            if value[:1] == FORMAT:
                self.segments.setdefault(customer_of(key), set()).add(key)
            self.size += len(value)
            if len(value) in MARK_SIZES and (at := erased_at(value)):
                self.marks[key] = at
            else:
                self.customers += is_customer(value)
        self._time(key, value)

    def _unseal(self, key: bytes) -> None:
        customer = customer_of(key)
        keys = self.segments[customer]
        keys.discard(key)
        if not keys:
            del self.segments[customer]

    def judge_by(self, policy: str, now: int) -> None:
        """From now on (UTC ms) plans are to be judged by the policy of this name. Who has others is due, one a millisecond, so that other
        timers need not wait for all of them."""
        if policy == self._policy:
            return
        self._policy = policy
        for n, key in enumerate([key for key, value in self.values.items() if may_have_plans(value)]):
            self._time(key, self.values[key], now + n)

    def _time(self, key: bytes, value: bytes | None, at_once: int = STALE) -> None:
        try:
            due = None if value is None else due_of(value, self._policy)
        except DamagedError as error:  # whoever needs this timeline ends the worker
            log.error("the timers of %s cannot be read: %s", key.decode(errors="replace"), error)
            due = None
        if due == STALE:
            due = at_once
        if due == self.due.get(key):
            return
        self._told.pop(key, None)
        if due is None:
            del self.due[key]
        else:
            self.due[key] = due
            heappush(self._alarms, (due, key))
            if len(self._alarms) > 2 * len(self.due) + 1_000:
                self._alarms = [(max(at, self._told.get(customer, at)), customer) for customer, at in self.due.items()]
                heapify(self._alarms)

    def rung(self, now: int) -> Iterator[tuple[bytes, int]]:
        """Customers of whom something is due by `now` (UTC ms), and since when; each again after `AGAIN_MS` if it is not done by then."""
        alarms = self._alarms
        while alarms and alarms[0][0] <= now:
            _, key = heappop(alarms)
            due = self.due.get(key)
            if due is not None and due <= now and self._told.get(key, now) <= now:
                self._told[key] = now + AGAIN_MS
                heappush(alarms, (now + AGAIN_MS, key))
                yield key, due


class Store(base.Store[bytes, bytes]):  # type: ignore[misc]
    """Faust's store protocol over one dict a partition; `streams.edge.recovery` fills it, writes are the lane's."""

    def __post_init__(self) -> None:
        self.partitions: defaultdict[int, Partition] = defaultdict(Partition)
        self.data: MutableMapping[bytes, bytes] = {}  # Faust's own view; the lane bypasses it

    def read(self, partition: int, key: bytes) -> bytes | None:
        """Encoded timeline of a customer, or None."""
        held = self.partitions.get(partition)
        return None if held is None else held.values.get(key)

    def segments(self, partition: int, customer: bytes) -> list[bytes]:
        """Keys of all segments held of a customer, also of those that no timeline means any more."""
        held = self.partitions.get(partition)
        return [] if held is None else sorted(held.segments.get(customer, ()))

    def marks(self) -> dict[bytes, int]:
        """Customers of whom nothing is left but when they were erased (identity index's clock, us)."""
        return {key: at for held in self.partitions.values() for key, at in held.marks.items()}

    def due(self, partitions: Collection[int], now: int, most: int) -> list[tuple[bytes, int]]:
        """Of how many customers at most something is due in these partitions by `now` (UTC ms), and since when."""
        held = (self.partitions[partition] for partition in partitions if partition in self.partitions)
        return list(islice((one for part in held for one in part.rung(now)), most))

    def judge_by(self, partition: int, policy: str, now: int) -> None:
        """As `Partition.judge_by`; what is not held needs nothing."""
        held = self.partitions.get(partition)
        if held is not None:
            held.judge_by(policy, now)

    def write(self, partition: int, values: dict[bytes, bytes | None]) -> None:
        """Take over new values, None deletes; the lane has them in the changelog before their offsets are committed."""
        held = self.partitions[partition]
        for key, value in values.items():
            held.put(key, value)

    def keep(self, partitions: Set[int]) -> None:
        """Drop the partitions that this worker does not own any more."""
        for partition in self.partitions.keys() - partitions:
            del self.partitions[partition]

    def apply_changelog_batch(
        self, batch: Iterable[EventT], to_key: Callable[[Any], Any], to_value: Callable[[Any], Any]
    ) -> None:
        """Faust's own recovery, which must not run beside ours."""
        raise RuntimeError("the timelines are restored by streams.edge.recovery")

    def sizes(self) -> tuple[int, int]:
        """Customers held, without ids that were merged into another or erased; bytes of all encoded values."""
        held = self.partitions.values()
        return sum(part.customers for part in held), sum(part.size for part in held)

    def persisted_offset(self, tp: TP) -> int | None:
        """Nothing outlives the process."""
        return None

    def reset_state(self) -> None:
        """Nothing on disk."""

    def _clear(self) -> None:
        self.partitions.clear()

    async def backup_partition(self, tp: Any, flush: bool = True, purge: bool = False, keep: int = 1) -> None:
        """Nothing on disk."""

    def restore_backup(self, tp: Any, latest: bool = True, backup_id: int = 0) -> None:
        """Nothing on disk."""
