"""Planned touches of a customer: contacts to come, as tools announce them (`Timeline.plans`, by time), and what follows from them.

A plan is an entry with its time to come, under the id that its touch will have. Of several records with one id the one with the highest
(version, published_at) holds, of equal ones the later; of one that was withdrawn a tombstone stays until its time is past, so that an older
record does not bring it back. A plan ends when its touch is there. And it ends when it is past, by the customer's own clock, which the
newest touch and the newest plan move on: no timer of a worker, so whoever reads the same records again ends it at the same one.

Of each plan the timeline remembers whether a finding about it stands (`Entry.late`, which says nothing of what is to come). So it is told
what differs from what was told, also when another policy decided then.
"""

from __future__ import annotations

from collections.abc import Container, Iterable

from msgspec.structs import replace

from streams.core import detect, touch_check
from streams.core.detect import planned_conflict
from streams.core.detect.planned_conflict import clock
from streams.core.entry import DELETED, Entry, encode_entry, key, tombstone
from streams.core.outcome import Cause, Finding
from streams.core.policy import Policy
from streams.core.timeline import Timeline, find
from streams.core.touch import Touch

PLANNED = "touch_planned"
"""The kind of the command that brings plans."""

MOST = 200
"""Plans to come that a customer may have; with more, some tool is mad."""

LARGEST = 200_000
"""Bytes of all plans of a customer, withdrawn ones too: they stand in each record of the timeline, which Kafka takes up to a size."""


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
            new = tombstone(plan) if plan.kind == DELETED else plan
            held[plan.id] = replace(new, late=known is not None and known.late)
    kept = tuple(sorted(held.values(), key=key))
    return timeline if kept == timeline.plans else replace(timeline, plans=kept)


def too_many(before: Timeline, after: Timeline, policy: Policy) -> str | None:
    """Why a customer cannot have what plans came; None when there is room."""
    if after.plans is before.plans:
        return None
    to_come = sum(plan.kind != DELETED for plan in _without_ended(after, policy, None).plans)
    if to_come > MOST:
        return f"the customer would have {to_come} planned touches, and may have {MOST}; withdraw some"
    size = sum(len(encode_entry(plan)) for plan in after.plans)
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
    owned = [replace(plan, identifier=plan.identifier or customer, late=False) for plan in plans]
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
    now, told_after = telling(after, policy, customer)
    return detect.numbered(detect.difference(told(before, policy, customer), now), told_after, cause, new)


def told(timeline: Timeline, policy: Policy, customer: str) -> list[Finding]:
    """The findings about plans that stand: as the policy has them, or, where it has none, what is left to withdraw."""
    if not any(plan.late for plan in timeline.plans):
        return []
    held = {finding.touch_ids[0]: finding for finding in planned_conflict.find(timeline, policy, customer)}
    return [
        held.get(plan.id) or planned_conflict.bare(plan, timeline, customer) for plan in timeline.plans if plan.late
    ]


def telling(timeline: Timeline, policy: Policy, customer: str) -> tuple[list[Finding], Timeline]:
    """The findings about plans that hold now, and the timeline that remembers them as told."""
    found = planned_conflict.find(timeline, policy, customer)
    ids = {finding.touch_ids[0] for finding in found}
    plans = tuple(
        plan if plan.late == (plan.id in ids) else replace(plan, late=not plan.late) for plan in timeline.plans
    )
    return found, timeline if plans == timeline.plans else replace(timeline, plans=plans)


def _without_ended(timeline: Timeline, policy: Policy, came: Container[str] | None) -> Timeline:
    since = clock(timeline) - policy.planned.grace_ms
    kept = tuple(
        plan
        for plan in timeline.plans
        if plan.at >= since and (find(timeline, plan.id) is None if came is None else plan.id not in came)
    )
    return timeline if len(kept) == len(timeline.plans) else replace(timeline, plans=kept)
