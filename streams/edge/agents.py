"""The Faust agents: glue between a stream of micro-batches and a stage. Registered by a call, so nothing runs on import.

An agent must not raise: Faust acknowledges an event whose agent raised. Bad input does not raise (the stages make dead letters of
it), so whatever does is a bug or an outage, and the process leaves without committing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from streams.edge import doubt
from streams.edge.app import App
from streams.edge.lane import Write
from streams.edge.stages import Ingest, Timelines
from streams.edge.topics import COMMANDS, IDENTIFIED, TOUCH_TOPICS


def register(app: App, ingest: Ingest, timelines: Timelines) -> None:
    """One agent for the four touch topics, one for the customers' topics."""
    touches = app.raw_topic(*TOUCH_TOPICS.values())
    customers = app.raw_topic(IDENTIFIED, COMMANDS)
    app.agent(touches, name="ingest", concurrency=1)(follow(app, lambda batch: ingest.run(batch.value)))
    app.agent(customers, name="timelines", concurrency=1)(
        follow(app, lambda batch: timelines.run(batch.message.partition, batch.value))
    )


def follow(app: App, stage: Callable[[Any], Awaitable[Write]]) -> Callable[[Any], AsyncIterator[None]]:
    """An agent that hands each micro-batch to a stage and its result to the lane."""

    async def agent(stream: Any) -> None:
        async for event in stream.events():
            try:
                app.metrics.micro_batch.labels(event.message.topic).observe(len(event.value))
                await app.writes.submit(await stage(event))
                event.value.done = True
            except Exception as error:  # noqa: BLE001 - Faust would acknowledge and go on
                doubt.leave(
                    f"{event.message.topic}[{event.message.partition}] up to offset {event.message.offset} failed",
                    error,
                )

    return agent  # type: ignore[return-value]
