"""The two stages of a worker, a micro-batch at a time: raw records in, one `Write` out. Called by the agents.

`Ingest` decodes, checks and identifies; `Timelines` keeps the timelines and finds what is to be found. Neither raises on input: what
cannot go on becomes a dead letter with its address.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Any

from streams.core import pipeline, touch_check
from streams.core.commands import Command
from streams.core.identify import Link, nodes
from streams.core.ids import command_id
from streams.core.outcome import Finding, Rejected
from streams.core.policy import Policy
from streams.core.timeline import EMPTY, Entry, Timeline, decode, decode_entry, encode, encode_entry
from streams.core.touch import IdentifiedTouch, Origin, Touch
from streams.edge import doubt
from streams.edge.codec import Codec, DecodeError
from streams.edge.identity_index import IdentityIndex
from streams.edge.lane import Out, Write
from streams.edge.metrics import Metrics
from streams.edge.registry import RegistryUnavailable
from streams.edge.store import Store
from streams.edge.topics import COMMANDS, CONFLICTS, DEAD_LETTER, HANDOFFS, IDENTIFIED, IDENTITIES, TOUCH_TOPICS
from streams.settings import Settings

log = logging.getLogger("touchstream.stages")

LARGEST_TIMELINE = 900_000
"""Bytes of an encoded timeline; Kafka's default record limit is 1,048,588. Longer ones lose their oldest touches."""

ENTRIES_PER_COMMAND = 200
"""Timeline entries moved in one command: some 60 kB, far below Kafka's record limit."""


def origin(record: Any) -> Origin:
    """Address of a consumed record."""
    return Origin(record.topic, record.partition, record.offset)


class Stage:
    """What both stages need."""

    def __init__(self, settings: Settings, policy: Policy, codec: Codec, metrics: Metrics) -> None:
        self._settings, self._policy, self._codec, self._metrics = settings, policy, codec, metrics
        self._topic = settings.topic

    def dead(self, rejected: Rejected, record: Any) -> Out:
        """The dead letter of a consumed record, counted."""
        place = rejected.origin
        self._metrics.dead_letters.labels(place.topic if place else "", rejected.reason).inc()
        log.warning("dead letter: %s at %s[%s]@%s", rejected.reason, record.topic, record.partition, record.offset)
        return Out(self._topic(DEAD_LETTER), record.key, self._codec.encode_dead_letter(rejected, record.timestamp))

    async def learn(self, records: Sequence[Any]) -> None:
        """Fetch the schemas that these records name and we do not know. Waits while the registry is away: good data is not
        dead-lettered for that."""
        unknown = self._codec.unknown_ids(record.value for record in records if record.value)
        while unknown:
            try:
                await self._codec.learn(unknown)
                return
            except RegistryUnavailable as error:
                log.warning("waiting for the schema registry: %s", error)
                await asyncio.sleep(1.0)


