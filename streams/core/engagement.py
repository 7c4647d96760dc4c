"""The engagement score, and when it sets off a hand-off. A fold over the customer's touches in order.

The score is the sum of the points of the customer's reactions, each halved every `half_life_days` (exponential decay, so that
s(t) = s0 * 2^-(dt / half-life) + points and one number is enough). After a hand-off there is none within `cool_down_days`, and the
score must have fallen below `rearm_below` of the threshold before it can pass it again.

Fit (`streams.core.fit`) does not decay: it lowers, or raises, what engagement must reach, and fall below. So a touch that says what
the customer is may set off a hand-off, too; but nobody is handed off for what they are alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import cast

from msgspec.structs import replace

from streams.core import fit
from streams.core.entry import About, Engagement, Entry
from streams.core.policy import DAY_MS, HandoffPolicy
from streams.core.segments import Entries
from streams.core.timeline import Timeline
from streams.core.touch import Kind


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


def asks(entry: Entry, policy: HandoffPolicy) -> bool:
    """Whether the touch is a request: it hands off at once."""
    return entry.kind in policy.request_kinds and counts(entry, policy)


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


def fold_all(state: Engagement, entries: Iterable[Entry], policy: HandoffPolicy) -> Engagement:
    """The engagement after these touches, in order. It has `about` exactly where the policy has fit: so one that a policy without fit left
    is not taken for that of a customer of whom nothing is known."""
    if policy.fit:
        state = state if state.about is not None else replace(state, about=fit.NOBODY)
    elif state.about is not None:
        state = replace(state, about=None)
    for entry in entries:
        state, _ = fold(state, entry, policy)
    return state


def counted(state: Engagement, before: About | None, entries: Iterable[Entry], policy: HandoffPolicy) -> Engagement:
    """The state that these touches left, with what they told of the customer while the policy had no fit. `before` is what was known before
    them."""
    if not policy.fit or state.about is not None:
        return state
    return replace(state, about=fit.known(before, entries) or fit.NOBODY)


def after_all(timeline: Timeline, policy: HandoffPolicy) -> Engagement:
    """The engagement after all touches of a timeline."""
    return counted(timeline.tail, timeline.base.about, timeline.entries, policy)


def sealed(timeline: Timeline, entries: Entries, policy: HandoffPolicy) -> Engagement:
    """The engagement after those in segments."""
    return counted(entries.engagement, timeline.base.about, islice(entries, entries.sealed), policy)
