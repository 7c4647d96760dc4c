"""Reservations in Kafka: the compacted topic `reservations`, keyed by reservation id. The last record of a key holds."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator

from streams.core.reservation import Reservation
from streams.edge.codec import Codec, DecodeError
from streams.edge.publisher import Publisher, PublishError, Record
from streams.edge.reader import ReadError, latest
from streams.edge.topics import RESERVATIONS
from streams.settings import Settings

log = logging.getLogger("touchstream.gateway")


AGAIN = 1.0
"""Seconds between two tries while Kafka takes nothing."""


class MemoryLost(Exception):
    """Kafka cannot be read or written; the text says why."""


class Memory:
    """Writes with the gateway's producer."""

    def __init__(self, settings: Settings, codec: Codec, publisher: Publisher) -> None:
        self._settings, self._codec, self._publisher = settings, codec, publisher
        self._topic = settings.topic(RESERVATIONS)
        self._lost = ""
        self._again_at = 0.0

    @property
    def is_lost(self) -> bool:
        """Whether Kafka did not take what was written last."""
        return bool(self._lost)

    def admit(self) -> None:
        """Raises MemoryLost at once while Kafka takes nothing, so that not everybody waits for it; one a second may see whether it does
        again."""
        if self._lost:
            now = time.monotonic()
            if now < self._again_at:
                raise MemoryLost(self._lost)
            self._again_at = now + AGAIN

    async def write(self, one: Reservation) -> None:
        """Returns when all replicas have it. Raises MemoryLost."""
        record = Record(self._topic, one.reservation_id.encode(), self._codec.encode_reservation(one))
        try:
            await self._publisher.publish(record)
        except PublishError as error:
            self._lost, self._again_at = str(error), time.monotonic() + AGAIN
            raise MemoryLost(str(error)) from error
        self._lost = ""

    async def forget(self, reservation_id: str) -> None:
        """Take a reservation out of the topic. Raises MemoryLost."""
        try:
            await self._publisher.publish(Record(self._topic, reservation_id.encode(), None))
        except PublishError as error:
            raise MemoryLost(str(error)) from error

    async def all(self) -> AsyncIterator[tuple[Reservation, int]]:
        """The latest state of each reservation that the topic holds now, with the time (UTC ms). Raises MemoryLost."""
        try:
            values = await latest(self._settings, self._topic)
        except ReadError as error:
            raise MemoryLost(str(error)) from error
        log.info("building the reservations in Redis from %d in Kafka", len(values))
        for value in values.values():
            try:
                yield self._codec.decode_reservation(value), time.time_ns() // 1_000_000
            except DecodeError as error:
                log.error("a record of %s cannot be read and is passed over: %s", self._topic, error)
