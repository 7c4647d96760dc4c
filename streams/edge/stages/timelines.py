"""touches.identified -> timelines, conflicts, handoffs, leads; and on to another id where a customer was merged or split.

What workers tell each other of merges stands in touches.identified, between the touches: read again after a crash, one topic gives
the same order, so the same findings with the same revisions. Two topics would interleave in another way, and what was
published before the crash could contradict what is published after it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from functools import partial
from typing import Any, NoReturn

from streams.core import customer as customers
from streams.core import keeping, opt_outs
from streams.core import published as publishing
from streams.core.commands import Command
from streams.core.customer import Effect
from streams.core.entry import DamagedError
from streams.core.identify import is_node
from streams.core.leads import loads
from streams.core.leads.loads import Loads
from streams.core.policy import Policy, PolicyError
from streams.core.published import Published
from streams.core.segments import LARGEST
from streams.core.timeline import EMPTY, Timeline, decode, lead_of, records, segment_key, segment_keys, touch_count
from streams.core.touch import IdentifiedTouch
from streams.core.touch_check import EARLIEST_MS, LATEST_MS
from streams.edge import companies, doubt
from streams.edge.codec import Codec, DecodeError
from streams.edge.lane import Out, Write
from streams.edge.metrics import Metrics
from streams.edge.stages import erasures, lead_counts
from streams.edge.stages.base import Stage
from streams.edge.store import Store
from streams.edge.topics import CONFLICTS, HANDOFFS, IDENTIFIED, LEADS
from streams.edge.view import View
from streams.settings import Settings

log = logging.getLogger("touchstream.stages")

POLICY = publishing.KEY.encode()
"""Key of the policy in force in a partition's changelog."""

LOADS = loads.KEY.encode()
"""Key of how many leads each rep has, as the partition knows it; there only while reps have a capacity."""


