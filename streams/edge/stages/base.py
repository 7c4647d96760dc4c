"""What both stages need: dead letters with addresses, schemas learned before a micro-batch is decoded."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from streams.core.dead_letter import letter_key
from streams.core.identity_facts import Fact, encode, taken_back
from streams.core.outcome import Rejected, RejectReason
from streams.core.policy import Policy
from streams.core.touch import Origin
from streams.edge.codec import Codec
from streams.edge.lane import Out
from streams.edge.metrics import Metrics
from streams.edge.registry import RegistryUnavailable
from streams.edge.topics import DEAD_LETTER, IDENTITIES
from streams.settings import Settings

log = logging.getLogger("touchstream.stages")


def origin(record: Any) -> Origin:
    """Address of a consumed record."""
    return Origin(record.topic, record.partition, record.offset)


class Stage:
    """Base of both stages. `name` stands in dead letters."""

    name: str

    def __init__(self, settings: Settings, policy: Policy, codec: Codec, metrics: Metrics) -> None:
        self._settings, self._policy, self._codec, self._metrics = settings, policy, codec, metrics
        self._topic = settings.topic
        self._outcomes: Counter[tuple[str, str]] = Counter()

    def use(self, policy: Policy) -> None:
        """Go by this policy from the next micro-batch on."""
        self._policy = policy

    def count(self) -> None:
        """Hand the outcomes of a micro-batch to Prometheus: a label look-up a touch would cost more than its rules."""
        for (channel, outcome), number in self._outcomes.items():
            self._metrics.touches.labels(channel, outcome).inc(number)
        self._outcomes.clear()

    def dead(self, record: Any, reason: RejectReason, detail: str, whole: bool = True) -> Out:
        """The dead letter of a consumed record, counted and logged by its address. Unless `whole`, without its payload and key."""
        payload, key = (record.value or b"", record.key) if whole else (b"", None)
        rejected = Rejected(reason, detail, self.name, payload, origin(record), key)
        self._metrics.dead_letters.labels(record.topic, reason).inc()
        log.warning("dead letter: %s at %s[%s]@%s", reason, record.topic, record.partition, record.offset)
        value = self._codec.encode_dead_letter(rejected, record.timestamp)
        return Out(self._topic(DEAD_LETTER), letter_key(record.key, self._settings.id_key), value)

    def believed(self, records: Sequence[Any]) -> list[Any]:
        """The records, those that their producer's clock dates in the future as received now: when Kafka received a record is mostly the
        producer's to say, and what is ahead by more than a touch may be would count as later than all that comes for years."""
        now = time.time_ns() // 1_000_000
        latest = now + self._policy.touch.future_ms
        return [one if one.timestamp <= latest else dataclasses.replace(one, timestamp=now) for one in records]

    def fact(self, fact: Fact) -> Out:
        """A fact for the identity log."""
        return Out(self._topic(IDENTITIES), fact.key.encode(), encode(fact))

    def taken_back(self, fact: Fact) -> list[Out]:
        """The end of all that the identity log says of the pair of a fact "gone"."""
        return [Out(self._topic(IDENTITIES), key.encode(), None) for key in taken_back(fact)]

    async def learn(self, records: Sequence[Any]) -> None:
        """Fetch the schemas that these records name and we do not know. Waits while the registry is away: good data is
        not dead-lettered for that."""
        while unknown := self._codec.unknown_ids(record.value for record in records if record.value):
            try:
                await self._codec.learn(unknown)
                return
            except RegistryUnavailable as error:
                log.warning("waiting for the schema registry: %s", error)
                await asyncio.sleep(1.0)
