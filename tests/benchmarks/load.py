"""Touches into Kafka at a steady rate, by a producer that costs next to nothing: what is measured shares its cores with it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from streams.edge.publisher import Record
from streams.settings import Settings

TICK = 0.005
_FULL = 0.1


def steady(
    settings: Settings,
    records: Sequence[Record],
    rate: float,
    seconds: float = 0,
    note: Callable[[int, float], object] | None = None,
) -> None:
    """Produce `records` at `rate` a second (0: as fast as it goes), whatever becomes of them, until they or `seconds` are over. `note` is
    told the index of each and the UNIX seconds at which it was handed over."""
    from confluent_kafka import Producer  # of `make bench` only; what else is here is tested without it

    producer = Producer(
        {
            "bootstrap.servers": settings.bootstrap,
            "enable.idempotence": True,
            "compression.type": "lz4",
            "linger.ms": 1,
            "partitioner": "murmur2_random",
        }
    )
    began, sent = time.monotonic(), 0
    while sent < len(records) and (not seconds or time.monotonic() - began < seconds):
        due = min(len(records), int((time.monotonic() - began) * rate)) if rate else min(len(records), sent + 500)
        now = time.time()
        for n in range(sent, due):
            record = records[n]
            while True:
                try:
                    producer.produce(record.topic, record.value, record.key)
                    break
                except BufferError:  # the broker takes no more for now
                    producer.poll(_FULL)
            if note is not None:
                note(n, now)
        sent = due
        producer.poll(0)
        time.sleep(TICK)
    if producer.flush(60):
        raise TimeoutError("Kafka did not take all touches within a minute")
