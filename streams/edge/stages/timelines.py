"""touches.identified, commands -> timelines, conflicts, handoffs; and on to another id where a customer was merged.

What workers tell each other of merges stands in touches.identified, between the touches: read again after a crash, one topic gives
the same order, so the same findings with the same revisions. Two topics would interleave in another way, and what was
published before the crash could contradict what is published after it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

from streams.core import customer as customers
from streams.core import pipeline
from streams.core.customer import Effect
from streams.core.policy import Policy
from streams.core.timeline import EMPTY, Timeline, decode, encode
from streams.core.touch_check import EARLIEST_MS, LATEST_MS
from streams.edge import doubt
from streams.edge.codec import Codec, DecodeError
from streams.edge.lane import Out, Write
from streams.edge.metrics import Metrics
from streams.edge.stages.base import Stage
from streams.edge.store import Store
from streams.edge.topics import CONFLICTS, HANDOFFS, IDENTIFIED, IDENTITIES
from streams.settings import Settings

log = logging.getLogger("touchstream.stages")

LARGEST_TIMELINE = 900_000
"""Bytes of an encoded timeline; Kafka's default record limit is 1,048,588. Longer ones lose their oldest touches."""


class Timelines(Stage):
    """See the module."""

    name = "timeline"

    def __init__(self, settings: Settings, policy: Policy, codec: Codec, metrics: Metrics, store: Store) -> None:
        super().__init__(settings, policy, codec, metrics)
        self._store = store
        self._identified = settings.topic(IDENTIFIED)

    async def run(self, partition: int, records: Sequence[Any]) -> Write:
        """One micro-batch of raw records of one partition."""
        await self.learn(records)
        return self.decide(partition, records)

    def decide(self, partition: int, records: Sequence[Any]) -> Write:
        """The micro-batch's effect: the store has the new timelines when this returns, the write makes them last."""
        with self._metrics.stage_seconds.labels("timeline").time():
            outputs: list[Out] = []
            found: list[tuple[str, int]] = []
            changed: dict[str, Timeline] = {}
            for record in records:
                try:
                    outputs += self._one(partition, record, changed, found)
                except DecodeError as error:
                    outputs.append(self.dead(record, error.reason, error.detail))
            changelog = {customer.encode(): self._fit(customer, timeline) for customer, timeline in changed.items()}
            self._store.write(partition, changelog)
        self.count()
        return Write(outputs, partition, changelog, published=lambda: self._published(found))

    def _one(
        self, partition: int, record: Any, changed: dict[str, Timeline], found: list[tuple[str, int]]
    ) -> list[Out]:
        """One record: its customer's timeline changed in place, what is to be published returned."""
        if record.topic == self._identified and not self._codec.is_command(record.value or b""):
            identified = self._codec.decode_identified(record.value or b"")
            if not EARLIEST_MS <= identified.touch.occurred_at <= LATEST_MS:  # no worker of ours wrote this
                raise DecodeError(
                    "not_a_touch", "occurred_at lies outside the years 2000 to 9999; only workers write here"
                )
            customer = identified.customer_id
            before = changed.get(customer) or self._timeline(partition, customer)
            effect = customers.on_touch(before, identified, self._policy)
            self._count(identified.touch.channel, effect)
            found.extend((finding.rule, identified.published_at) for finding in effect.findings)
        else:
            command = self._codec.decode_command(record.value or b"")
            customer = command.customer_id
            before = changed.get(customer) or self._timeline(partition, customer)
            effect = customers.on_command(before, command, self._policy)
        if effect.timeline is not before:
            changed[customer] = effect.timeline
        return self._outputs(record, effect)

    def _outputs(self, record: Any, effect: Effect) -> list[Out]:
        if effect.refused is not None:
            return [self.dead(record, *effect.refused)]
        outputs = []
        for finding in effect.findings:
            topic = self._topic(CONFLICTS if finding.finding == "conflict" else HANDOFFS)
            outputs.append(Out(topic, finding.customer.encode(), self._codec.encode_finding(finding)))
            self._metrics.findings.labels(finding.rule, finding.state).inc()
        for command in effect.commands:
            value = self._codec.encode_command(command)
            outputs.append(Out(self._identified, command.customer_id.encode(), value, command.issued_at))
        for a, b in effect.links:
            outputs.append(Out(self._topic(IDENTITIES), f"{a}|{b}".encode(), b"link"))
        if effect.forward is not None:
            value = self._codec.encode_identified(effect.forward)
            outputs.append(Out(self._identified, effect.forward.customer_id.encode(), value, record.timestamp))
        return outputs

    def _count(self, channel: str, effect: Effect) -> None:
        if effect.outcome != "forwarded":  # it is counted where it ends up
            self._outcomes[channel, "rejected" if effect.outcome == "refused" else effect.outcome] += 1
        if effect.late:
            self._metrics.late_touches.labels(channel).inc()

    def _published(self, found: list[tuple[str, int]]) -> None:
        now = time.time() * 1000
        for rule, published_at in found:
            self._metrics.finding_latency.labels(rule).observe(max(0.0, now - published_at) / 1000)

    def _timeline(self, partition: int, customer: str) -> Timeline:
        """The customer's timeline; a damaged one ends the process, since going on would write over it."""
        value = self._store.read(partition, customer.encode())
        if value is None:
            return EMPTY
        try:
            return decode(value)
        except ValueError as error:
            doubt.leave(f"the timeline of {customer} in the changelog cannot be read", error)

    def _fit(self, customer: str, timeline: Timeline) -> bytes:
        value = encode(timeline)
        while len(value) > LARGEST_TIMELINE and len(timeline.entries) > 1:
            timeline = pipeline.shorten(timeline, max(1, len(timeline.entries) // 10), self._policy)
            value = encode(timeline)
            kept = len(timeline.entries)
            log.warning("timeline of %s is too large for one record: kept its newest %d touches", customer, kept)
        return value
