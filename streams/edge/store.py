"""The timelines table's store: encoded values in memory, by partition, so that a partition that moves away frees its memory.

Values stay bytes until a touch needs them: millions of small Python objects would make the garbage collector the biggest
cost. Registered with Faust under the URL scheme `touchstream`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, MutableMapping, Set
from typing import Any

from faust.stores import base
from faust.types import TP, EventT

from streams.core.erasure import MARK_SIZES, erased_at
from streams.core.timeline import is_customer, segment_key


class Partition:
    """Encoded timelines of one partition, counted as they change: walking millions of them each second would take too long.

    `offset` is where the changelog goes on behind what was restored from it. `marks` are the customers of whom nothing is left but
    when they were erased (identity index's clock, us).
    """

    __slots__ = ("customers", "marks", "offset", "size", "values")

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.marks: dict[bytes, int] = {}
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
        if value is not None:
            self.values[key] = value
            self.size += len(value)
            if len(value) in MARK_SIZES and (at := erased_at(value)):
                self.marks[key] = at
            else:
                self.customers += is_customer(value)


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
        """Keys of all segments held of a customer, also of those that no timeline means any more. Walks the partition."""
        held, prefix = self.partitions.get(partition), segment_key(customer, b"")
        return [] if held is None else [key for key in held.values if key.startswith(prefix)]

    def marks(self) -> dict[bytes, int]:
        """Customers of whom nothing is left but when they were erased (identity index's clock, us)."""
        return {key: at for held in self.partitions.values() for key, at in held.marks.items()}

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
