"""Bytewax: one dataflow, Kafka source and sink, `stateful_flat_map`, its recovery store (SQLite) on. It commits no offsets to Kafka: a
thread counts what it has read and says "done" when all input, and all it wrote to touches.identified, has been processed.
The first hop goes through Kafka too, because merged customers send commands back, and dataflows have no cycles."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import bytewax.operators as op
from bytewax._bytewax import cli_main, init_db_dir
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource, KafkaSourceMessage
from bytewax.dataflow import Dataflow, Stream
from bytewax.operators import KeyedStream
from bytewax.recovery import RecoveryConfig
from confluent_kafka import Consumer, TopicPartition

from streams.edge.codec import Codec
from streams.edge.topics import IDENTIFIED, TOUCH_TOPICS
from tests.benchmarks import COMMIT_SECONDS, PARTITIONS
from tests.benchmarks.engines import say, started
from tests.benchmarks.job import Hop1, Hop2
from tests.benchmarks.plan import RULE_INPUT, RULE_OUTPUT, Run
from tests.benchmarks.rule import step

Message = KafkaSourceMessage[bytes | None, bytes | None]
Sent = KafkaSinkMessage[bytes, bytes]


class Counts:
    """Records that have left the two steps."""

    first = 0
    second = 0


def source(run: Run, *names: str) -> KafkaSource:
    """Topics, followed for ever."""
    return KafkaSource([run.bootstrap], [run.topic(name) for name in names])


def sink(run: Run) -> KafkaSink:
    """Any topic."""
    return KafkaSink([run.bootstrap], None, {"enable.idempotence": "true", "partitioner": "murmur2", "linger.ms": "5"})


def keyed(step_id: str, up: Stream[Message]) -> KeyedStream[Message]:
    """By the record's key."""
    return op.key_on(step_id, up, lambda message: (message.key or b"").decode())


def whole_worker(run: Run, counts: Counts) -> Dataflow:
    """Both hops."""
    codec = Codec()
    hop1, hop2 = started(Hop1(run, codec)), Hop2(run.policy(), codec)

    def first(m: Message) -> list[Sent]:
        counts.first += 1
        out = hop1(m.topic, m.partition, m.offset, m.timestamp[1], m.key, m.value)
        return [KafkaSinkMessage(key, value, run.topic(name)) for name, key, value in out]

    def second(state: bytes | None, m: Message) -> tuple[bytes | None, Iterable[Sent]]:
        after, out = hop2.step(state, m.value or b"", m.timestamp[1])
        counts.second += 1
        return after or state, [KafkaSinkMessage(key, value, run.topic(name)) for name, key, value in out]

    flow = Dataflow("whole_worker")
    op.output(
        "identified",
        op.flat_map("ingest", op.input("touches", flow, source(run, *TOUCH_TOPICS.values())), first),
        sink(run),
    )
    customers = keyed("customer", op.input("customers", flow, source(run, IDENTIFIED)))
    op.output("findings", op.key_rm("bare", op.stateful_flat_map("timeline", customers, second)), sink(run))
    return flow


def rule_only(run: Run, counts: Counts) -> Dataflow:
    """The 24 h rule."""
    output, apply = run.topic(RULE_OUTPUT), started(step)

    def rule(state: bytes | None, m: Message) -> tuple[bytes | None, Iterable[Sent]]:
        after, out = apply(state, m.value)
        counts.first += 1
        return after or state, [KafkaSinkMessage(key, value, output) for key, value in out]

    flow = Dataflow("rule_only")
    contacts = keyed("customer", op.input("contacts", flow, source(run, RULE_INPUT)))
    op.output("pairs", op.key_rm("bare", op.stateful_flat_map("rule", contacts, rule)), sink(run))
    return flow


def watch(run: Run, counts: Counts) -> None:
    """Says "done" when everything has been read; the sink has written it, for it flushes each batch before the next is read."""
    consumer = Consumer({"bootstrap.servers": run.bootstrap, "group.id": "none"})
    places = [TopicPartition(run.topic(IDENTIFIED), p) for p in range(PARTITIONS)] if run.job == "whole_worker" else []
    seen = (-1, -1)
    while True:
        time.sleep(0.1)
        if counts.first >= run.records and seen != (counts.first, counts.second):
            seen = (counts.first, counts.second)
            continue
        if counts.first >= run.records and counts.second >= sum(
            consumer.get_watermark_offsets(place)[1] for place in places
        ):
            say("done")
            return


def main(run: Run) -> None:
    """Until killed."""
    counts, recovery = Counts(), Path(run.data_dir) / "recovery"
    recovery.mkdir()
    init_db_dir(recovery, 1)
    threading.Thread(target=watch, args=(run, counts), daemon=True).start()
    flow = (whole_worker if run.job == "whole_worker" else rule_only)(run, counts)
    cli_main(flow, epoch_interval=timedelta(seconds=COMMIT_SECONDS), recovery_config=RecoveryConfig(recovery))


if __name__ == "__main__":
    main(Run.decode(sys.argv[1]))
