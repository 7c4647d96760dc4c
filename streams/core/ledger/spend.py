"""What was spent: costs spread over the days that they pay for, and what single touches cost."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction

from msgspec.structs import replace

from streams.core.ledger import money
from streams.core.ledger.book import Resolved
from streams.core.ledger.period import Period, month_of, months
from streams.core.ledger.policy import LedgerPolicy
from streams.core.ledger.result import Spent
from streams.core.ledger.types import NONE, Cell, Cost, cell_of
from streams.core.touch import Money


def value_of(amount: Money, policy: LedgerPolicy) -> tuple[str, int]:
    """The currency that an amount is shown in, and the amount in its smallest unit. Raises MoneyError."""
    if policy.currency:
        return policy.currency, money.converted(amount, policy.currency, policy.rates)
    return amount.currency, money.minor(amount)


def lacks_rate(currency: str, policy: LedgerPolicy) -> str | None:
    """Why money in a currency cannot be shown, and what to do; None if it can."""
    try:
        if policy.currency and currency != policy.currency:
            money.rate(currency, policy.currency, policy.rates)
    except money.MoneyError as error:
        return str(error)
    return None


def with_rates(resolved: Resolved, policy: LedgerPolicy) -> tuple[Resolved, dict[str, int]]:
    """The records without deals, costs and costs of touches in a currency that has no rate; and what was left out, in words, with how
    many records that is."""
    used = {deal.amount.currency for deal, _ in resolved.deals if deal.amount is not None}
    used |= {cost.amount.currency for cost in resolved.costs} | {one.cost.currency for one in resolved.touch_costs}
    lacking = {currency: why for currency in sorted(used) if (why := lacks_rate(currency, policy)) is not None}
    if not lacking:
        return resolved, {}
    left: Counter[str] = Counter()

    def shown(amount: Money | None, what: str) -> bool:
        why = None if amount is None else lacking.get(amount.currency)
        if why is not None:
            left[f"{what}: {why}"] += 1
        return why is None

    sound = replace(
        resolved,
        deals=[one for one in resolved.deals if shown(one[0].amount, f"deal {one[0].deal_id}")],
        costs=[one for one in resolved.costs if shown(one.amount, f"cost {one.cost_id}")],
        touch_costs=[
            one for one in resolved.touch_costs if shown(one.cost, f"what touches cost in {one.cost.currency}")
        ],
    )
    return sound, dict(left)


def spread(cost: Cost, period: Period, policy: LedgerPolicy) -> Iterator[Spent]:
    """The part of a cost that falls on each month of the period; over all months the parts sum to the cost. Raises MoneyError."""
    currency, amount = value_of(cost.amount, policy)
    days = cost.last_day - cost.first_day + 1
    for month in months(period):
        begin, end = max(cost.first_day, month.first), min(cost.last_day, month.last) + 1
        if begin < end:
            part = money.of_days(amount, days, begin - cost.first_day, end - cost.first_day)
            yield Spent(
                cost.cost_id,
                cost.version,
                month.label,
                cost.kind,
                currency,
                cost.department,
                cost.channel or NONE,
                cost.campaign or NONE,
                cost.rep or NONE,
                part,
            )


def of_touches(resolved: Resolved, period: Period, policy: LedgerPolicy) -> dict[tuple[str, str], dict[Cell, int]]:
    """What the touches of the period cost, by month and currency. A touch may cost less than a cent: their exact sum is rounded, and
    the cells are rounded so that they sum to it. Raises MoneyError."""
    exact: defaultdict[tuple[str, str], defaultdict[Cell, Fraction]] = defaultdict(lambda: defaultdict(Fraction))
    for one in resolved.touch_costs:
        if period.holds(one.touch.at):
            currency, worth = _exactly(one.cost, policy)
            exact[month_of(one.touch.at), currency][cell_of(one.touch)] += worth
    return {key: money.rounded(cells, sorted(cells)) for key, cells in exact.items()}


def _exactly(cost: Money, policy: LedgerPolicy) -> tuple[str, Fraction]:
    amount = Fraction(Decimal(cost.amount))
    currency = policy.currency or cost.currency
    if currency != cost.currency:
        amount *= Fraction(money.rate(cost.currency, currency, policy.rates))
    return currency, amount * 10 ** money.decimals(currency)