class Ingest(Stage):
    """touches.<channel> -> touches.identified, identities, commands, dead letters."""

    def __init__(
        self, settings: Settings, policy: Policy, codec: Codec, metrics: Metrics, index: IdentityIndex
    ) -> None:
        super().__init__(settings, policy, codec, metrics)
        self._index = index
        self._channels = {settings.topic(topic): channel for channel, topic in TOUCH_TOPICS.items()}

    async def run(self, records: Sequence[Any]) -> Write:
        """One micro-batch of raw records of one partition."""
        await self.learn(records)
        started = time.perf_counter()
        outputs: list[Out] = []
        taken: list[tuple[Any, Touch, tuple[str, ...]]] = []
        for record in records:
            received = self._receive(record)
            if isinstance(received, Rejected):
                outputs.append(self.dead(received, record))
                self._metrics.touches.labels(self._channels.get(record.topic, "unknown"), "rejected").inc()
            else:
                taken.append((record, *received))
        self._metrics.stage_seconds.labels("ingest").observe(time.perf_counter() - started)
        resolved = await self._index.resolve([ids for _, _, ids in taken])
        started = time.perf_counter()
        links: dict[Link, None] = {}
        for (record, touch, _), who in zip(taken, resolved, strict=True):
            identified = pipeline.identify(touch, who.customer_id, record.timestamp, origin(record))
            value = self._codec.encode_identified(identified)
            outputs.append(Out(self._topic(IDENTIFIED), who.customer_id.encode(), value, record.timestamp))
            for link in who.links:
                if link not in links:
                    links[link] = None
                    outputs += self._link(link, who.customer_id, touch, record.timestamp)
            self._metrics.touches.labels(touch.channel, "identified").inc()
        self._metrics.stage_seconds.labels("identify").observe(time.perf_counter() - started)
        known = list(links)
        return Write(outputs, done=lambda: self._index.logged(known))

    def _receive(self, record: Any) -> tuple[Touch, tuple[str, ...]] | Rejected:
        payload, place = record.value or b"", origin(record)
        if record.value is None:
            return Rejected(
                "undecodable",
                "the record has no value; touch topics are not compacted, so it says nothing",
                "ingest",
                b"",
                place,
                record.key,
            )
        try:
            touch = self._codec.decode_touch(payload)
            touch_check.check(touch)
        except DecodeError as error:
            return Rejected(error.reason, error.detail, "ingest", payload, place, record.key)
        except touch_check.TouchError as error:
            return Rejected(error.reason, str(error), "ingest", payload, place, record.key)
        expected = self._channels.get(record.topic)
        if touch.channel != expected:
            right = self._topic(TOUCH_TOPICS[touch.channel])
            detail = f"a touch of channel {touch.channel} stands in the topic of {expected}; publish it to {right}"
            return Rejected("wrong_channel", detail, "ingest", payload, place, record.key)
        problem = pipeline.receive(touch, record.timestamp, self._policy)
        if problem is not None:
            return Rejected(problem[0], problem[1], "ingest", payload, place, record.key)
        ids = nodes(touch.customer, self._settings.id_key, self._settings.default_region)
        if not ids:
            detail = "no usable identifier: email, phone, linkedin_url, crm_id and click_id are missing, malformed or placeholders"
            return Rejected("no_identifier", detail, "identify", payload, place, record.key)
        return touch, ids

    def _link(self, link: Link, customer: str, touch: Touch, timestamp: int) -> list[Out]:
        outputs = [Out(self._topic(IDENTITIES), f"{link.a}|{link.b}".encode(), b"link")]
        if link.loser:
            command = Command(
                command_id("customer_merged", link.loser, customer),
                link.loser,
                "customer_merged",
                timestamp,
                touch.touch_id,
                into=customer,
            )
            outputs.append(
                Out(self._topic(COMMANDS), link.loser.encode(), self._codec.encode_command(command), timestamp)
            )
        return outputs


