"""Partitions tell each other how many leads their reps have, so that `capacity` holds for all of them together.

What a partition has stands in its changelog (`streams.core.leads.loads`). A worker tells the other partitions whenever it has changed, in
`touches.identified`, between the touches: so it is known from one record on, whoever reads it. Where no rep has a capacity there is nothing
to tell.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from typing import Any

from streams.core.leads import loads
from streams.edge.codec import Codec
from streams.edge.lane import Out, Write
from streams.edge.store import Store
from streams.edge.topics import IDENTIFIED
from streams.settings import Settings

EVERY = 2.0
"""Seconds between two looks, at the least."""

RATE = 400
"""Records a second that all partitions together may tell: with many of them, each waits longer."""

AGAIN_MS = 300_000
"""After which it is told again unchanged: who has begun to count since has not heard it."""


class Teller:
    """Tells partitions what the others have."""

    def __init__(self, settings: Settings, codec: Codec, store: Store) -> None:
        self._topic, self._codec, self._store = settings.topic(IDENTIFIED), codec, store
        self._partitions = settings.partitions
        self._told: dict[int, tuple[int, int]] = {}
        self.every = max(EVERY, settings.partitions**2 / RATE)

    def due(self, partitions: Collection[int], now: int) -> Write:
        """Commands for what has changed in these partitions by `now` (UTC ms), which is also the records' timestamp."""
        outputs = []
        for partition in partitions:
            value = self._store.read(partition, loads.KEY.encode())
            known = None if value is None else loads.decode(value)
            serial, at = self._told.get(partition, (0, 0))
            if known is None or (known.serial == serial and now - at < AGAIN_MS) or not (known.own or known.serial):
                continue
            self._told[partition] = known.serial, now
            said = self._codec.encode_command(loads.telling(partition, known, now))
            outputs += [
                Out(self._topic, loads.KEY.encode(), said, now, other)
                for other in range(self._partitions)
                if other != partition
            ]
        return Write(outputs)


def register(app: Any, teller: Teller) -> None:
    """The worker's task."""

    async def tell() -> None:
        while not app.should_stop:
            await asyncio.sleep(teller.every)
            if app.rebalancing:
                continue
            write = teller.due(tuple(app.writes.changelog_ends), time.time_ns() // 1_000_000)
            if write.outputs:
                await app.writes.submit(write)

    app.task(tell)
