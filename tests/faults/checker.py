"""Reads all that workers read and write while they do it, and enters it in `Books`. Independent of the product's reader."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from streams.edge.kafka_auth import client_options
from streams.edge.topics import COMMANDS, IDENTIFIED, TOUCH_TOPICS
from streams.settings import Settings
from tests.faults.books import Books, Place

PAUSE = 0.2
AWAY = (KafkaError, OSError, TimeoutError, AssertionError)
"""aiokafka asserts that a cluster names a broker; one that has just come back does not yet."""


@dataclass(frozen=True)
class Sample:
    """One look: what was committed, then where the topics ended; all up to there is in the books."""

    began: float = 0.0
    committed: dict[Place, int] = field(default_factory=dict)
    ends: dict[Place, int] = field(default_factory=dict)


class Checker:
    """Looks several times a second, inside `with`. While the broker is away it tries again."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.books = Books(settings)
        self.sample = Sample()
        self.inputs = [settings.topic(name) for name in (*TOUCH_TOPICS.values(), IDENTIFIED, COMMANDS)]
        self._next: dict[TopicPartition, int] = {
            TopicPartition(topic, p): 0 for topic in self.books.topics for p in range(settings.partitions)
        }
        self._absent: set[str] = set()
        self._anew = False
        self._stop = False
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="checker", daemon=True)

    def drained(self, sample: Sample, until: dict[Place, int] | None = None) -> bool:
        """Whether all input up to `until`, by default up to its end, is committed."""
        wanted = sample.ends if until is None else until
        return all(sample.committed.get(place, 0) >= end for place, end in wanted.items() if place[0] in self.inputs)

    def fresh(self, seconds: float = 120) -> Sample:
        """A look that began after this call."""
        called, deadline = time.monotonic(), time.monotonic() + seconds
        while self.sample.began < called:
            if self._failed is not None:
                raise self._failed
            assert time.monotonic() < deadline, f"the checker could not read Kafka for {seconds:g} s"
            time.sleep(0.05)
        return self.sample

    def absent(self, topic: str) -> None:
        """A topic is about to be deleted."""
        self._absent |= {topic}
        self._anew = True
        self.fresh()

    def present(self, topic: str) -> None:
        """A deleted topic was created anew."""
        self._next.update({place: 0 for place in self._next if place.topic == topic})
        self._absent -= {topic}
        self._anew = True

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop = True
        self._thread.join(60)

    def _run(self) -> None:
        try:
            asyncio.run(self._follow())
        except BaseException as error:  # noqa: BLE001 - raised by fresh()
            self._failed = error

    async def _follow(self) -> None:
        while not self._stop:
            self._anew = False
            consumer = AIOKafkaConsumer(
                isolation_level="read_committed", enable_auto_commit=False, request_timeout_ms=10_000,
                **client_options(self._settings),
            )  # fmt: skip
            admin = AIOKafkaAdminClient(request_timeout_ms=10_000, **client_options(self._settings))
            try:
                await consumer.start()
                await admin.start()
                places = [place for place in self._next if place.topic not in self._absent]
                consumer.assign(places)
                for place in places:
                    consumer.seek(place, self._next[place])
                while not self._stop and not self._anew:
                    await self._look(consumer, admin, places)
                    await asyncio.sleep(PAUSE)
            except AWAY:  # the broker is away: that is the fault
                await asyncio.sleep(PAUSE)
            finally:
                for close in (consumer.stop, admin.close):
                    # aiokafka's own cancelled task comes out of stop() when the broker went away at that moment.
                    with contextlib.suppress(*AWAY, asyncio.CancelledError):
                        await close()

    async def _look(self, consumer: Any, admin: Any, places: list[TopicPartition]) -> None:
        began = time.monotonic()
        known = await admin.list_consumer_group_offsets(self._settings.app_id)
        committed = {
            (place.topic, place.partition): found.offset for place, found in known.items() if found.offset >= 0
        }
        ends: dict[TopicPartition, int] = await consumer.end_offsets(places)
        deadline = time.monotonic() + 20
        while any(self._next[place] < ends[place] for place in places):
            for place, records in (await consumer.getmany(timeout_ms=200)).items():
                for record in records:
                    self.books.take(record)
                self._next[place] = records[-1].offset + 1
            if time.monotonic() > deadline:
                raise TimeoutError
        by_place = {(place.topic, place.partition): end for place, end in ends.items()}
        self.books.commit(committed, by_place)
        self.sample = Sample(began, committed, by_place)
