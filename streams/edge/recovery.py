"""Timelines back into memory: the changelog, read to its end at the start and after each rebalance. Replaces Faust's recovery.

Faust makes a message and an event of every changelog record, some thousands a second: minutes for a million customers. Here
a plain consumer reads record batches straight into the store (`streams.edge.restore`). Other things that Faust's recovery gets
wrong, and this does not:

- It waits for the offset before the high watermark. Where the last records are those of an aborted transaction no record has that
  offset, and it waits for ever. Here the consumer's position counts.
- It stops for good when the broker takes longer than one request timeout to answer one of its questions: the worker stays in its
  group and does nothing. Here there is no time limit but the watch's (`streams.edge.watch`).
- It reads again what this process has written since its last recovery. Here the lane says how far the process's own writes
  follow what was restored, and reading goes on from there; so after most rebalances there is nothing to read.
"""

from __future__ import annotations

import asyncio
from typing import Any

from faust.tables import TableManager
from faust.types import TP
from mode import Service

from streams.edge import doubt, heap
from streams.edge.restore import Restore
from streams.edge.store import Store
from streams.edge.topics import TIMELINES_TABLE, changelog


class Recovery(Service):  # type: ignore[misc]
    """From the assignment of partitions to the first touch. `completed` is set once the worker was ready for the first time.

    Faust's table manager calls `on_rebalance` and `on_partitions_revoked`, the app calls `begin`. A rebalance ends a restore under
    way; what that has read is kept for the next one. `restored` is the last restore that came to its end.
    """

    def __init__(self, app: Any, tables: Any, **options: Any) -> None:
        super().__init__(**options)
        self.app, self._tables = app, tables
        self.completed = asyncio.Event()
        self.restored: Restore | None = None
        self._assigned: set[TP] = set()
        self._generation = 0
        self._running: asyncio.Task[None] | None = None

    def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """A rebalance begins."""
        if self._running is not None:
            self._running.cancel()

    async def on_rebalance(
        self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0
    ) -> None:
        """In the group's generation `generation_id` the partitions `assigned` are ours."""
        await self._end()
        self._assigned, self._generation = set(assigned), generation_id

    def begin(self) -> None:
        """Everybody knows the new assignment: restore, then let the touches flow."""
        if self._generation == self.app.consumer_generation_id:
            self._running = asyncio.get_running_loop().create_task(self._run(self._assigned, self._generation))

    async def on_stop(self) -> None:
        """The worker stops."""
        await self._end()

    async def _end(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait({self._running})

    async def _run(self, assigned: set[TP], generation: int) -> None:
        try:
            self.restored = await self._restore(assigned)
            if generation == self.app.consumer_generation_id:
                await self._resume(assigned)
        except (Exception, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():  # a rebalance or the end; aiokafka, too, lets a cancellation out
                raise
            doubt.leave("the timelines could not be restored", error)

    async def _restore(self, assigned: set[TP]) -> Restore:
        topic = changelog(self.app.touchstream)
        partitions = {tp.partition for tp in assigned if tp.topic == topic}
        store: Store = self._tables[TIMELINES_TABLE].data
        written: dict[int, int] = self.app.writes.changelog_ends
        store.keep(partitions)
        for partition in partitions & written.keys():
            store.partitions[partition].offset = written[partition]
        written.clear()  # until the restore has ended, the store is the one that knows
        restore = Restore(self.app.touchstream, store)
        await restore.run(partitions)
        written.update({partition: store.partitions[partition].offset for partition in partitions})
        return restore

    async def _resume(self, assigned: set[TP]) -> None:
        app, consumer = self.app, self.app.consumer
        consumer.resume_partitions({tp for tp in assigned if tp.topic not in self._tables.changelog_topics})
        if assigned:
            await consumer.perform_seek()
        if not self.completed.is_set():
            heap.settle()
        await app.on_rebalance_complete.send()
        self.completed.set()
        app.flow_control.resume()
        consumer.resume_flow()
        await app._fetcher.maybe_start()
        self._tables.on_actives_ready()
        self._tables.on_standbys_ready()
        app.on_rebalance_end()


class Tables(TableManager):  # type: ignore[misc]
    """Faust's table manager with the recovery of this module."""

    _recovery: Recovery | None

    @property
    def recovery(self) -> Recovery:
        """Made when it is first asked for."""
        if self._recovery is None:
            self._recovery = Recovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery
