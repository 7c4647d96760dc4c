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
from streams.core.customer import on_touch
from streams.core.identify import nodes
from streams.core.identity_facts import cause_of
from streams.core.identity_graph import Graph
from streams.core.outcome import Finding
from streams.core.policy import Policy
from streams.core.timeline import EMPTY, Timeline
from streams.core.touch import Touch


class Refused(Struct, frozen=True, gc=False):
    """A touch that has no place in the result, and why."""

    touch: Touch
    reason: str
    detail: str


class Result(Struct, frozen=True):
    """Findings that hold, sorted by event time, then id; refused touches; the customers' final timelines."""

    findings: list[Finding]
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
    told = [identity_conflict.finding(fact, policy.identity.conflict_severity) for fact in graph.blocked]
    fold(findings, [finding for finding in told if finding is not None])
    for touch, ids in placed:
        customer = graph.customer(ids)
        identified = pipeline.identify(touch, customer, touch.occurred_at)
        effect = on_touch(timelines.get(customer, EMPTY), identified, policy)
        timelines[customer] = effect.timeline
        fold(findings, effect.findings)
        if effect.refused is not None:
            refused.append(Refused(touch, *effect.refused))
    return Result(standing(findings), refused, timelines)


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
