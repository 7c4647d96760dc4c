"""What led to a deal: contacts, each call once, and the customer's reactions, within the look-back before the close."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

from streams.core.ledger.policy import LedgerPolicy
from streams.core.ledger.types import DAY_MS, Deal, Journey, JourneyTouch
from streams.core.touch import CALL_KINDS, CONTACT_KINDS

MINUTE_MS = 60_000


def contacts(touches: Sequence[JourneyTouch], policy: LedgerPolicy) -> Iterator[JourneyTouch]:
    """Outbound touches that reached the customer. Of a call's phases the first stands for all, as in `streams.core.detect`:
    they share an interaction id within a day, or the same actor of one department makes them within `join_minutes`, none twice."""
    return (touch for touch in joined(touches, policy) if touch.direction == "outbound")


def touch_points(
    touches: Sequence[JourneyTouch], policy: LedgerPolicy, met: Sequence[JourneyTouch] | None = None
) -> list[JourneyTouch]:
    """Contacts, calls of the customer to us, and the reactions that the policy counts, in order. `met` is `joined`, if it is known."""
    reactions = frozenset(policy.reactions)
    points = [touch for touch in touches if touch.kind in reactions]
    for touch in joined(touches, policy) if met is None else met:
        if touch.direction == "outbound" or touch.kind in CALL_KINDS:
            points.append(touch)
    points.sort(key=lambda touch: (touch.at, touch.touch_id))
    return points


def journey(deal: Deal, customer: str, points: Sequence[JourneyTouch], policy: LedgerPolicy) -> Journey:
    """The path to a closed deal, from all touch points of its customer in order."""
    assert deal.closed_at is not None, "only a closed deal has a journey"
    return Journey(deal, customer, before(points, deal.closed_at, policy))


def before(points: Sequence[JourneyTouch], at: int, policy: LedgerPolicy) -> tuple[JourneyTouch, ...]:
    """The touch points up to a time (included), as far as the look-back reaches."""
    start = bisect_left(points, at - int(policy.lookback_days * DAY_MS), key=_at)
    return tuple(points[start : bisect_right(points, at, key=_at)])


def is_before(touched_at: int, at: int, policy: LedgerPolicy) -> bool:
    """Whether `before` has a touch point of that time."""
    return at - int(policy.lookback_days * DAY_MS) <= touched_at <= at


def joined(touches: Sequence[JourneyTouch], policy: LedgerPolicy) -> Iterator[JourneyTouch]:
    """Touches of the kinds of contacts, in either direction, each call once."""
    calls: dict[tuple[str, ...], tuple[int, set[str]]] = {}
    join_ms = int(policy.join_minutes * MINUTE_MS)
    for touch in touches:
        kind = touch.kind
        if kind not in CONTACT_KINDS:
            continue
        if kind in CALL_KINDS:
            caller = (
                touch.direction,
                touch.department,
                touch.interaction_id or "",
                "" if touch.interaction_id else touch.actor or "",
            )
            first_at, phases = calls.get(caller, (0, set()))
            again = kind in phases and not touch.interaction_id
            if phases and not again and touch.at - first_at < (DAY_MS if touch.interaction_id else join_ms):
                phases.add(kind)
                continue
            calls[caller] = (touch.at, {kind})
        yield touch


def _at(touch: JourneyTouch) -> int:
    return touch.at
