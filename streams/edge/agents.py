"""The Faust agents: glue between streams of micro-batches and the stages. Registered by a call, so nothing runs on import.

An agent must not raise: Faust acknowledges an event whose agent raised. So these only queue (`streams.edge.gather`). Bad input does
not raise in the stages either (they make dead letters of it): whatever does is a bug or an outage, and ends the process.
"""

from __future__ import annotations

from streams.edge.app import App
from streams.edge.gather import Gather, Stage
from streams.edge.lane import Write
from streams.edge.stages import Ingest, Requests, Timelines
from streams.edge.topics import COMMANDS, IDENTIFIED, TOUCH_TOPICS
from streams.edge.transport import Records


def register(app: App, ingest: Ingest, requests: Requests, timelines: Timelines) -> None:
    """One agent for the four touch topics, one for what others ask for, one for the customers' touches."""

    async def ingested(batches: list[Records]) -> list[Write]:
        return [await ingest.run([record for records in batches for record in records])]

    async def requested(batches: list[Records]) -> list[Write]:
        return [await requests.run([record for records in batches for record in records])]

    async def applied(batches: list[Records]) -> list[Write]:
        return [await timelines.run(partition, records) for partition, records in by_partition(batches).items()]

    follow(app, "ingest", tuple(TOUCH_TOPICS.values()), ingested)
    follow(app, "requests", (COMMANDS,), requested)
    follow(app, "timelines", (IDENTIFIED,), applied)


def follow(app: App, name: str, topics: tuple[str, ...], stage: Stage) -> None:
    """An agent on these topics whose micro-batches are gathered for a stage; they are dropped at a rebalance."""
    gather = Gather(app, stage, app.touchstream.max_batch_records)
    app.agent(app.raw_topic(*topics), name=name, concurrency=1)(gather.follow)
    app.task(gather.run)
    app.gathers.append(gather)


def by_partition(batches: list[Records]) -> dict[int, Records]:
    """The records of each partition, in the order in which they came."""
    together: dict[int, Records] = {}
    for records in batches:
        together.setdefault(records[0].partition, Records()).extend(records)
    return together
