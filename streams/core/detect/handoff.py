"""`handoff`: marketing hands a customer to sales when the score passes the threshold, or at once when the customer asks.

What sets it off is `streams.core.engagement`. Where the policy follows leads, a hand-off is found exactly when the customer's lead is
handed over (`streams.core.leads.fold`): none while sales has it, and one within the cool-down once sales has given it back. Without leads
nobody knows whether sales has the customer, and the cool-down stands in for that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from streams.core import fit, wording
from streams.core.detect.base import Rule, build, evidence, name_at, since, until
from streams.core.engagement import after_all, asks, counts, fold, fold_all, matters, sealed
from streams.core.entry import Engagement, Entry
from streams.core.leads.acts import INTERNAL
from streams.core.leads.fold import Lead, active, hands_over, touched_by_sales
from streams.core.leads.fold import fold as lead_fold
from streams.core.leads.fold import fold_all as lead_after
from streams.core.outcome import Finding, Handoff, ScoreComponent
from streams.core.policy import DAY_MS, HOUR_MS, HandoffPolicy, Policy
from streams.core.timeline import Timeline
from streams.core.touch_check import LATEST_MS

NAME, VERSION = "handoff", 1


def before(timeline: Timeline, lo: int, policy: HandoffPolicy) -> Engagement:
    """The engagement just before the touch at lo."""
    entries = timeline.entries
    if not isinstance(entries, tuple) and lo >= entries.sealed:
        return fold_all(sealed(timeline, entries, policy), entries[entries.sealed : lo], policy)
    return fold_all(timeline.base, entries[:lo], policy)


def affected(entries: Sequence[Entry], i: int, policy: Policy) -> tuple[int, int] | None:
    entry = entries[i]
    if matters(entry, policy.handoff) or (active(policy) and _moves_a_lead(entry)):
        return i, len(entries)
    if entry.campaign and i + 1 < len(entries):  # a late touch can add a campaign to the hand-offs after it
        return i, until(entries, i, int(policy.handoff.recent_campaign_days * DAY_MS))
    return None


def _moves_a_lead(entry: Entry) -> bool:
    """Whether a lead may be with sales or not because of the entry: an act, or a touch by a person of sales, after which some acts are
    not possible any more. (What else reaches the customer keeps no act from anything.)"""
    return entry.direction == INTERNAL or touched_by_sales(entry)


def find(timeline: Timeline, lo: int, hi: int, policy: Policy, customer: str) -> list[Finding]:
    if not any(matters(entry, policy.handoff) for entry in timeline.entries[lo:hi]):
        return []
    handed = _by_lead(timeline, lo, hi, policy) if active(policy) else _by_cool_down(timeline, lo, hi, policy.handoff)
    return [_finding(state, timeline, j, policy, customer) for j, state in handed]


def _by_cool_down(timeline: Timeline, lo: int, hi: int, rules: HandoffPolicy) -> Iterator[tuple[int, Engagement]]:
    state = before(timeline, lo, rules)
    for j, entry in enumerate(timeline.entries[lo:hi], lo):
        state, crossed = fold(state, entry, rules)
        if crossed:
            yield j, state


def _by_lead(timeline: Timeline, lo: int, hi: int, policy: Policy) -> Iterator[tuple[int, Engagement]]:
    state, lead = timeline.base, timeline.lead_base
    for j, entry in enumerate(timeline.entries[:hi]):
        state, crossed = fold(state, entry, policy.handoff)
        lead, changes = lead_fold(lead, entry, crossed, policy)
        if j >= lo and hands_over(changes, entry):
            yield j, state


def newest(was: Timeline, now: Timeline, policy: Policy, customer: str) -> list[Finding]:
    """As `find`, for an entry that came in order: from the score and the lead as they stand, which a policy that came since has not made
    others. `was.lead` is the lead after all entries, or None: not known, or there is none."""
    entry, rules = now.entries[-1], policy.handoff
    if now.tail.handed_off_at != entry.at and not (entry.kind in rules.request_kinds and active(policy)):
        return []  # the usual case: the tail already knows that it set nothing off
    state, crossed = fold(after_all(was, rules), entry, rules)
    handed = _hands_over(was.lead, now, crossed, policy) if active(policy) else crossed
    return [_finding(state, now, len(now.entries) - 1, policy, customer)] if handed else []


def _hands_over(lead: Lead, now: Timeline, crossed: bool, policy: Policy) -> bool:
    entry = now.entries[-1]
    if not (crossed or asks(entry, policy.handoff)):
        return False
    if lead is None:  # there may be one since before the policy followed leads
        return hands_over(lead_after(now.lead_base, now.base, tuple(now.entries), policy)[2], entry)
    return hands_over(lead_fold(lead, entry, crossed, policy)[1], entry)


def _finding(state: Engagement, timeline: Timeline, j: int, policy: Policy, customer: str) -> Finding:
    entries, rules, name = timeline.entries, policy.handoff, name_at(timeline, j)
    crossing = entries[j]
    asked = asks(crossing, rules)
    parts = tuple(ScoreComponent(kind, touches, round(points, 3)) for kind, touches, points in state.parts)
    fits = fit.components(state.about, rules)
    of_fit = sum(part.points for part in fits)
    total = round(sum(part.points for part in parts) + of_fit, 3)
    if asked:
        why = " and asked for contact" if crossing.kind == "lead_form" else ""
    else:
        score = "a score" if fits else "an engagement score"
        of_it = f", {of_fit:g} of it for fit: {', '.join(part.name for part in fits)}" if fits else ""
        why = f" and reached {score} of {round(total, 1):g} (threshold {rules.threshold:g}{of_it})"
    did = wording.reaction(crossing) if counts(crossing, rules) else "turned out to be whom we look for"
    due_at = min(crossing.at + int(rules.due_hours * HOUR_MS), LATEST_MS)
    reason = f"{name or wording.SOMEONE} {did} on {wording.day(crossing.at)} at {wording.clock(crossing.at)}{why}{_by(due_at, crossing.at)}"
    details = Handoff(
        trigger="request" if asked else "score",
        score=total,
        threshold=float(rules.threshold),
        components=parts,
        crossing_touch=crossing.id,
        recent_campaigns=_recent_campaigns(entries, j, int(rules.recent_campaign_days * DAY_MS)),
        due_at=due_at,
        fit=fits,
    )
    proof = [evidence("crossing", crossing)]
    return build(
        (NAME, VERSION), customer, crossing, proof, name, rules.severity, reason, finding="handoff", handoff=details
    )


_UNTIL = "; sales should be in touch by "


def _by(due_at: int, now: int) -> str:
    return f"{_UNTIL}{wording.when(due_at, now).removeprefix('at ').removeprefix('on ')}."


def due(finding: Finding, at: int) -> Finding:
    """The hand-off, due at another moment (UTC ms) than policy's `due_hours` after it."""
    if finding.handoff is None or _UNTIL not in finding.reason:  # one that was erased says nothing
        return finding
    reason = finding.reason.rpartition(_UNTIL)[0] + _by(at, finding.event_time)
    return replace(finding, reason=reason, handoff=replace(finding.handoff, due_at=at))


def _recent_campaigns(entries: Sequence[Entry], j: int, reach_ms: int) -> tuple[str, ...]:
    near, limit = entries[since(entries, j, reach_ms) : j + 1], entries[j].at - reach_ms
    named = [entry.campaign for entry in reversed(near) if entry.campaign and entry.at > limit and not entry.late]
    return tuple(dict.fromkeys(named))[:10]


RULE = Rule(NAME, VERSION, lambda policy: policy.handoff.enabled, affected, find, newest=newest)
