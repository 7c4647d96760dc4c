"""The timelines table's store: encoded values in memory, by partition, so that a partition that moves away frees its memory.

Values stay bytes until a touch needs them: millions of small Python objects would make the garbage collector the biggest
cost. Registered with Faust under the URL scheme `touchstream`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, MutableMapping
from typing import Any

from faust.stores import base
from faust.types import TP, EventT


class Store(base.Store[bytes, bytes]):  # type: ignore[misc]
    """Faust's store protocol over one dict a partition; recovery and rebalance are Faust's, writes are the lane's."""

    def __post_init__(self) -> None:
        self.partitions: dict[int, dict[bytes, bytes]] = {}
        self.data: MutableMapping[bytes, bytes] = {}  # Faust's own view; the lane bypasses it

    def read(self, partition: int, key: bytes) -> bytes | None:
        """Encoded timeline of a customer, or None."""
        values = self.partitions.get(partition)
        return None if values is None else values.get(key)

    def write(self, partition: int, values: dict[bytes, bytes]) -> None:
        """Take over new values; the lane has them in the changelog before their offsets are committed."""
        self.partitions.setdefault(partition, {}).update(values)

    def apply_changelog_batch(
        self, batch: Iterable[EventT], to_key: Callable[[Any], Any], to_value: Callable[[Any], Any]
    ) -> None:
        """Faust's recovery: one changelog record after the other; a null value deletes."""
        for event in batch:
            message = event.message
            values = self.partitions.setdefault(message.partition, {})
            if message.value is None:
                values.pop(message.key, None)
            else:
                values[message.key] = message.value

    async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
        """Drop partitions that this worker does not own any more."""
        owned = {tp.partition for tp in active_tps | standby_tps}
        for partition in set(self.partitions) - owned:
            del self.partitions[partition]

    def sizes(self) -> tuple[int, int]:
        """Customers held, and bytes of their encoded timelines."""
        values = self.partitions.values()
        return sum(map(len, values)), sum(sum(map(len, part.values())) for part in values)

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
