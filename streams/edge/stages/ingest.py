"""touches.<channel> -> touches.identified, identities, commands, dead letters."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from streams.core import erasure, identity_conflict, identity_split, pipeline, touch_check
from streams.core.identify import nodes
from streams.core.identity_facts import Fact, Resolved, cause_of, decode_cause, decode_request
from streams.core.moving import merge_command
from streams.core.outcome import Finding, RejectReason
from streams.core.policy import Policy
from streams.core.touch import Customer, Touch
from streams.edge import crash_points
from streams.edge.codec import Codec, DecodeError
from streams.edge.identity_index import IdentityIndex
from streams.edge.lane import Out, Write
from streams.edge.metrics import Metrics
from streams.edge.stages.base import Stage, origin
from streams.edge.topics import CONFLICTS, IDENTIFIED, TOUCH_TOPICS
from streams.settings import Settings


def dated(fact: Fact, who: Resolved) -> Fact:
    """A fact of this answer as the log is to have it: what a timeline is told holds from the moment of the answer."""
    return replace(fact, at=who.resolved_at, ids=()) if fact.kind == "told" else fact


def with_winner(who: Resolved) -> tuple[Fact, ...]:
    """The facts of an answer that no touch asked for. A timeline that is told of a merge sends its touches on under the id of this one."""
    told = any(fact.kind == "told" for fact in who.facts)
    return (Fact(who.customer_id, who.customer_id), *who.facts) if told else who.facts


class Refused(Exception):
    """Why a record is no touch we can take: a dead letter's reason and detail."""

    def __init__(self, reason: RejectReason, detail: str) -> None:
        super().__init__(detail)
        self.reason: RejectReason = reason


