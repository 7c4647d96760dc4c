"""The last traces of an erasure. Unless the person is refused for good, its mark in a timeline goes once nothing from before the erasure
can be on its way any more.

What an erasure leaves of a timeline is its moment (`streams.core.customer`). Which of these marks are due is seen in the store, hence in
the changelog: so nothing has to be remembered over a restart, and a mark moves to another worker with its partition.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from streams.core.commands import Command
from streams.core.ids import command_id
from streams.core.policy import Policy
from streams.edge.codec import Codec
from streams.edge.lane import Out, Write
from streams.edge.stages import Requests
from streams.edge.store import Store
from streams.edge.topics import IDENTIFIED
from streams.settings import Settings

EVERY = 1.0
"""Seconds between two looks; without marks one costs nothing."""

AGAIN_AFTER = 60.0
"""Seconds after which a mark that is still there is told to go again."""


class Forgetting:
    """Tells marks to go, each once a minute at most."""

    def __init__(self, settings: Settings, policy: Policy, codec: Codec, store: Store) -> None:
        self._topic, self._codec, self._store = settings.topic(IDENTIFIED), codec, store
        self._policy = policy.erasure
        self._told: dict[tuple[bytes, int], float] = {}

    def use(self, policy: Policy) -> None:
        """Go by this policy from the next look on."""
        self._policy = policy.erasure

    def due(self, now_ms: int, clock: float) -> Write:
        """Commands for the marks whose grace is over at `now_ms` (UTC). `clock` is monotonic seconds."""
        self._told = {mark: at for mark, at in self._told.items() if clock - at < AGAIN_AFTER}
        outputs = []
        for key, erased_at in ({} if self._policy.for_good else self._store.marks()).items():
            ends_at = erased_at // 1000 + self._policy.grace_ms
            if ends_at <= now_ms and (key, erased_at) not in self._told:
                self._told[key, erased_at] = clock
                customer = key.decode()
                id_ = command_id("customer_forgotten", customer, str(erased_at))
                command = Command(
                    id_, customer, "customer_forgotten", ends_at, "end of an erasure's grace", decided_at=erased_at
                )
                outputs.append(Out(self._topic, key, self._codec.encode_command(command)))
        return Write(outputs)


def register(app: Any, forgetting: Forgetting, requests: Requests) -> None:
    """The worker's task."""

    async def forget() -> None:
        while not app.should_stop:
            await asyncio.sleep(EVERY)
            await requests.tidy()
            write = forgetting.due(time.time_ns() // 1_000_000, time.monotonic())
            if write.outputs:
                await app.writes.submit(write)

    app.task(forget)
