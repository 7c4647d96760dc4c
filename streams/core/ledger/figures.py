"""From records to figures: touches and contacts, spend, closed revenue, and its credit by every model, in cells by month.

A touch counts in the month in which it took place, a cost on the days that it pays for, a deal in the month in which it was won: so
credit stands in the month of the income, also for touches of months before.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from streams.core.ledger import markov
from streams.core.ledger.attribution import state_of
from streams.core.ledger.book import Resolved
from streams.core.ledger.credit import add_credit
from streams.core.ledger.journeys import before, joined, journey, touch_points
from streams.core.ledger.period import Period, month_of, months
from streams.core.ledger.policy import MODELS, LedgerPolicy
from streams.core.ledger.quarrel import funnel, handoffs, stages
from streams.core.ledger.result import (
    CONFLICTS,
    CONTACTS,
    CREDIT,
    REVENUE,
    SPEND,
    TOUCHES,
    Counts,
    Effect,
    Figure,
    Ledger,
    Line,
    LineTouch,
)
from streams.core.ledger.spend import of_touches, spread, value_of
from streams.core.ledger.types import DAY_MS, NONE, Cell, Journey, JourneyTouch, cell_of, is_refund

Key = tuple[str, str, str]
"""Month, measure, currency."""

Sums = defaultdict[Key, Counter[Cell]]

_Maker = tuple[int, str, str, str | None, str | None, str | None]
"""Day, department, channel, campaign, actor, kind of actor."""


def compute(resolved: Resolved, period: Period, policy: LedgerPolicy, refused: int = 0) -> Ledger:
    """The ledger of a period. `refused` is how many records could not be taken in.

    Raises:
        MoneyError: the policy converts into one currency and has no rate for another.
    """
    sums: Sums = defaultdict(Counter)
    lines, steps = _walk(resolved, period, policy, sums)
    effects = markov.removal_effects(steps)
    for line in lines:
        sums[line.month, REVENUE, line.currency][line.owner_cell] += line.amount
        for model in MODELS:
            add_credit(sums[line.month, CREDIT + model, line.currency], line, model, policy, effects)
    for at, cell in resolved.conflicts:
        if period.holds(at):
            sums[month_of(at), CONFLICTS, ""][cell] += 1
    spent = [part for cost in resolved.costs for part in spread(cost, period, policy)]
    for part in spent:
        sums[part.month, SPEND + part.kind, part.currency][part.cell] += part.amount
    for (month, currency), cells in of_touches(resolved, period, policy).items():
        sums[month, SPEND + "touch", currency].update(cells)
    return Ledger(
        period,
        policy,
        tuple(month.label for month in months(period)),
        tuple(
            Figure(*key, *cell, value)
            for key, cells in sorted(sums.items())
            for cell, value in sorted(cells.items())
            if value
        ),
        tuple(lines),
        tuple(spent),
        tuple(Effect(*state, effect) for state, effect in sorted(effects.items())),
        funnel(resolved, period, policy),
        stages(resolved, period, policy),
        handoffs(resolved, period, policy),
        resolved.reps,
        Counts(
            sum(map(len, resolved.touches.values())),
            len(resolved.touches),
            len(resolved.deals),
            len(resolved.costs),
            sum(map(len, resolved.leads.values())),
            refused,
        ),
    )


def _walk(resolved: Resolved, period: Period, policy: LedgerPolicy, sums: Sums) -> tuple[list[Line], markov.Steps]:
    """Customer by customer: counts of touches and contacts, the lines of won deals, the steps of all journeys."""
    touched: Counter[_Maker] = Counter()
    contacted: Counter[_Maker] = Counter()
    of: defaultdict[str, list[int]] = defaultdict(list)
    for i, (_, customer) in enumerate(resolved.deals):
        of[customer].append(i)
    steps: markov.Steps = Counter()
    lines: list[Line] = []
    start, end = period.start_ms, period.end_ms
    for customer in sorted(resolved.touches.keys() | of.keys()):
        touches = resolved.touches.get(customer, [])
        met = list(joined(touches, policy))
        _count(touched, touches, start, end)
        _count(contacted, [touch for touch in met if touch.direction == "outbound"], start, end)
        points = touch_points(touches, policy, met)
        closed = False
        for i in of.get(customer, ()):
            deal, _ = resolved.deals[i]
            if deal.closed_at is None or not period.holds(deal.closed_at):
                continue
            closed = True
            path = journey(deal, customer, points, policy)
            line = _line(path, resolved, policy) if deal.stage == "won" else None
            if not is_refund(deal.amount):  # what is paid back is no second sale to learn from
                markov.count(steps, map(state_of, path.touches), line is not None)
            if line is not None:
                lines.append(line)
        if not closed:
            markov.count(steps, map(state_of, before(points, period.end_ms - 1, policy)), False)
    for measure, counts in ((TOUCHES, touched), (CONTACTS, contacted)):
        for (day, department, channel, campaign, actor, actor_kind), times in counts.items():
            rep = actor if actor is not None and actor_kind == "person" else NONE
            sums[month_of(day * DAY_MS), measure, ""][Cell(department, channel, campaign or NONE, rep)] += times
    return sorted(lines, key=lambda line: line.deal_id), steps


def _count(counts: Counter[_Maker], touches: Iterable[JourneyTouch], start: int, end: int) -> None:
    """Count the touches of a time by day and by what their cell is made of."""
    counts.update(
        [
            (touch.at // DAY_MS, touch.department, touch.channel, touch.campaign, touch.actor, touch.actor_kind)
            for touch in touches
            if start <= touch.at < end
        ]
    )


def _line(path: Journey, resolved: Resolved, policy: LedgerPolicy) -> Line:
    deal = path.deal
    assert deal.amount is not None and deal.closed_at is not None, "a won deal has both (streams.core.ledger.records)"
    currency, amount = value_of(deal.amount, policy)
    return Line(
        deal.deal_id,
        deal.version,
        deal.closed_at,
        month_of(deal.closed_at),
        currency,
        amount,
        deal.owner or NONE,
        path.customer,
        resolved.identifiers.get(path.customer, ()),
        tuple(LineTouch(touch.touch_id, touch.at, *cell_of(touch), touch.identifier) for touch in path.touches),
        is_refund(deal.amount),
    )