class Timelines(Stage):
    """touches.identified, commands -> timelines, conflicts, handoffs; and on to another id where a customer was merged."""

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
        started = time.perf_counter()
        work = _Work(self._store, partition)
        latencies: list[tuple[str, int]] = []
        for record in records:
            try:
                if record.topic == self._identified:
                    self._touch(work, record, self._codec.decode_identified(record.value or b""), latencies)
                else:
                    self._command(work, record, self._codec.decode_command(record.value or b""))
            except DecodeError as error:
                work.outputs.append(
                    self.dead(
                        Rejected(
                            error.reason, error.detail, "timeline", record.value or b"", origin(record), record.key
                        ),
                        record,
                    )
                )
        changelog = {
            customer.encode(): self._fit(work, customer, timeline) for customer, timeline in work.changed.items()
        }
        self._store.write(partition, changelog)
        self._metrics.stage_seconds.labels("timeline").observe(time.perf_counter() - started)
        return Write(work.outputs, partition, changelog, published=lambda: self._published(latencies))

    def _touch(self, work: _Work, record: Any, identified: IdentifiedTouch, latencies: list[tuple[str, int]]) -> None:
        customer, channel = identified.customer_id, identified.touch.channel
        timeline = work.timeline(customer)
        if timeline.merged_into is not None:
            moved = IdentifiedTouch(
                timeline.merged_into, identified.touch, identified.claims, identified.published_at, identified.origin
            )
            work.outputs.append(
                Out(
                    self._identified,
                    timeline.merged_into.encode(),
                    self._codec.encode_identified(moved),
                    record.timestamp,
                )
            )
            return
        step = pipeline.advance(timeline, identified, self._policy)
        if step.outcome in ("too_old", "id_conflict"):
            rejected = pipeline.rejected(identified, step.outcome, record.value, origin(record))
            work.outputs.append(self.dead(rejected, record))
            self._metrics.touches.labels(channel, "rejected").inc()
            return
        self._metrics.touches.labels(channel, step.outcome).inc()
        if step.late:
            self._metrics.late_touches.labels(channel).inc()
        work.keep(customer, step.timeline, timeline)
        self._publish(work, step.findings)
        latencies.extend((finding.rule, identified.published_at) for finding in step.findings)

    def _command(self, work: _Work, record: Any, command: Command) -> None:
        if command.kind == "customer_merged" and command.into and command.into < command.customer_id:
            self._merge(work, command, command.into)
        elif command.kind == "timeline_moved":
            self._adopt(work, record, command)
        else:
            detail = f"command {command.kind!r} is unknown to this release, or its ids are out of order; a newer worker may take it on replay"
            work.outputs.append(
                self.dead(Rejected("unroutable", detail, "timeline", record.value, origin(record), record.key), record)
            )

    def _merge(self, work: _Work, command: Command, into: str) -> None:
        """The ids only ever get smaller, so merges in any order end at the same id and no circle can form."""
        customer = command.customer_id
        timeline = work.timeline(customer)
        known = timeline.merged_into
        if known == into:
            return
        if known is not None:  # two ids claim this customer: they are one person
            first, second = sorted((known, into))
            merged = Command(
                command_id("customer_merged", second, first),
                second,
                "customer_merged",
                command.issued_at,
                command.cause,
                into=first,
            )
            work.outputs.append(
                Out(self._topic(COMMANDS), second.encode(), self._codec.encode_command(merged), command.issued_at)
            )
            work.outputs.append(Out(self._topic(IDENTITIES), f"{first}|{second}".encode(), b"link"))
            return
        emptied, findings, entries = pipeline.leave(timeline, into, self._policy, customer)
        work.keep(customer, emptied, timeline)
        self._publish(work, findings)
        self._move(work, customer, into, entries, command)

    def _move(self, work: _Work, customer: str, into: str, entries: tuple[Entry, ...], command: Command) -> None:
        for start in range(0, len(entries), ENTRIES_PER_COMMAND):
            part = entries[start : start + ENTRIES_PER_COMMAND]
            id_ = command_id("timeline_moved", customer, into, part[0].id, part[-1].id)
            encoded = tuple(encode_entry(entry) for entry in part)
            moved = Command(
                id_,
                into,
                "timeline_moved",
                command.issued_at,
                command.cause,
                source_customer_id=customer,
                entries=encoded,
            )
            work.outputs.append(
                Out(self._topic(COMMANDS), into.encode(), self._codec.encode_command(moved), command.issued_at)
            )

    def _adopt(self, work: _Work, record: Any, command: Command) -> None:
        customer = command.customer_id
        timeline = before = work.timeline(customer)
        try:
            entries = [decode_entry(data) for data in command.entries]
        except ValueError as error:
            work.outputs.append(
                self.dead(
                    Rejected("undecodable", str(error), "timeline", record.value, origin(record), record.key), record
                )
            )
            return
        if timeline.merged_into is not None:
            self._move(work, customer, timeline.merged_into, tuple(entries), command)
            return
        for entry in entries:
            step = pipeline.add(timeline, entry, self._policy, customer)
            timeline = step.timeline
            self._publish(work, step.findings)
        work.keep(customer, timeline, before)

    def _publish(self, work: _Work, findings: Sequence[Finding]) -> None:
        for finding in findings:
            topic = self._topic(CONFLICTS if finding.finding == "conflict" else HANDOFFS)
            work.outputs.append(Out(topic, finding.customer.encode(), self._codec.encode_finding(finding)))
            self._metrics.findings.labels(finding.rule, finding.state).inc()

    def _published(self, latencies: list[tuple[str, int]]) -> None:
        now = time.time() * 1000
        for rule, published_at in latencies:
            self._metrics.finding_latency.labels(rule).observe(max(0.0, now - published_at) / 1000)

    def _fit(self, work: _Work, customer: str, timeline: Timeline) -> bytes:
        value = encode(timeline)
        while len(value) > LARGEST_TIMELINE and len(timeline.entries) > 1:
            timeline = pipeline.shorten(timeline, max(1, len(timeline.entries) // 10), self._policy)
            value = encode(timeline)
            log.warning(
                "timeline of %s is too large for one record: kept its newest %d touches",
                customer,
                len(timeline.entries),
            )
        return value


class _Work:
    """A micro-batch under way: timelines decoded once, changes collected."""

    def __init__(self, store: Store, partition: int) -> None:
        self.outputs: list[Out] = []
        self.changed: dict[str, Timeline] = {}
        self._store, self._partition = store, partition

    def timeline(self, customer: str) -> Timeline:
        """The customer's timeline as of now; a damaged one ends the process, since going on would write over it."""
        known = self.changed.get(customer)
        if known is not None:
            return known
        value = self._store.read(self._partition, customer.encode())
        if value is None:
            return EMPTY
        try:
            return decode(value)
        except ValueError as error:
            doubt.leave(f"the timeline of {customer} in the changelog cannot be read", error)

    def keep(self, customer: str, timeline: Timeline, before: Timeline) -> None:
        """Take over a timeline if it changed."""
        if timeline is not before:
            self.changed[customer] = timeline
