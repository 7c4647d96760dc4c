"""Quix Streams: one application; `apply` for the first hop, a stateful `apply` for the second. State in RocksDB, changelog topics on:
its defaults. What differs from them: it commits every `COMMIT_SECONDS` instead of 5 s, and its producer is idempotent."""

from __future__ import annotations

import sys
from typing import Any

from quixstreams import Application, State, message_context
from quixstreams.models import TopicConfig
from quixstreams.models.serializers import Serializer
from quixstreams.models.topics import Topic

from streams.edge.codec import Codec
from streams.edge.topics import CONFLICTS, DEAD_LETTER, HANDOFFS, IDENTIFIED, IDENTITIES, TOUCH_TOPICS
from tests.benchmarks import COMMIT_SECONDS, PARTITIONS, rule
from tests.benchmarks.engines import started
from tests.benchmarks.job import Hop1, Hop2, Record
from tests.benchmarks.plan import RULE_INPUT, RULE_OUTPUT, Run


class Last(Serializer):
    """A row is (topic, key, value) or (key, value); the value is bytes already."""

    def __call__(self, value: Any, ctx: Any) -> bytes:
        last: bytes = value[-1]
        return last


def topic(app: Application, run: Run, name: str) -> Topic:
    """A topic of bytes."""
    config = TopicConfig(num_partitions=PARTITIONS, replication_factor=1)
    return app.topic(
        run.topic(name),
        value_deserializer="bytes",
        key_deserializer="bytes",
        value_serializer=Last(),
        key_serializer="bytes",
        config=config,
    )


def whole_worker(app: Application, run: Run) -> None:
    """Four dataframes to touches.identified, and one from there."""
    codec = Codec()
    hop1, hop2 = started(Hop1(run, codec)), Hop2(run.policy(), codec)
    names = (IDENTIFIED, IDENTITIES, DEAD_LETTER, CONFLICTS, HANDOFFS)
    topics = {name: topic(app, run, name) for name in names}

    def first(value: bytes, key: bytes, timestamp: int, headers: object) -> list[Record]:
        at = message_context()
        return hop1(at.topic, at.partition, at.offset, timestamp, key, value)

    def second(value: bytes, key: bytes, timestamp: int, headers: object, state: State) -> list[Record]:
        after, out = hop2.step(state.get_bytes("timeline"), value, timestamp)
        if after is not None:
            state.set_bytes("timeline", after)
        return out

    def publish(rows: Any) -> None:
        rows.to_topic(lambda row, key, timestamp, headers: topics[row[0]], key=lambda row: row[1])

    for name in TOUCH_TOPICS.values():
        publish(app.dataframe(topic(app, run, name)).apply(first, expand=True, metadata=True))
    publish(app.dataframe(topics[IDENTIFIED]).apply(second, stateful=True, expand=True, metadata=True))


def rule_only(app: Application, run: Run) -> None:
    """The 24 h rule."""
    step = started(rule.step)

    def apply(value: bytes, state: State) -> list[tuple[bytes, bytes]]:
        after, out = step(state.get_bytes("contacts"), value)
        if after is not None:
            state.set_bytes("contacts", after)
        return out

    rows = app.dataframe(topic(app, run, RULE_INPUT)).apply(apply, stateful=True, expand=True)
    rows.to_topic(topic(app, run, RULE_OUTPUT), key=lambda row: row[0])


def main(run: Run) -> None:
    """Until killed."""
    app = Application(
        broker_address=run.bootstrap,
        consumer_group=run.group,
        auto_offset_reset="earliest",
        commit_interval=COMMIT_SECONDS,
        state_dir=run.data_dir,
        producer_extra_config={"enable.idempotence": True, "partitioner": "murmur2"},
        loglevel="WARNING",
    )
    (whole_worker if run.job == "whole_worker" else rule_only)(app, run)
    app.run()


if __name__ == "__main__":
    main(Run.decode(sys.argv[1]))
