"""`handoff`: marketing hands a customer to sales when engagement passes the threshold, or at once when the customer asks.

The score of a customer is the sum of the points of their reactions, each halved every `half_life_days` (exponential decay, so that
s(t) = s0 * 2^-(dt / half-life) + points and one number is enough). After a hand-off there is none within `cool_down_days`, and the
score must have fallen below `rearm_below` of the threshold before it can pass it again.

Fit (`streams.core.detect.fit`) does not decay: it lowers, or raises, what engagement must reach, and fall below. So a touch that says what
the customer is may set off a hand-off, too; but nobody is handed off for what they are alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from msgspec.structs import replace

from streams.core import wording
from streams.core.detect import fit
from streams.core.detect.base import Rule, build, evidence, name_at, since, until
from streams.core.entry import Engagement, Entry
from streams.core.outcome import Finding, Handoff, ScoreComponent
from streams.core.policy import DAY_MS, HOUR_MS, HandoffPolicy, Policy
from streams.core.timeline import Timeline
from streams.core.touch import Kind
from streams.core.touch_check import LATEST_MS

NAME, VERSION = "handoff", 1


def weight(kind: str, policy: HandoffPolicy) -> float:
    """Points for one touch of this kind."""
    return policy.weights.get(cast(Kind, kind), 0.0)


def counts(entry: Entry, policy: HandoffPolicy) -> bool:
    """Whether the touch is a reaction that counts: inbound or a meeting, to a department listed, a request or with a weight."""
    return (
        (entry.direction == "inbound" or entry.kind == "meeting")
        and entry.department in policy.departments
        and not entry.late
        and (weight(entry.kind, policy) > 0 or entry.kind in policy.request_kinds)
    )


def matters(entry: Entry, policy: HandoffPolicy) -> bool:
    """Whether the score may be another with this touch: it counts, or it says what the customer is."""
    return counts(entry, policy) or fit.tells(entry, policy)


def decay(state: Engagement, at: int, policy: HandoffPolicy) -> float:
    """What is left at a later moment of each of the state's points. A moment before the state's counts as the state's."""
    return 1.0 if at <= state.at else 2.0 ** ((state.at - at) / (policy.half_life_days * DAY_MS))


def fold(state: Engagement, entry: Entry, policy: HandoffPolicy) -> tuple[Engagement, bool]:
    """The engagement after one more touch, and whether that touch sets off a hand-off."""
    counted = counts(entry, policy)
    about = fit.told(state.about, entry) if fit.tells(entry, policy) else state.about
    if not counted and about == state.about:
        return state, False
    kind, factor = entry.kind, decay(state, entry.at, policy)
    parts = {known: (touches, points * factor) for known, touches, points in state.parts}
    needed = before = policy.threshold - fit.points(state.about, policy) if policy.fit else policy.threshold
    armed = state.armed or sum([points for _, points in parts.values()]) < before * policy.rearm_below
    if counted:
        touches, points = parts.get(kind, (0, 0.0))
        parts[kind] = (touches + 1, points + weight(kind, policy))
    if about != state.about:
        needed = policy.threshold - fit.points(about, policy)
    grown = tuple([(known, *parts[known]) for known in sorted(parts)])
    cooled = state.handed_off_at is None or entry.at - state.handed_off_at >= policy.cool_down_days * DAY_MS
    rose = counted or (needed < before and entry.department in policy.departments)
    passed = rose and armed and bool(grown) and sum([part[2] for part in grown]) >= needed
    if cooled and (passed or (counted and kind in policy.request_kinds)):
        return Engagement(entry.at, grown, False, entry.at, about), True
    return Engagement(entry.at, grown, armed, state.handed_off_at, about), False


def fold_all(state: Engagement, entries: Sequence[Entry], policy: HandoffPolicy) -> Engagement:
    """The engagement after these touches, in order."""
    for entry in entries:
        state, _ = fold(state, entry, policy)
    return state


def before(timeline: Timeline, lo: int, policy: HandoffPolicy) -> Engagement:
    """The engagement just before the touch at lo."""
    entries = timeline.entries
    if not isinstance(entries, tuple) and lo >= entries.sealed:
        return fold_all(entries.engagement, entries[entries.sealed : lo], policy)
    return fold_all(timeline.base, entries[:lo], policy)


def affected(entries: Sequence[Entry], i: int, policy: Policy) -> tuple[int, int] | None:
    if matters(entries[i], policy.handoff):
        return i, len(entries)
    if entries[i].campaign and i + 1 < len(entries):  # a late touch can add a campaign to the hand-offs after it
        return i, until(entries, i, int(policy.handoff.recent_campaign_days * DAY_MS))
    return None


def find(timeline: Timeline, lo: int, hi: int, policy: Policy, customer: str) -> list[Finding]:
    entries, found = timeline.entries, []
    if lo == len(entries) - 1 and timeline.tail.handed_off_at != entries[lo].at:
        return []  # the usual case, a touch that came in order: the tail already knows that it set nothing off
    if not any(matters(entry, policy.handoff) for entry in entries[lo:hi]):
        return []
    state = before(timeline, lo, policy.handoff)
    for j, entry in enumerate(entries[lo:hi], lo):
        state, crossed = fold(state, entry, policy.handoff)
        if crossed:
            found.append(_finding(state, timeline, j, policy, customer))
    return found


def _finding(state: Engagement, timeline: Timeline, j: int, policy: Policy, customer: str) -> Finding:
    entries, rules, name = timeline.entries, policy.handoff, name_at(timeline, j)
    crossing = entries[j]
    counted = counts(crossing, rules)
    asked = counted and crossing.kind in rules.request_kinds
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
    did = wording.reaction(crossing) if counted else "turned out to be whom we look for"
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


RULE = Rule(NAME, VERSION, lambda policy: policy.handoff.enabled, affected, find)
