"""What waits is taken together: one look-up and one write for the micro-batches of all partitions.

A micro-batch costs two milliseconds whatever its size (Redis, Kafka's produce requests, their acknowledgements), and at a moderate
load sixteen partitions hold one or two touches each. So the consumer only queues what a poll brings; a task for each stage takes
everything that has come in meanwhile through it and into the lane. Under load it takes more at once, up to what
takes `ROUND` seconds: findings of the first records need not wait for the last, and the event loop gets its turn.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

from streams.edge import doubt
from streams.edge.lane import Write
from streams.edge.transport import Records

Stage = Callable[[list[Records]], AsyncIterator[Write]]
"""Takes micro-batches in order of arrival; gives what they lead to, as soon as it is known."""

ROUND = 0.25
"""Seconds that a round should take at most."""

SMALLEST = 100
"""Records that are always taken, if they wait: with fewer, what a round costs whatever its size counts most."""

RETRY_AFTER = 1.0
"""Seconds until a stage that cannot go on now is asked again."""

log = logging.getLogger("touchstream.gather")


class NotNow(Exception):
    """What a stage needs is away: it has written nothing, and must be given the same again later. To wait in the stage would hold up
    a rebalance, and with it all partitions of the worker."""


class Gather:
    """One for each stage. `limit` is the number of records at which it is `full`, and that a round takes at most, unless a single
    micro-batch is larger. `put_off_at` is when the stage could not go on last, as `time.monotonic`."""

    def __init__(self, app: Any, stage: Stage, limit: int) -> None:
        self._app, self._stage, self._limit = app, stage, limit
        self._waiting: deque[Records] = deque()
        self._held = 0
        self._pace = 0.0
        self._came = asyncio.Event()
        self._busy = asyncio.Lock()
        self.put_off_at = 0.0

    @property
    def full(self) -> bool:
        """Enough waits: nothing more is to be read for it."""
        return self._held >= self._limit

    def put(self, batches: list[Records]) -> None:
        """More to do, behind what waits already."""
        self._waiting.extend(batches)
        self._held += sum(map(len, batches))
        self._came.set()

    async def run(self) -> None:
        """The task. An exception here is a bug or an outage: the process leaves without committing."""
        while not self._app.should_stop:
            await self._came.wait()
            if not await self._one():
                await asyncio.sleep(RETRY_AFTER)

    async def _one(self) -> bool:
        """Take what waits through the stage; False when the stage cannot do it now."""
        async with self._busy:
            batches = self._take()
            began = time.monotonic()
            try:
                async for write in self._stage(batches):
                    await self._app.writes.submit(write)
                    await asyncio.sleep(0)  # it is on its way while the next is made
            except NotNow as reason:
                log.warning("waiting: %s", reason)
                self.put_off_at = time.monotonic()
                self._waiting.extendleft(reversed(batches))
                self._settle()
                return False
            except Exception as error:  # noqa: BLE001 - Faust would acknowledge and go on
                places = ", ".join(f"{b[0].topic}[{b[0].partition}]@{b[0].offset}-{b[-1].offset}" for b in batches)
                doubt.leave(f"processing {places} failed", error)
            for records in batches:
                records.done = True
            self._learn(sum(map(len, batches)), time.monotonic() - began)
        return True

    def _learn(self, count: int, took: float) -> None:
        """The pace, in seconds a record; a few records tell more of what a round costs whatever its size."""
        if count >= SMALLEST:
            self._pace += (took / count - self._pace) / 4

    async def drop(self) -> None:
        """Partitions are being revoked: forget what waits (it is read again by whoever owns it then), let what is under way end."""
        self._waiting.clear()
        self._settle()
        async with self._busy:
            self._waiting.clear()  # a round that was put off gave its micro-batches back
            self._settle()

    def _take(self) -> list[Records]:
        most = min(self._limit, max(SMALLEST, int(ROUND / self._pace))) if self._pace else self._limit
        taken: list[Records] = []
        count = 0
        while self._waiting and (not taken or count + len(self._waiting[0]) <= most):
            taken.append(self._waiting.popleft())
            count += len(taken[-1])
        self._settle()
        return taken

    def _settle(self) -> None:
        self._held = sum(map(len, self._waiting))
        if self._waiting:
            self._came.set()
        else:
            self._came.clear()
