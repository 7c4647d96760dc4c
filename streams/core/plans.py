"""Planned touches of a customer: contacts to come, as tools announce them (`Timeline.plans`, by time), and what follows from them.

A plan is an entry with its time to come, under the id that its touch will have. Of several records with one id the one with the highest
(version, published_at) holds, of equal ones the later; of one that was withdrawn a tombstone stays until its time is past, so that an older
record does not bring it back. A plan ends when its touch is there. And it ends when it is past, by the customer's own clock, which the
newest touch and the newest plan move on, and what a worker's timer says between them, in the same line of records: so whoever reads
these again ends it at the same one.

The timeline remembers what was told of each plan, when something about them changes by time alone, and by which policy that was said
(`Judged`). So it is told what differs from what was told, also when another policy decided then: what counts is the one that is in force
when the plan is to be carried out, and a timer has the plans judged by it soon after it came.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from hashlib import blake2b

import msgspec
from msgspec.structs import replace

from streams.core import detect, touch_check
from streams.core.commands import LEAD_KINDS, Command
from streams.core.detect import planned_conflict
from streams.core.detect.planned_conflict import clock
from streams.core.entry import DELETED, Entry, encode_entry, key, tombstone
from streams.core.govern import compiled
from streams.core.leads.asked import TICK
from streams.core.outcome import Cause, Finding
from streams.core.policy import Policy
from streams.core.timeline import Judged, Timeline, find
from streams.core.touch import Touch

PLANNED = "touch_planned"
"""The kind of the command that brings plans."""

MOST = 200
"""Plans to come that a customer may have; with more, some tool is mad."""

LARGEST = 200_000
"""Bytes of all plans of a customer, withdrawn ones too: they stand in each record of the timeline, which Kafka takes up to a size."""

DIGEST = 8
"""Bytes by which a finding is known again."""


def check(touch: Touch) -> None:
    """Raises TouchError: the touch cannot be planned."""
    touch_check.check(touch)
    if touch.direction != "outbound":
        raise touch_check.TouchError("direction: a planned touch is outbound")


def put(timeline: Timeline, plans: Iterable[Entry]) -> Timeline:
    """The timeline with these plans, too, unless it knows better: newer records of them, or their touches."""
    held = {plan.id: plan for plan in timeline.plans}
    for plan in plans:
        known = held.get(plan.id)
        if (known is None or _order(known) <= _order(plan)) and find(timeline, plan.id) is None:
            held[plan.id] = tombstone(plan) if plan.kind == DELETED else plan
    kept = tuple(sorted(held.values(), key=key))
    return timeline if kept == timeline.plans else replace(timeline, plans=kept)


def too_many(before: Timeline, after: Timeline, policy: Policy) -> str | None:
    """Why a customer cannot have what plans came; None when there is room."""
    if after.plans is before.plans:
        return None
    to_come = sum(plan.kind != DELETED for plan in _without_ended(after, policy, None).plans)
    if to_come > MOST:
        return f"the customer would have {to_come} planned touches, and may have {MOST}; withdraw some"
    size = sum(len(encode_entry(plan)) + len(plan.id.encode()) + DIGEST for plan in after.plans)
    if size > LARGEST:
        return f"the customer's planned touches would take {size} bytes, and may take {LARGEST}; shorten their labels, or withdraw some"
    return None


def _order(plan: Entry) -> tuple[int, int]:
    return plan.version, plan.published_at


def leave(
    plans: tuple[Entry, ...], customer: str, gone: Container[str] | None = None
) -> tuple[tuple[Entry, ...], tuple[Entry, ...]]:
    """The plans that stay, and those that go to another customer: those of the identifiers `gone`, or all. The latter say whose they
    are."""
    owned = [replace(plan, identifier=plan.identifier or customer) for plan in plans]
    moved = tuple(plan for plan in owned if gone is None or plan.identifier in gone)
    ids = {plan.id for plan in moved}
    return tuple(plan for plan in plans if plan.id not in ids), moved


def follow(
    before: Timeline,
    after: Timeline,
    policy: Policy,
    customer: str,
    cause: Cause,
    came: Container[str] | None = None,
    new: str | None = None,
) -> tuple[tuple[Finding, ...], Timeline]:
    """What one input means for plans: the findings that differ, and the timeline without plans that have ended by it. `came` are the ids of
    the touches that it brought, None where that is not known; `new` is a plan that came for the first time."""
    if after.plans:
        after = _without_ended(after, policy, came)
    found, after = telling(after, policy, customer)
    return detect.numbered(changed(before, found, policy, customer), after, cause, new)


def ticked(timeline: Timeline, at: int, policy: Policy) -> Timeline:
    """The timeline once a timer has said that it is `at` (UTC ms): the same one unless something was due by then, or another policy judged
    its plans."""
    judged = timeline.judged or Judged()
    if not timeline.plans or (judged.by == name_of(policy) and not 0 < judged.due <= at):
        return timeline
    return replace(timeline, judged=replace(judged, clock=max(judged.clock, at)))


def changed(before: Timeline, found: list[Finding], policy: Policy, customer: str) -> list[Finding]:
    """How the findings that hold now differ from what was told, retractions first; not yet numbered."""
    was = before.judged.told if before.judged is not None else {}
    if not was:
        return found
    now = {finding.touch_ids[0] for finding in found}
    gone = told(before, policy, customer) if was.keys() - now else []
    return [replace(finding, state="retracted") for finding in gone if finding.touch_ids[0] not in now] + [
        finding if finding.touch_ids[0] not in was else replace(finding, state="amended")
        for finding in found
        if was.get(finding.touch_ids[0]) != _digest(finding)
    ]


def told(timeline: Timeline, policy: Policy, customer: str) -> list[Finding]:
    """The findings about plans that stand: as the policy has them, or, where it has none, what is left to withdraw."""
    standing = timeline.judged.told if timeline.judged is not None else {}
    if not standing:
        return []
    held = {finding.touch_ids[0]: finding for finding in planned_conflict.find(timeline, policy, customer)}
    plans = (plan for plan in timeline.plans if plan.id in standing)
    return [held.get(plan.id) or planned_conflict.bare(plan, timeline, customer) for plan in plans]


def telling(timeline: Timeline, policy: Policy, customer: str) -> tuple[list[Finding], Timeline]:
    """The findings about plans that hold now, and the timeline that remembers them as told."""
    if not timeline.plans:
        return [], timeline if timeline.judged is None else replace(timeline, judged=None)
    found = planned_conflict.find(timeline, policy, customer)
    digests = {finding.touch_ids[0]: _digest(finding) for finding in found}
    known = timeline.judged.clock if timeline.judged is not None else 0
    judged = Judged(_due(timeline, policy), known, digests, name_of(policy))
    return found, timeline if judged == timeline.judged else replace(timeline, judged=judged)


def cause_of(command: Command) -> Cause:
    """What findings change for when touches come or go by a command."""
    if command.kind in (TICK, *LEAD_KINDS):
        return Cause("touch", command.command_id)
    source = command.source_customer_id
    merged = command.customer_id < source if source else command.kind == "customer_merged"
    return Cause("merge" if merged else "split", command.cause, command.reason)


def name_of(policy: Policy) -> str:
    """Under which a timeline remembers the policy."""
    return compiled.of(policy).version


def _digest(finding: Finding) -> bytes:
    """Of what a finding says, and not of how a release writes it."""
    said = (finding.reason, finding.severity, finding.customer_name, finding.event_time, finding.evidence)
    return blake2b(msgspec.msgpack.encode(said), digest_size=DIGEST).digest()


def _due(timeline: Timeline, policy: Policy) -> int:
    """When a plan is past, or near enough to be judged, whichever comes first (UTC ms)."""
    now, limits = clock(timeline), policy.planned
    due = timeline.plans[0].at + limits.grace_ms + 1
    if limits.enabled:
        plans = (plan for plan in timeline.plans if plan.kind != DELETED)
        far = next((plan.at for plan in plans if plan.at - limits.horizon_ms > now), None)
        if far is not None:
            return min(due, far - limits.horizon_ms)
    return due


def _without_ended(timeline: Timeline, policy: Policy, came: Container[str] | None) -> Timeline:
    since = clock(timeline) - policy.planned.grace_ms
    kept = tuple(
        plan
        for plan in timeline.plans
        if plan.at >= since and (find(timeline, plan.id) is None if came is None else plan.id not in came)
    )
    return timeline if len(kept) == len(timeline.plans) else replace(timeline, plans=kept)
