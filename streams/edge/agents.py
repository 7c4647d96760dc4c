"""The worker's agents: which topics' micro-batches go through which stage. Registered by a call, so nothing runs on import.

They are agents in Faust's sense (topics in, a function, topics out) but not Faust's: those acknowledge an event whose function raised. Here
bad input does not raise in the stages (they make dead letters of it): whatever does is a bug or an outage, and ends the process.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from streams.edge.app import App
from streams.edge.gather import Gather, Stage
from streams.edge.lane import Write
from streams.edge.stages import Ingest, Requests, Timelines
from streams.edge.topics import COMMANDS, IDENTIFIED, TOUCH_TOPICS
from streams.edge.transport import Records


def register(app: App, ingest: Ingest, requests: Requests, timelines: Timelines) -> None:
    """One agent for the four touch topics, one for what others ask for, one for the customers' touches."""

    async def ingested(batches: list[Records]) -> AsyncIterator[Write]:
        yield await ingest.run([record for records in batches for record in records])

    async def requested(batches: list[Records]) -> AsyncIterator[Write]:
        yield await requests.run([record for records in batches for record in records])

    async def applied(batches: list[Records]) -> AsyncIterator[Write]:
        for partition, records in by_partition(batches).items():
            yield await timelines.run(partition, records)

    follow(app, tuple(TOUCH_TOPICS.values()), ingested)
    follow(app, (COMMANDS,), requested)
    follow(app, (IDENTIFIED,), applied)


def follow(app: App, topics: tuple[str, ...], stage: Stage) -> None:
    """The micro-batches of these catalogued topics are gathered for a stage."""
    gather = Gather(app, stage, app.touchstream.max_batch_records)
    app.task(gather.run)
    app.gathers |= {app.touchstream.topic(name): gather for name in topics}


def by_partition(batches: list[Records]) -> dict[int, Records]:
    """The records of each partition, in the order in which they came."""
    together: dict[int, Records] = {}
    for records in batches:
        together.setdefault(records[0].partition, Records()).extend(records)
    return together
