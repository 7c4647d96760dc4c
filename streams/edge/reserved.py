"""The slots that tools hold, as Kafka has them: for whoever looks at all of them at once, and is no gateway."""

from __future__ import annotations

import logging

from streams.core.reservation import Reservation
from streams.edge.codec import Codec, DecodeError
from streams.edge.reader import latest, learn
from streams.edge.topics import RESERVATIONS
from streams.settings import Settings

log = logging.getLogger("touchstream.reader")


class Reserved:
    """Reservations by their ids, kept up to date. One that cannot be read is told of in the log, and does not count."""

    def __init__(self, settings: Settings, codec: Codec) -> None:
        self.topic = settings.topic(RESERVATIONS)
        self._settings, self._codec = settings, codec
        self._known: dict[bytes, Reservation] = {}

    async def read(self) -> Reserved:
        """What the topic holds at the call. Raises `streams.edge.reader.ReadError`."""
        for key, value in (await latest(self._settings, self.topic)).items():
            await self.take(key, value)
        return self

    async def take(self, key: bytes, value: bytes | None) -> None:
        """One record of the topic after the other. Raises `ReadError`: the schema registry does not answer."""
        self._known.pop(key, None)
        if value is None:
            return
        address = f"{self.topic}, key {key.decode('utf-8', 'replace')}"
        try:
            await learn(self._codec, value, address)
            one = self._codec.decode_reservation(value)
        except DecodeError as error:
            log.warning("a reservation in %s cannot be read, and does not count: %s", address, error)
            return
        if one.state != "released":
            self._known[key] = one

    def all(self) -> list[Reservation]:
        """Those that were not given back; some may have ended."""
        return list(self._known.values())
