"""The old quarrel in one table: how sales answered marketing's hand-offs, beside what became of them; and the funnel of both.

A hand-off lasts until the next one of the same customer. Sales' answer is the first that it gives; one that begins to work on a lead
has accepted it. *Touched* means what a person in sales did, not what was clicked. Deals belong to the hand-off before them.
What was paid back as a deal of its own counts only in revenue: nobody had a chance or won by it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Sequence

from streams.core.ledger.book import Resolved
from streams.core.ledger.journeys import before, contacts, touch_points
from streams.core.ledger.period import Period
from streams.core.ledger.policy import LedgerPolicy
from streams.core.ledger.result import FunnelStep, HandOffs, StageCount
from streams.core.ledger.spend import value_of
from streams.core.ledger.types import NONE, UNATTRIBUTED, Deal, JourneyTouch, LeadEvent, is_refund

ANSWERS = {
    "accepted": "accepted",
    "working": "accepted",
    "qualified": "accepted",
    "opportunity": "accepted",
    "won": "accepted",
    "rejected": "rejected",
    "recycled": "recycled",
    "disqualified": "disqualified",
}
NO_ANSWER = "no_answer"

STEPS = ("contacted", "responded", "handed_off", "accepted", "opportunity", "won")
FOREVER = 2**62


class _Row(Counter[str]):
    """Sums of one row; `revenue` by currency."""

    def __init__(self) -> None:
        super().__init__()
        self.revenue: Counter[str] = Counter()


def handoffs(resolved: Resolved, period: Period, policy: LedgerPolicy) -> tuple[HandOffs, ...]:
    """Hand-offs made in the period, by campaign (the last one that marketing touched the customer with before), answer and reason.
    Answers, touches and deals count whenever they came."""
    deals = by_customer(resolved)
    rows: defaultdict[tuple[str, str, str], _Row] = defaultdict(_Row)
    for customer, events in resolved.leads.items():
        made = [event.at for event in events if event.state == "handed_off"]
        for at, until in zip(made, [*made, FOREVER][1:], strict=True):
            if period.holds(at):
                touches = resolved.touches.get(customer, [])
                answer, reason = _answer([event for event in events if at <= event.at < until])
                row = rows[_campaign(touches, at), answer, reason]
                row["count"] += 1
                row["touched"] += any(
                    at <= touch.at < until and _is_sales(touch) for touch in contacts(touches, policy)
                )
                _deals(row, [deal for deal in deals.get(customer, ()) if at <= _end(deal) < until], policy)
    return tuple(
        HandOffs(
            *key, row["count"], row["touched"], row["opportunities"], row["won"], tuple(sorted(row.revenue.items()))
        )
        for key, row in sorted(rows.items())
    )


def funnel(resolved: Resolved, period: Period, policy: LedgerPolicy) -> tuple[FunnelStep, ...]:
    """Customers that came as far as each step in the period, by the department of their first contact in it.

    Who came to a later step counts in the earlier ones too. Without any lead event the two steps between reaction and opportunity
    are left out: nobody said whether they were taken.
    """
    steps = STEPS if resolved.leads else tuple(step for step in STEPS if step not in ("handed_off", "accepted"))
    deals, reactions = by_customer(resolved), frozenset(policy.reactions)
    far: Counter[tuple[str, int]] = Counter()
    for customer in resolved.touches.keys() | deals.keys() | resolved.leads.keys():
        touches = _within(resolved.touches.get(customer, []), period)
        first = next(contacts(touches, policy), None)
        states = {event.state for event in resolved.leads.get(customer, ()) if period.holds(event.at)}
        theirs = _chances(deals.get(customer, ()))
        won = any(deal.stage == "won" and period.holds(_end(deal)) for deal in theirs)
        reached = {
            "contacted": first is not None,
            "responded": any(touch.kind in reactions for touch in touches),
            "handed_off": "handed_off" in states,
            "accepted": any(ANSWERS.get(state) == "accepted" for state in states),
            "opportunity": any(period.holds(deal.opened_at) for deal in theirs),
            "won": won,
        }
        last = max((i for i, step in enumerate(steps) if reached[step]), default=-1)
        if last >= 0:
            far[first.department if first is not None else UNATTRIBUTED, last] += 1
    departments = sorted({department for department, _ in far})
    return tuple(
        FunnelStep(department, step, sum(far[department, later] for later in range(i, len(steps))))
        for department in departments
        for i, step in enumerate(steps)
    )


def stages(resolved: Resolved, period: Period, policy: LedgerPolicy) -> tuple[StageCount, ...]:
    """Deals opened in the period by stage, and by the department of the first touch point in the look-back before they were opened."""
    found: defaultdict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0])
    for deal, customer in resolved.deals:
        if period.holds(deal.opened_at) and not is_refund(deal.amount):
            points = before(touch_points(resolved.touches.get(customer, []), policy), deal.opened_at, policy)
            currency, amount = value_of(deal.amount, policy) if deal.amount is not None else ("", 0)
            entry = found[points[0].department if points else UNATTRIBUTED, deal.stage, currency]
            entry[0] += 1
            entry[1] += amount
    return tuple(StageCount(*key, *sums) for key, sums in sorted(found.items()))


def by_customer(resolved: Resolved) -> dict[str, list[Deal]]:
    """Deals by customer."""
    deals: defaultdict[str, list[Deal]] = defaultdict(list)
    for deal, customer in resolved.deals:
        deals[customer].append(deal)
    return dict(deals)


def _answer(events: Sequence[LeadEvent]) -> tuple[str, str]:
    for event in events:
        if event.state in ANSWERS:
            return ANSWERS[event.state], event.reason or ""
    return NO_ANSWER, ""


def _campaign(touches: Sequence[JourneyTouch], at: int) -> str:
    i = bisect_right(touches, at, key=_at)
    return next(
        (touch.campaign for touch in reversed(touches[:i]) if touch.campaign and touch.department == "marketing"), NONE
    )


def _is_sales(touch: JourneyTouch) -> bool:
    return touch.department == "sales" and touch.actor_kind != "automation"


def _end(deal: Deal) -> int:
    return deal.opened_at if deal.closed_at is None else deal.closed_at


def _chances(deals: Sequence[Deal]) -> list[Deal]:
    """Without what was paid back."""
    return [deal for deal in deals if not is_refund(deal.amount)]


def _deals(row: _Row, deals: Sequence[Deal], policy: LedgerPolicy) -> None:
    won = [deal for deal in deals if deal.stage == "won" and deal.amount is not None]
    row["opportunities"] += bool(_chances(deals))
    row["won"] += bool(_chances(won))
    for deal in won:
        assert deal.amount is not None
        currency, amount = value_of(deal.amount, policy)
        row.revenue[currency] += amount


def _within(touches: Sequence[JourneyTouch], period: Period) -> Sequence[JourneyTouch]:
    return touches[_index(touches, period.start_ms) : _index(touches, period.end_ms)]


def _index(touches: Sequence[JourneyTouch], at: int) -> int:
    return bisect_right(touches, at - 1, key=_at)


def _at(touch: JourneyTouch) -> int:
    return touch.at
