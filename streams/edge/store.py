"""The timelines table's store: encoded values in memory, by partition, so that a partition that moves away frees its memory.

Values stay bytes until a touch needs them: millions of small Python objects would make the garbage collector the biggest
cost. Registered with Faust under the URL scheme `touchstream`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, MutableMapping
from typing import Any

from faust.stores import base
from faust.types import TP, EventT

from streams.core.timeline import is_forward


class Partition:
    """Encoded timelines of one partition, counted as they change: walking millions of them each second would take too long."""

    __slots__ = ("customers", "size", "values")

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.customers = 0
        self.size = 0

    def put(self, key: bytes, value: bytes | None) -> None:
        """Take over a new value; None deletes."""
        old = self.values.get(key) if value is not None else self.values.pop(key, None)
        if old is not None:
            self.customers -= not is_forward(old)
            self.size -= len(old)
        if value is not None:
            self.values[key] = value
            self.customers += not is_forward(value)
            self.size += len(value)


class Store(base.Store[bytes, bytes]):  # type: ignore[misc]
    """Faust's store protocol over one dict a partition; recovery and rebalance are Faust's, writes are the lane's."""

    def __post_init__(self) -> None:
        self.partitions: defaultdict[int, Partition] = defaultdict(Partition)
        self.data: MutableMapping[bytes, bytes] = {}  # Faust's own view; the lane bypasses it

    def read(self, partition: int, key: bytes) -> bytes | None:
        """Encoded timeline of a customer, or None."""
        held = self.partitions.get(partition)
        return None if held is None else held.values.get(key)

    def write(self, partition: int, values: dict[bytes, bytes]) -> None:
        """Take over new values; the lane has them in the changelog before their offsets are committed."""
        held = self.partitions[partition]
        for key, value in values.items():
            held.put(key, value)

    def apply_changelog_batch(
        self, batch: Iterable[EventT], to_key: Callable[[Any], Any], to_value: Callable[[Any], Any]
    ) -> None:
        """Faust's recovery: one changelog record after the other; a null value deletes."""
        for event in batch:
            message = event.message
            self.partitions[message.partition].put(message.key, message.value)

    async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
        """Drop partitions that this worker does not own any more."""
        owned = {tp.partition for tp in active_tps | standby_tps}
        for partition in set(self.partitions) - owned:
            del self.partitions[partition]

    def sizes(self) -> tuple[int, int]:
        """Customers held, without ids that were merged into another; bytes of all encoded values."""
        held = self.partitions.values()
        return sum(part.customers for part in held), sum(part.size for part in held)

    def persisted_offset(self, tp: TP) -> int | None:
        """Nothing outlives the process: recovery starts at the beginning of the changelog."""
        return None

    def reset_state(self) -> None:
        """Nothing on disk."""

    def _clear(self) -> None:
        self.partitions.clear()

    async def backup_partition(self, tp: Any, flush: bool = True, purge: bool = False, keep: int = 1) -> None:
        """Nothing on disk."""

    def restore_backup(self, tp: Any, latest: bool = True, backup_id: int = 0) -> None:
        """Nothing on disk."""
