"""What keeps the identity index and the timelines of one mind: see `streams.edge.identity_index`."""

from __future__ import annotations

import asyncio
from typing import Any

from streams.edge.stages import Ingest

EVERY = 1.0
"""Seconds between two looks for merges that are overdue; also how soon an idle worker notices that Redis is back."""


def register(app: Any, ingest: Ingest) -> None:
    """The worker's task and signal handler."""

    @app.on_partitions_assigned.connect(weak=False)
    async def assigned(sender: Any, assigned: set[Any], **kwargs: Any) -> None:
        app.index.suspect()  # their last owner may have ended between Kafka's acknowledgement and Redis

    @app.task
    async def mend() -> None:
        while not app.should_stop:
            await asyncio.sleep(EVERY)
            write = await ingest.mend()
            if write.outputs:
                await app.writes.submit(write)
                await app.writes.barrier()  # so that the next look does not find the same again
