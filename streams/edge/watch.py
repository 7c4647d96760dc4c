"""What a worker watches about itself: lag, table size, recovery, commits; and when it must leave.

Faust can hang without an error (a lost coordinator, a dead fetcher). Whatever the cause, the sign is the same: records wait, and
no commit comes. So that is what ends the process.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from typing import Any

from streams.core.policy import fingerprint
from streams.edge import doubt, view
from streams.edge.restore import Restore
from streams.edge.stages import Timelines
from streams.edge.store import Store

log = logging.getLogger("touchstream.watch")

TICK = 1.0
LOOK = 0.25
"""Seconds between two looks at what is done; see `streams.edge.freshness`."""

STUCK_AFTER = 120.0
"""Seconds without a commit while records wait. A broker restart takes less; a hang does not end by itself."""

RECOVERY_LIMIT = 1800.0
"""Seconds of recovery, or of rebuilding the identity index from its log, after which it is taken for hung."""


def register(app: Any, store: Store, timelines: Timelines) -> None:
    """Tasks and signal handlers of the worker."""
    recovery_began: list[float] = []
    measuring: list[Any] = []
    # Faust logs whole messages, with customers' addresses, when a send fails, and warns for each topic it may not create.
    logging.getLogger("faust.topics").setLevel(logging.CRITICAL)
    logging.getLogger("faust.transport.drivers.aiokafka").setLevel(logging.ERROR)

    @app.on_partitions_revoked.connect(weak=False)
    async def revoked(sender: Any, revoked: set[Any], **kwargs: Any) -> None:
        for gather in set(app.gathers.values()):
            await gather.drop()
        await app.writes.barrier()
        app.consumer.forget(revoked)

    @app.on_partitions_assigned.connect(weak=False)
    async def assigned(sender: Any, assigned: set[Any], **kwargs: Any) -> None:
        app.consumer.forget(assigned)
        if not measuring:  # tasks of Faust's own kind wait for the first recovery, which is to be watched, too
            measuring.append(app.add_future(gauges()))
        recovery_began[:] = [time.monotonic()]
        app.metrics.recovering.set(1)
        log.info("%d partitions assigned", len(assigned))

    @app.on_rebalance_complete.connect(weak=False)
    async def recovered(sender: Any, **kwargs: Any) -> None:
        took = time.monotonic() - recovery_began.pop() if recovery_began else 0.0
        app.metrics.recovering.set(0)
        app.metrics.recovery_seconds.set(took)
        read: Restore = app.tables.recovery.restored
        log.info(
            "ready: %d timelines restored in %.1f s; %d records, %.0f MB read",
            store.sizes()[0], took, read.records, read.size / 1e6,
        )  # fmt: skip

    async def gauges() -> None:
        shown: set[tuple[str, str]] = set()
        while not app.should_stop:
            _measure(app, store, recovery_began, shown)
            if not recovery_began:
                _show_policies(app, timelines)
            if app.view is not None and not recovery_began:  # a store that is being restored is no timeline
                app.view.beat(view.lags_of(app), app.freshness.fresh_at)
            await asyncio.sleep(TICK)

    async def look() -> None:
        while not app.should_stop:
            if app.rebalancing or not app.consumer.flow_active:  # nothing is fetched, so no end is known
                app.freshness.forget()
            else:
                app.freshness.look(time.time_ns() // 1_000_000, view.places_of(app), app.writes.begun())
            await asyncio.sleep(LOOK)

    app.task(look)


def _show_policies(app: Any, timelines: Timelines) -> None:
    """Which policy is in force in how many of the worker's partitions."""
    shown: Counter[str] = Counter()
    for partition in app.writes.changelog_ends:
        published, policy = timelines.in_force(partition)
        shown[fingerprint(policy) if published is None else published.fingerprint] += 1
    app.metrics.policy_partitions.clear()
    for name, count in shown.items():
        app.metrics.policy_partitions.labels(name).set(count)


def _measure(app: Any, store: Store, recovery_began: list[float], shown: set[tuple[str, str]]) -> None:
    """Set the gauges. `shown` are the (topic, partition) whose lag was set last time: those that moved away are taken down."""
    metrics, consumer = app.metrics, app.consumer
    count, size = store.sizes()
    metrics.timelines.set(count)
    metrics.timelines_bytes.set(size)
    now = time.monotonic()
    waiting = consumer.waiting_since
    put_off = [gather.put_off_at for gather in app.gathers.values()]  # knows what it waits for, and says so in the log
    age = 0.0 if waiting is None else now - max(waiting, consumer.committed_at, app.index.synced_at, *put_off)
    metrics.commit_age.set(age)
    if recovery_began:
        if now - recovery_began[0] > RECOVERY_LIMIT:
            doubt.leave(f"recovery has not ended for {RECOVERY_LIMIT:.0f} s")
    elif age > (RECOVERY_LIMIT if app.index.syncing else STUCK_AFTER) and not app.rebalancing:
        doubt.leave(f"records wait, but nothing was committed for {age:.0f} s")
    lags = {tp: consumer.lag(tp) for tp in consumer.assignment() if tp.topic in app.gathers}
    known = {(tp.topic, str(tp.partition)): lag for tp, lag in lags.items() if lag is not None}
    for gone in shown - known.keys():
        metrics.lag.remove(*gone)
    for place, lag in known.items():
        metrics.lag.labels(*place).set(lag)
    shown.clear()
    shown.update(known)
