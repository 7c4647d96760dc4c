"""Timers of leads and plans: when something is due, the customer's timeline is told that the moment has come.

What is due when stands in the timelines themselves, hence in the changelog: the store keeps count of it (`Store.due`), so nothing has to be
remembered over a restart, and a timer moves to another worker with its partition. A worker only says what time it is, in
`touches.identified`, between the touches; what follows is the timeline's to decide (`streams.core.leads.told`, `streams.core.plans`), and
said twice it follows once. Where another policy came into force, customers with plans are due, too, one after the other, so that their
plans are judged by it. Timers wait while much waits to be read: a call that stopped a clock may be in it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection
from typing import Any

from streams.core import plans
from streams.core.leads.asked import tick_command
from streams.core.policy import Policy
from streams.edge import view
from streams.edge.codec import Codec
from streams.edge.lane import Out, Write
from streams.edge.store import Store
from streams.edge.topics import IDENTIFIED
from streams.settings import Settings

log = logging.getLogger("touchstream.timers")

EVERY = 1.0
"""Seconds between two looks; where nothing is due one costs nothing."""

MOST = 1_000
"""Timers that are told in one look: after a night without workers many are due at once."""

BEHIND = 1_000
"""Records not worked off, in all topics together, above which timers wait."""


class Timers:
    """Tells timelines what time it is, once something is due. `policy` gives that of a partition."""

    def __init__(self, settings: Settings, codec: Codec, store: Store, policy: Callable[[int], Policy]) -> None:
        self._topic, self._codec, self._store = settings.topic(IDENTIFIED), codec, store
        self._policy = policy

    def due(self, partitions: Collection[int], now: int) -> Write:
        """Commands for what is due in these partitions by `now` (UTC ms), which is also the records' timestamp."""
        for partition in partitions:
            self._store.judge_by(partition, plans.name_of(self._policy(partition)), now)
        outputs = []
        for key, due in self._store.due(partitions, now, MOST):
            command = tick_command(key.decode(), due, now)
            outputs.append(Out(self._topic, key, self._codec.encode_command(command), now))
        return Write(outputs)


def register(app: Any, timers: Timers) -> None:
    """The worker's task."""

    async def tell() -> None:
        waiting = False
        while not app.should_stop:
            await asyncio.sleep(EVERY)
            behind = sum(view.lags_of(app).values())
            if behind > BEHIND and not waiting:
                log.info("timers wait: %d records are not worked off", behind)
            waiting = behind > BEHIND
            if app.rebalancing or waiting:
                continue
            write = timers.due(tuple(app.writes.changelog_ends), time.time_ns() // 1_000_000)
            if write.outputs:
                await app.writes.submit(write)

    app.task(tell)
