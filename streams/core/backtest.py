"""The same core over a finite set of touches, without Kafka: what the findings must be in the end.

The result does not depend on the order of the touches nor on repetitions: identities are resolved over all touches first, then
each customer's touches are taken in order of event time and id. A streamed run ends with the same findings once all touches
have arrived, provided none is later than the timeline's retention.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from streams.core import identity_conflict, pipeline
from streams.core.customer import on_command, on_touch
from streams.core.identify import nodes
from streams.core.identity_facts import cause_of
from streams.core.identity_graph import Graph
from streams.core.leads.asked import tick_command
from streams.core.leads.events import LeadEvent
from streams.core.leads.events import standing as standing_leads
from streams.core.outcome import Finding
from streams.core.policy import Policy
from streams.core.timeline import EMPTY, Timeline, due
from streams.core.touch import Touch


class Refused(Struct, frozen=True, gc=False):
    """A touch that has no place in the result, and why."""

    touch: Touch
    reason: str
    detail: str


class Result(Struct, frozen=True):
    """Findings that hold, sorted by event time, then id; lead events that hold, by time; refused touches; the customers' timelines in
    the end."""

    findings: list[Finding]
    leads: list[LeadEvent]
    refused: list[Refused]
    timelines: dict[str, Timeline]


def run(touches: Iterable[Touch], policy: Policy, *, id_key: str, region: str, now: int) -> Result:
    """All findings of these touches. `now` (UTC ms) bounds how far in the future a touch may lie."""
    refused: list[Refused] = []
    graph = Graph(limit=policy.identity.shared_after)
    roles = frozenset(policy.identity.role_addresses)
    placed: list[tuple[Touch, tuple[str, ...]]] = []
    for touch in touches:
        ids = nodes(touch.customer, id_key, region, roles, policy.identity.same_mailbox)
        problem = pipeline.receive(touch, now, policy)
        if problem is not None:
            refused.append(Refused(touch, *problem))
        elif not ids:
            refused.append(Refused(touch, "no_identifier", "the customer has no usable identifier"))
        else:
            placed.append((touch, ids))
    # The encoded touch breaks the tie between two contents under one id, so that the same one wins in every order.
    placed.sort(key=lambda pair: (pair[0].occurred_at, pair[0].touch_id, msgspec.json.encode(pair[0])))
    for touch, ids in placed:
        graph.link(ids, cause_of(touch, touch.occurred_at))
    timelines: dict[str, Timeline] = {}
    findings: dict[str, Finding] = {}
    leads: list[LeadEvent] = []
    told = [identity_conflict.finding(fact, policy.identity.conflict_severity) for fact in graph.contradictions()]
    fold(findings, [finding for finding in told if finding is not None])
    for touch, ids in placed:
        customer = graph.customer(ids)
        identified = pipeline.identify(touch, customer, touch.occurred_at)
        before, passed, changed = _timers(timelines.get(customer, EMPTY), customer, touch.occurred_at - 1, policy)
        effect = on_touch(before, identified, policy)
        timelines[customer] = effect.timeline
        leads += (*passed, *effect.leads)
        fold(findings, (*changed, *effect.findings))
        if effect.refused is not None:
            refused.append(Refused(touch, *effect.refused))
    for customer, timeline in timelines.items():
        timelines[customer], passed, changed = _timers(timeline, customer, now, policy)
        leads += passed
        fold(findings, changed)
    return Result(standing(findings), standing_leads(leads), refused, timelines)


def _timers(
    timeline: Timeline, customer: str, until: int, policy: Policy
) -> tuple[Timeline, list[LeadEvent], list[Finding]]:
    """What falls due up to a moment, each at its time, as a worker that sleeps never would say it."""
    events: list[LeadEvent] = []
    findings: list[Finding] = []
    while (at := due(timeline)) is not None and at <= until:
        effect = on_command(timeline, tick_command(customer, at, at), policy)
        timeline = effect.timeline
        events += effect.leads
        findings += effect.findings
    return timeline, events, findings


def fold(known: dict[str, Finding], findings: Iterable[Finding]) -> None:
    """What every consumer does with an alert topic: keep the highest revision of each id."""
    for finding in findings:
        old = known.get(finding.finding_id)
        if old is None or finding.revision >= old.revision:
            known[finding.finding_id] = finding


def standing(known: dict[str, Finding]) -> list[Finding]:
    """The findings that hold, sorted by event time, then id."""
    held = [finding for finding in known.values() if finding.state != "retracted" and not finding.withdrawn]
    return sorted(held, key=lambda finding: (finding.event_time, finding.finding_id))
