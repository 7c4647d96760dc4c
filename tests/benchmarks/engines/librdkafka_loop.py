"""The limit: a bare confluent-kafka loop. One consumer, one producer, state in a dict, a changelog record per changed key and
thousand records, flush and commit every `COMMIT_SECONDS`. It restores nothing after a restart and survives no rebalance."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from confluent_kafka import Consumer, Message, Producer

from streams.core.timeline import EMPTY, Timeline
from streams.core.timeline import decode as decode_timeline
from streams.core.timeline import encode as encode_timeline
from streams.edge.codec import Codec
from streams.edge.topics import IDENTIFIED, TOUCH_TOPICS, changelog
from tests.benchmarks import COMMIT_SECONDS
from tests.benchmarks.engines import say
from tests.benchmarks.job import Hop1, Hop2
from tests.benchmarks.plan import RULE_INPUT, RULE_OUTPUT, Run
from tests.benchmarks.rule import State, advance, decode_contact, decode_state, encode

Send = Callable[[str, bytes, bytes], None]
Handle = Callable[[list[Message]], None]


def whole_worker(run: Run, send: Send) -> Handle:
    """Both hops on one batch."""
    codec = Codec()
    hop1, hop2 = Hop1(run, codec), Hop2(run.policy(), codec)
    log, identified = changelog(run.settings()), run.topic(IDENTIFIED)
    state: dict[bytes, bytes] = {}

    def handle(messages: list[Message]) -> None:
        changed: dict[bytes, Timeline] = {}
        for message in messages:
            topic, key, value, timestamp = message.topic(), message.key(), message.value(), message.timestamp()[1]
            if topic != identified:
                out = hop1(topic, message.partition(), message.offset(), timestamp, key, value)
            else:
                before = changed.get(key)
                if before is None:
                    before = decode_timeline(state[key]) if key in state else EMPTY
                changed[key], out = hop2.advance(before, value, timestamp)
            for name, out_key, out_value in out:
                send(run.prefix + name, out_key, out_value)
        for key, timeline in changed.items():
            state[key] = encode_timeline(timeline)
            send(log, key, state[key])

    return handle


def rule_only(run: Run, send: Send) -> Handle:
    """The 24 h rule on one batch."""
    log, output = changelog(run.settings()), run.topic(RULE_OUTPUT)
    state: dict[bytes, bytes] = {}

    def handle(messages: list[Message]) -> None:
        changed: dict[bytes, State] = {}
        for message in messages:
            key, contact = message.key(), decode_contact(message.value())
            before = changed.get(key)
            if before is None:
                before = changed[key] = decode_state(state[key]) if key in state else []
            for pair in advance(before, contact) or ():
                send(output, key, encode(pair))
        for key, contacts in changed.items():
            state[key] = encode(contacts)
            send(log, key, state[key])

    return handle


def main(run: Run) -> None:
    """Until killed."""
    producer = Producer(
        {
            "bootstrap.servers": run.bootstrap,
            "enable.idempotence": True,
            "linger.ms": 5,
            "partitioner": "murmur2",
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    failed: list[str] = []

    def delivered(error: object, _: object) -> None:
        if error is not None:
            failed.append(str(error))

    def send(topic: str, key: bytes, value: bytes) -> None:
        try:
            producer.produce(topic, value, key, on_delivery=delivered)
        except BufferError:
            producer.poll(1.0)
            producer.produce(topic, value, key, on_delivery=delivered)

    whole = run.job == "whole_worker"
    names = [*TOUCH_TOPICS.values(), IDENTIFIED] if whole else [RULE_INPUT]
    handle = (whole_worker if whole else rule_only)(run, send)
    consumer = Consumer(
        {
            "bootstrap.servers": run.bootstrap,
            "group.id": run.group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([run.topic(name) for name in names])
    first, committed_at, dirty = True, time.monotonic(), False
    while True:
        messages = consumer.consume(1000, 0.1)
        if messages:
            if first:
                first = False
                say("first")
            handle(messages)
            producer.poll(0)
            dirty = True
        if dirty and time.monotonic() - committed_at > COMMIT_SECONDS:
            if producer.flush(30) or failed:
                sys.exit(f"output was not delivered: {failed[:3]}")
            consumer.commit(asynchronous=False)
            committed_at, dirty = time.monotonic(), False


if __name__ == "__main__":
    main(Run.decode(sys.argv[1]))