class Timelines(Stage):
    """See the module."""

    name = "timeline"

    def __init__(
        self, settings: Settings, policy: Policy, codec: Codec, metrics: Metrics, store: Store, view: View | None = None
    ) -> None:
        super().__init__(settings, policy, codec, metrics)
        self._store = store
        self._view = view
        self._identified = settings.topic(IDENTIFIED)
        self._members: companies.Members = {}
        self._moved: set[str] = set()
        self._unpublished = policy
        self._read: dict[bytes, tuple[Published, Policy]] = {}
        self._switched: bytes | None = None
        self._loads: Loads | None = None
        self._capped = False

    async def run(self, partition: int, batch: Sequence[Any]) -> Write:
        """One micro-batch of raw records of one partition."""
        await self.learn(batch)
        return self.decide(partition, batch)

    def decide(self, partition: int, batch: Sequence[Any]) -> Write:
        """The micro-batch's effect: the store has the new timelines when this returns, the write makes them last."""
        with self._metrics.stage_seconds.labels("timeline").time():
            outputs: list[Out] = []
            found: list[tuple[str, int]] = []
            opened: dict[str, tuple[Timeline, Timeline]] = {}
            erased: dict[str, list[Out]] = {}
            was = self._begin(partition)
            for record in batch:
                try:
                    outputs += self._one(partition, record, opened, found, erased)
                except DecodeError as error:
                    outputs.append(self.dead(record, error.reason, error.detail))
            changelog: dict[bytes, bytes | None] = {}
            for customer, (before, after) in opened.items():
                if after is not before:
                    changelog |= self._records(customer, before, after)
                    self._belong(customer, before, after)
            for customer in erased:  # also segments that no timeline means any more
                kept = segment_keys(customer.encode(), opened[customer][1])
                held = self._store.segments(partition, customer.encode())
                changelog |= dict.fromkeys(key for key in held if key not in kept and changelog.get(key) is None)
            # The last of them: cut off before it, what stands before the marker is read again by the old policy.
            if self._switched is not None:
                changelog[POLICY] = self._switched
            if self._loads is not was:
                changelog[LOADS] = None if self._loads is None else loads.encode(self._loads)
            self._store.write(partition, changelog)
        self.count()
        write = Write(outputs, partition, changelog, published=lambda: self._published(found))
        write.after = [out for parts in erased.values() for out in parts]
        if self._view is not None:
            members, self._members = self._members, {}
            write.done = partial(self._view.take, partition, changelog, members)
        return write

    def _one(
        self,
        partition: int,
        record: Any,
        opened: dict[str, tuple[Timeline, Timeline]],
        found: list[tuple[str, int]],
        erased: dict[str, list[Out]],
    ) -> list[Out]:
        """One record: its customer's timeline, as it was before the micro-batch and as it is now, in `opened`; what is to be
        published is returned; whose timelines were erased, with what is to be published once they are gone, is in `erased`."""
        if record.topic == self._identified and not self._codec.is_command(record.value or b""):
            identified = self._codec.decode_identified(record.value or b"")
            _check_customer(identified.customer_id)
            if not EARLIEST_MS <= identified.touch.occurred_at <= LATEST_MS:  # no worker of ours wrote this
                raise DecodeError(
                    "not_a_touch", "occurred_at lies outside the years 2000 to 9999; only workers write here"
                )
            effect = self._decide(partition, identified, opened, record.timestamp)
            self._count(identified.touch.channel, effect)
            if self._by_company and effect.outcome in ("applied", "corrected"):
                self._members |= companies.of_touch(identified, self._settings.id_key)
            found.extend((finding.rule, identified.published_at) for finding in effect.findings)
            return self._outputs(record, effect)
        command = self._codec.decode_command(record.value or b"")
        if command.kind == publishing.CHANGED:
            self._switch(partition, command)
            return []
        if command.kind == loads.TOLD:
            self._hear(partition, command, opened)
            return []
        _check_customer(command.customer_id)
        if command.kind == erasures.ERASE:
            return self._erase(partition, record, command, opened, erased)
        effect = self._decide(partition, command, opened, record.timestamp)
        moved = command.kind == "timeline_moved"
        if moved:
            self._moved.add(command.customer_id)
        return self._outputs(record, effect, moved=moved)

    def _begin(self, partition: int) -> Loads | None:
        self._policy, self._switched = self.in_force(partition)[1], None
        self._moved.clear()
        self._capped = loads.capped(self._policy)
        value = self._store.read(partition, LOADS)
        self._loads = None if value is None else loads.decode(value)
        return self._loads

    def in_force(self, partition: int) -> tuple[Published | None, Policy]:
        """What the partition's timelines are decided by: what its last marker said, else the worker's own policy file."""
        value = self._store.read(partition, POLICY)
        return (None, self._unpublished) if value is None else self._understood(value)

    def _switch(self, partition: int, command: Command) -> None:
        """From here on the partition goes by another policy. A marker that comes again after a crash, behind a later one, says nothing."""
        try:
            (value,) = command.entries
            told = publishing.decode(value)
        except ValueError as error:
            raise DecodeError("undecodable", f"a marker of a policy holds no publication: {error}") from None
        now = self._switched or self._store.read(partition, POLICY)
        if not publishing.holds_over(told, None if now is None else self._understood(now)[0]):
            return
        self._policy, self._switched = self._understood(value)[1], value
        self._capped = loads.capped(self._policy)
        if self._view is not None and companies.needed(self._policy):
            self._view.keep_companies()
        log.info("partition %d goes by policy %s@%s from here on", partition, told.version, told.fingerprint)

    def _understood(self, value: bytes) -> tuple[Published, Policy]:
        known = self._read.get(value)
        if known is None:
            told = publishing.decode(value)
            try:
                known = self._read[value] = (told, publishing.policy_of(told))
            except PolicyError as error:
                doubt.leave(
                    f"the policy {told.fingerprint} that is in force needs another release of touchstream", error
                )
        return known

    @property
    def _by_company(self) -> bool:
        return self._view is not None and self._view.by_company

    def _belong(self, customer: str, before: Timeline, after: Timeline) -> None:
        """Which companies the customer belongs to by what a micro-batch changed; of single touches it is known already."""
        if not self._by_company:
            return
        if customer in self._moved:
            self._members |= companies.of_entries(customer, after, self._settings.id_key)
        if after.plans is not before.plans:
            self._members |= companies.of_plans(customer, before.plans, after.plans, self._settings.id_key)

    def _erase(
        self,
        partition: int,
        record: Any,
        command: Command,
        opened: dict[str, tuple[Timeline, Timeline]],
        erased: dict[str, list[Out]],
    ) -> list[Out]:
        """The timeline goes, its findings are withdrawn, and the receipt counts both; `erased` gets what says that they are gone."""
        customer = command.customer_id
        known = opened.get(customer)
        effect = self._decide(partition, command, opened, record.timestamp)
        before, after = (known or opened[customer])[known is not None], effect.timeline
        if self._by_company:
            secret = self._settings.id_key
            self._members |= dict.fromkeys(companies.of_entries(customer, before, secret))
            self._members |= companies.of_entries(customer, after, secret)
        kept = segment_keys(customer.encode(), after)
        segments = sum(key not in kept for key in self._store.segments(partition, customer.encode()))
        gone = touch_count(before) - touch_count(after)
        count = len(effect.findings)
        decided, done = erasures.timeline_part(self._settings, self._codec, command, gone, count, segments)
        erased.setdefault(customer, []).append(done)
        return [*self._outputs(record, effect), decided]

    def _open_leads(self, partition: int, opened: dict[str, tuple[Timeline, Timeline]]) -> Loads | None:
        """How many leads each rep has at this record, if the policy asks. Counted once: from then on it is kept."""
        if not self._capped:
            self._loads = None
        elif self._loads is None:
            held = self._store.partitions[partition].values
            leads = [lead_of(value) for key, value in held.items() if key.decode() not in opened]
            self._loads = loads.counted([*leads, *(after.lead for _, after in opened.values())])
        return self._loads

    def _hear(self, partition: int, command: Command, opened: dict[str, tuple[Timeline, Timeline]]) -> None:
        """What reps have in another partition."""
        known = self._open_leads(partition, opened)
        if known is not None:
            try:
                self._loads = known.heard(loads.told_by(command))
            except ValueError as error:
                raise DecodeError("undecodable", f"a command {command.kind} tells no loads: {error}") from None

    def _decide(
        self,
        partition: int,
        what: IdentifiedTouch | Command,
        opened: dict[str, tuple[Timeline, Timeline]],
        timestamp: int,
    ) -> Effect:
        """What the core says."""
        customer = what.customer_id
        try:
            before, now = opened.get(customer) or (self._timeline(partition, customer),) * 2
            known = self._open_leads(partition, opened)
            load = None if known is None else known.total
            if isinstance(what, Command):
                effect = customers.on_command(now, what, self._policy, load)
            else:
                effect = customers.on_touch(now, what, self._policy, load)
        except DamagedError as error:
            self._unreadable(customer, error)
        opened[customer] = before, effect.timeline
        if known is not None:
            self._loads = known.moved(now.lead, effect.timeline.lead, timestamp)
        return effect

    def _outputs(self, record: Any, effect: Effect, moved: bool = False) -> list[Out]:
        # What is refused may still change what is known, and have a part that belongs elsewhere.
        outputs = [] if effect.refused is None else [self.dead(record, *effect.refused)]
        for finding in effect.findings:
            topic = self._topic(CONFLICTS if finding.finding == "conflict" else HANDOFFS)
            outputs.append(Out(topic, finding.customer.encode(), self._codec.encode_finding(finding)))
            self._metrics.findings.labels(finding.rule, finding.state).inc()
            if finding.state == "detected" and (told := opt_outs.parts(finding)) is not None:
                opt_out, contact = told
                after = (contact.occurred_at - opt_out.occurred_at) / 1000
                self._metrics.opt_out_latency.labels(contact.department, contact.channel).observe(after)
        for event in effect.leads:
            outputs.append(Out(self._topic(LEADS), event.customer.encode(), self._codec.encode_lead_event(event)))
            lead_counts.count(self._metrics, event, moved)
        for command in effect.commands:
            value = self._codec.encode_command(command)
            outputs.append(Out(self._identified, command.customer_id.encode(), value, command.issued_at))
        if effect.forward is not None:
            value = self._codec.encode_identified(effect.forward)
            outputs.append(Out(self._identified, effect.forward.customer_id.encode(), value, record.timestamp))
        return outputs

    def _count(self, channel: str, effect: Effect) -> None:
        if effect.outcome != "forwarded":  # it is counted where it ends up
            self._outcomes[channel, "rejected" if effect.outcome == "refused" else effect.outcome] += 1
        if effect.late:
            self._metrics.late_touches.labels(channel).inc()
        if effect.too_late:
            self._metrics.too_late_touches.labels(channel).inc()

    def _published(self, found: list[tuple[str, int]]) -> None:
        now = time.time() * 1000
        for rule, published_at in found:
            self._metrics.finding_latency.labels(rule).observe(max(0.0, now - published_at) / 1000)

    def _timeline(self, partition: int, customer: str) -> Timeline:
        key = customer.encode()
        value = self._store.read(partition, key)
        if value is None:
            return EMPTY
        return decode(value, lambda digest: self._store.read(partition, segment_key(key, digest)))

    def _records(self, customer: str, before: Timeline, after: Timeline) -> dict[bytes, bytes | None]:
        key = customer.encode()
        made = records(key, before, after)
        if len(made[key] or b"") <= LARGEST:
            return made
        try:
            fitted = keeping.fitted(after, self._policy)
        except DamagedError as error:
            self._unreadable(customer, error)
        if len(fitted.entries) < len(after.entries):
            kept = len(fitted.entries)
            log.warning("timeline of %s is too large for one record: kept its newest %d touches", customer, kept)
        return records(key, before, fitted)

    def _unreadable(self, customer: str, error: DamagedError) -> NoReturn:
        """Going on would write over what cannot be read."""
        doubt.leave(f"the timeline of {customer} in the changelog cannot be read", error)


def _check_customer(customer: str) -> None:
    """Raises DecodeError: under this key the changelog holds no timeline, but perhaps the policy or a segment."""
    if not is_node(customer):
        raise DecodeError("not_a_touch", "customer_id is none of our pseudonymous ids; only workers write here")
