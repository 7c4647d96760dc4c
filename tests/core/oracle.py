"""What the findings must be, said a second time: written from the issue and the policy's comments, not from the core.

Everything is quadratic and starts from the whole set of touches; nothing is remembered, bounded, sliced or updated. It imports
neither `streams.core.detect` nor the timeline. A `Claimed` finding is what identifies one: rule, customer's touches, time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from streams.core.identify import nodes
from streams.core.policy import Policy
from streams.core.touch import Touch

DAY = 24 * 60 * 60 * 1000
CALL = ("dialed", "answered", "voicemail")
CONTACT = ("sent", "message_sent", "connection_request", *CALL)


class Claimed(NamedTuple):
    """A finding as far as the oracle speaks of it. `customer` is the set of the customer's identifiers' smallest id."""

    event_time: int
    rule: str
    customer: str
    touch_ids: tuple[str, ...]


class DoubtfulError(Exception):
    """A score lies within rounding of a threshold: either answer is right, so there is nothing to test."""


def findings(touches: Iterable[Touch], policy: Policy, id_key: str, region: str) -> list[Claimed]:
    """All double contacts, contacts after opt-out and hand-offs of these touches, sorted."""
    found: list[Claimed] = []
    for customer, theirs in people(touches, id_key, region).items():
        found += double_contacts(customer, theirs, policy)
        found += contacts_after_opt_out(customer, theirs, policy)
        found += handoffs(customer, theirs, policy)
    return sorted(found)


def people(touches: Iterable[Touch], id_key: str, region: str) -> dict[str, list[Touch]]:
    """Touches by person, in order of time and id, each id once. Who shares an identifier, through any others, is one person."""
    groups: list[tuple[set[str], list[Touch]]] = []
    for touch in touches:
        ids, members = set(nodes(touch.customer, id_key, region)), [touch]
        apart = []
        for other_ids, other_members in groups:
            if ids & other_ids:
                ids, members = ids | other_ids, other_members + members
            else:
                apart.append((other_ids, other_members))
        groups = [*apart, (ids, members)]
    return {
        min(ids): sorted({t.touch_id: t for t in members}.values(), key=lambda t: (t.occurred_at, t.touch_id))
        for ids, members in groups
        if ids
    }


def is_contact(touch: Touch) -> bool:
    """An outbound touch that reaches the customer."""
    return touch.direction == "outbound" and touch.kind in CONTACT


def contacts(touches: Sequence[Touch], policy: Policy) -> list[Touch]:
    """The customer's contacts, a call counted once, at its first phase."""
    later_phases: set[str] = set()
    phases = [touch for touch in touches if is_contact(touch) and touch.kind in CALL]
    for who in {_caller(phase) for phase in phases}:
        call: list[Touch] = []
        for phase in (phase for phase in phases if _caller(phase) == who):
            if call and _continues(phase, call, policy):
                call.append(phase)
                later_phases.add(phase.touch_id)
            else:
                call = [phase]
    return [touch for touch in touches if is_contact(touch) and touch.touch_id not in later_phases]


def _caller(phase: Touch) -> tuple[str, str, str | None]:
    if phase.interaction_id:
        return (phase.department, "interaction", phase.interaction_id)
    return (phase.department, "actor", phase.actor.id if phase.actor else None)


def _continues(phase: Touch, call: Sequence[Touch], policy: Policy) -> bool:
    since_start = phase.occurred_at - call[0].occurred_at
    if phase.interaction_id:
        return since_start < DAY
    return since_start < policy.calls.join_minutes * 60_000 and phase.kind not in [known.kind for known in call]


def double_contacts(customer: str, touches: Sequence[Touch], policy: Policy) -> list[Claimed]:
    """Contacts less than the window after a contact of another department."""
    if not policy.double_contact.enabled:
        return []
    found = []
    reached = contacts(touches, policy)
    for n, contact in enumerate(reached):
        nearest = []
        for department in {"marketing", "sales", "service"} - {contact.department}:
            theirs = [earlier for earlier in reached[:n] if earlier.department == department]
            if theirs and contact.occurred_at - theirs[-1].occurred_at < policy.double_contact.window_hours * 3_600_000:
                nearest.append(theirs[-1])
        if nearest:
            ids = tuple(sorted(touch.touch_id for touch in (*nearest, contact)))
            found.append(Claimed(contact.occurred_at, "double_contact", customer, ids))
    return found


def contacts_after_opt_out(customer: str, touches: Sequence[Touch], policy: Policy) -> list[Claimed]:
    """Contacts with an opt-out before them, in their channel or, by policy, in any."""
    if not policy.contact_after_opt_out.enabled:
        return []
    found = []
    for contact in contacts(touches, policy):
        before = touches[: touches.index(contact)]
        opt_outs = [
            touch
            for touch in before
            if touch.kind in ("unsubscribed", "complained")
            and (policy.contact_after_opt_out.scope == "all" or touch.channel == contact.channel)
        ]
        if opt_outs:
            ids = tuple(sorted((opt_outs[-1].touch_id, contact.touch_id)))
            found.append(Claimed(contact.occurred_at, "contact_after_opt_out", customer, ids))
    return found


def handoffs(customer: str, touches: Sequence[Touch], policy: Policy) -> list[Claimed]:
    """Requests and passings of the threshold, none within the cool-down, none before the score has fallen since the last."""
    rules = policy.handoff
    if not rules.enabled:
        return []
    weights = {str(kind): points for kind, points in rules.weights.items() if points}
    reactions = [
        touch
        for touch in touches
        if touch.department in rules.departments
        and (touch.direction == "inbound" or touch.kind == "meeting")
        and (touch.kind in weights or touch.kind in rules.request_kinds)
    ]

    def score(those: Sequence[Touch], at: int) -> float:
        days = [(at - touch.occurred_at) / DAY for touch in those]
        total = sum(
            weights.get(t.kind, 0) * 0.5 ** (d / rules.half_life_days) for t, d in zip(those, days, strict=True)
        )
        for border in (rules.threshold, rules.threshold * rules.rearm_below):
            if abs(total - border) < 1e-6 and any(days):
                raise DoubtfulError
        return total

    handed: list[int] = []
    for n, reaction in enumerate(reactions):
        at = reaction.occurred_at
        if handed:
            last = handed[-1]
            if at - reactions[last].occurred_at < rules.cool_down_days * DAY:
                continue
            # A score only falls between reactions, so it is lowest just before the next one.
            lows = [score(reactions[:after], reactions[after].occurred_at) for after in range(last + 1, n + 1)]
            fell = any(low < rules.threshold * rules.rearm_below for low in lows)
        else:
            fell = True
        if reaction.kind in rules.request_kinds or (fell and score(reactions[: n + 1], at) >= rules.threshold):
            handed.append(n)
    return [Claimed(reactions[n].occurred_at, "handoff", customer, (reactions[n].touch_id,)) for n in handed]
