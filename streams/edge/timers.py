"""Timers of leads and plans: when something is due, the customer's timeline is told that the moment has come.

What is due when stands in the timelines themselves, hence in the changelog: the store keeps count of it (`Store.due`), so nothing has to be
remembered over a restart, and a timer moves to another worker with its partition. A worker only says what time it is, in
`touches.identified`, between the touches; what follows is the timeline's to decide (`streams.core.leads.told`, `streams.core.plans`), and
said twice it follows once. Where another policy came into force, customers with plans are due, too, one after the other, so that their
plans are judged by it. Timers wait while what was published a while ago is not worked off: a call that stopped a clock may be in it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from streams.core import plans
from streams.core.leads.asked import tick_command
from streams.core.policy import Policy
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

BEHIND_MS = 30_000
"""What was published so long ago must be worked off, in all topics, or timers wait. Not a number of records: of those there are as many as
come in the time that each takes, all day long."""


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


def behind(partitions: Collection[int], fresh_at: Mapping[int, int], now: int) -> int:
    """How long ago (ms) what is worked off in all of these partitions was published (`Freshness.fresh_at`); while that is not known of one
    of them, because it is read for the first time, as long as can be."""
    return max((now - fresh_at.get(partition, 0) for partition in partitions), default=0)


def register(app: Any, timers: Timers) -> None:
    """The worker's task."""

    async def tell() -> None:
        waiting = False
        while not app.should_stop:
            await asyncio.sleep(EVERY)
            partitions, now = tuple(app.writes.changelog_ends), time.time_ns() // 1_000_000
            is_late = behind(partitions, app.freshness.fresh_at, now) > BEHIND_MS
            if is_late and not waiting:
                log.info("timers wait until what was published %d s ago is worked off", BEHIND_MS // 1000)
            waiting = is_late
            if app.rebalancing or waiting:
                continue
            write = timers.due(partitions, now)
            if write.outputs:
                await app.writes.submit(write)

    app.task(tell)
