"""Faust as its user guide teaches: an agent a topic, a record at a time, a table, `send` for each output. What had to differ: raw bytes in
and out, because the payload is Avro; commits every `COMMIT_SECONDS`."""

from __future__ import annotations

import sys
from typing import Any

import faust

from streams.edge.codec import Codec
from streams.edge.topics import CONFLICTS, DEAD_LETTER, HANDOFFS, IDENTIFIED, IDENTITIES, TOUCH_TOPICS
from tests.benchmarks import COMMIT_SECONDS, PARTITIONS
from tests.benchmarks.engines import started
from tests.benchmarks.job import Hop1, Hop2
from tests.benchmarks.plan import RULE_INPUT, RULE_OUTPUT, Run
from tests.benchmarks.rule import step

RAW = {"key_type": None, "value_type": None, "key_serializer": "raw", "value_serializer": "raw"}


def whole_worker(app: Any, run: Run) -> None:
    """One agent for the touches, one for the customers."""
    codec = Codec()
    hop1, hop2 = started(Hop1(run, codec)), Hop2(run.policy(), codec)
    names = (IDENTIFIED, IDENTITIES, DEAD_LETTER, CONFLICTS, HANDOFFS)
    topics = {name: app.topic(run.topic(name), **RAW) for name in names}
    timelines = app.Table("timelines", partitions=PARTITIONS, key_type=bytes, value_type=bytes)

    @app.agent(app.topic(*(run.topic(name) for name in TOUCH_TOPICS.values()), **RAW))
    async def ingest(touches: Any) -> None:
        async for event in touches.events():
            message = event.message
            at = int(message.timestamp * 1000)
            for name, key, value in hop1(
                message.topic, message.partition, message.offset, at, message.key, event.value
            ):
                await topics[name].send(key=key, value=value)

    @app.agent(topics[IDENTIFIED])
    async def timeline(touches: Any) -> None:
        async for event in touches.events():
            after, out = hop2.step(timelines.get(event.key), event.value, int(event.message.timestamp * 1000))
            if after is not None:
                timelines[event.key] = after
            for name, key, value in out:
                await topics[name].send(key=key, value=value)


def rule_only(app: Any, run: Run) -> None:
    """The 24 h rule."""
    contacts = app.Table("contacts", partitions=PARTITIONS, key_type=bytes, value_type=bytes)
    output = app.topic(run.topic(RULE_OUTPUT), **RAW)
    first = started(step)

    @app.agent(app.topic(run.topic(RULE_INPUT), **RAW))
    async def rule(stream: Any) -> None:
        async for event in stream.events():
            after, out = first(contacts.get(event.key), event.value)
            if after is not None:
                contacts[event.key] = after
            for key, value in out:
                await output.send(key=key, value=value)


def main(run: Run) -> None:
    """Until killed."""
    app = faust.App(
        run.group,
        broker=f"kafka://{run.bootstrap}",
        store="memory://",
        datadir=run.data_dir,
        topic_partitions=PARTITIONS,
        topic_replication_factor=1,
        broker_commit_interval=COMMIT_SECONDS,
        consumer_auto_offset_reset="earliest",
        web_enabled=False,
        autodiscover=False,
    )
    (whole_worker if run.job == "whole_worker" else rule_only)(app, run)
    faust.Worker(
        app, loglevel="WARNING", console_port=None, quiet=True, redirect_stdouts=False
    ).execute_from_commandline()


if __name__ == "__main__":
    main(Run.decode(sys.argv[1]))