class Ingest(Stage):
    """See the module."""

    name = "ingest"

    def __init__(
        self, settings: Settings, policy: Policy, codec: Codec, metrics: Metrics, index: IdentityIndex
    ) -> None:
        super().__init__(settings, policy, codec, metrics)
        self._index = index
        self._roles = frozenset(policy.identity.role_addresses)
        self._told: list[Fact] = []
        self._channels = {settings.topic(topic): channel for channel, topic in TOUCH_TOPICS.items()}

    def use(self, policy: Policy) -> None:
        """Go by this policy from the next micro-batch on."""
        super().use(policy)
        self._roles = frozenset(policy.identity.role_addresses)
        self._index.use(policy.identity.shared_after, policy.erasure.for_good)

    async def run(self, records: Sequence[Any]) -> Write:
        """One micro-batch of raw records of one partition."""
        await self.learn(records)
        records = self.believed(records)
        with self._metrics.stage_seconds.labels("ingest").time():
            outputs, taken = self._receive(records)
        crash_points.reach("after_decode")

        def cause(n: int) -> bytes:
            record, touch, _ = taken[n]
            return cause_of(touch, record.timestamp, origin(record))

        resolved = await self._index.resolve([ids for _, _, ids in taken], cause)
        with self._metrics.stage_seconds.labels("identify").time():
            outputs, facts = self._forward(outputs, taken, resolved)
        self.count()
        return Write(outputs, done=lambda: self.logged(facts))

    async def mend(self) -> Write:
        """Facts that no touch came by to publish, and which timelines were told of merges. Empty as a rule."""
        told, self._told = self._told, []
        outputs = [self.fact(fact) for fact in told]
        facts: list[Fact] = []
        for who in await self._index.overdue():
            for fact in with_winner(who):
                facts.append(dated(fact, who))
                outputs += self.published(fact, who)
        return Write(outputs, done=lambda: self.logged(facts))

    async def logged(self, facts: list[Fact]) -> None:
        """Kafka has these. That a timeline was told is written to the log only now that the command is safe in Kafka: a rebuilt
        index takes the log's word for it."""
        await self._index.logged(facts)
        self._told += [fact for fact in facts if fact.kind == "told"]

    def _receive(self, records: Sequence[Any]) -> tuple[list[Out], list[tuple[Any, Touch, tuple[str, ...]]]]:
        """Dead letters of what is no touch; the rest as (record, touch, node ids)."""
        dead, taken = [], []
        for record in records:
            try:
                taken.append((record, *self._read(record)))
            except Refused as error:
                dead.append(self.dead(record, error.reason, str(error)))
                self._outcomes[self._channels.get(record.topic, "unknown"), "rejected"] += 1
        return dead, taken

    def _read(self, record: Any) -> tuple[Touch, tuple[str, ...]]:
        if record.value is None:
            raise Refused("undecodable", "the record has no value; touch topics are not compacted, so it says nothing")
        try:
            touch = self._codec.decode_touch(record.value)
            touch_check.check(touch)
        except DecodeError as error:
            raise Refused(error.reason, error.detail) from None
        except touch_check.TouchError as error:
            raise Refused(error.reason, str(error)) from None
        expected = self._channels.get(record.topic)
        if touch.channel != expected:
            right = self._topic(TOUCH_TOPICS[touch.channel])
            raise Refused(
                "wrong_channel",
                f"a touch of channel {touch.channel} stands in the topic of {expected}; publish it to {right}",
            )
        problem = pipeline.receive(touch, record.timestamp, self._policy)
        if problem is not None:
            raise Refused(*problem)
        return touch, self.ids_of(touch.customer)

    def ids_of(self, customer: Customer) -> tuple[str, ...]:
        """The ids of a customer's identifiers, strongest first. Raises Refused."""
        settings, same_mailbox = self._settings, self._policy.identity.same_mailbox
        ids = nodes(customer, settings.id_key, settings.default_region, self._roles, same_mailbox)
        if not ids:
            raise Refused(
                "no_identifier",
                "email, phone, linkedin_url, crm_id, click_id and cookie_id are missing, malformed or placeholders",
            )
        return ids

    def _forward(
        self, outputs: list[Out], taken: list[tuple[Any, Touch, tuple[str, ...]]], resolved: list[Resolved]
    ) -> tuple[list[Out], list[Fact]]:
        """The touches under their customers' ids, and the facts that came to light."""
        facts: dict[Fact, Fact] = {}
        for (record, touch, _), who in zip(taken, resolved, strict=True):
            if who.refused:
                outputs += self._erased(record, touch, who)
                continue
            identified = pipeline.identify(
                touch, who.customer_id, record.timestamp, origin(record), who.identifier, who.resolved_at
            )
            value = self._codec.encode_identified(identified, record.value)
            outputs.append(Out(self._topic(IDENTIFIED), who.customer_id.encode(), value, record.timestamp))
            self._outcomes[touch.channel, "identified"] += 1
            outputs += self.news(who, facts)
        return outputs, list(facts.values())

    def news(self, who: Resolved, facts: dict[Fact, Fact]) -> list[Out]:
        """What an answer of the index brought to light; `facts` are what others brought before, and get it too."""
        outputs: list[Out] = []
        for fact in who.facts:
            if fact not in facts:
                facts[fact] = dated(fact, who)
                outputs += self.published(fact, who)
        return outputs

    def _erased(self, record: Any, touch: Touch, who: Resolved) -> list[Out]:
        """A touch of somebody who was erased: counted, and told of without its payload if policy has it so."""
        drop = erasure.dropped(who.erased_at, record.timestamp, self._policy.erasure)
        self._outcomes[touch.channel, "erased" if drop else "rejected"] += 1
        return [] if drop else [self.dead(record, "erased", erasure.DETAIL, whole=False)]

    def published(self, fact: Fact, who: Resolved) -> list[Out]:
        """A fact for the log, for the customer's timeline or for people."""
        if fact.kind == "told":
            cause, request = decode_cause(fact), decode_request(fact)
            at, said, reason = time.time_ns() // 1_000_000, "identity log", None
            if cause is not None:
                at, said = cause.published_at, cause.touch_id
            elif request is not None:
                at, said, reason = request.requested_at, request.command_id, request.reason or None
            command = merge_command(fact.a, who.customer_id, at, said, who.resolved_at, fact.ids, reason)
            return [Out(self._topic(IDENTIFIED), fact.a.encode(), self._codec.encode_command(command), at)]
        if fact.kind == "gone":
            return self.taken_back(fact)
        outputs = [self.fact(fact)]
        if fact.kind == "cut":
            outputs += self.told_of_cut(fact)
        if fact.kind in ("blocked", "acted", "ended"):
            finding = identity_conflict.finding(fact, self._policy.identity.conflict_severity)
            if finding is not None:
                outputs.append(self.told_people(finding))
        return outputs

    def told_of_cut(self, fact: Fact) -> list[Out]:
        """The commands that follow from a cut."""
        return [
            Out(
                self._topic(IDENTIFIED),
                command.customer_id.encode(),
                self._codec.encode_command(command),
                command.issued_at,
            )
            for command in identity_split.commands(fact)
        ]

    def told_people(self, finding: Finding) -> Out:
        """A finding of the identity index."""
        self._metrics.findings.labels(finding.rule, finding.state).inc()
        return Out(self._topic(CONFLICTS), finding.customer.encode(), self._codec.encode_finding(finding))
