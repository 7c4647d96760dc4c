"""Money that adds up: whole numbers of a currency's smallest unit, divided so that no cent is lost or made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import TypeVar

from streams.core.touch import Money

K = TypeVar("K")

# ISO 4217, "minor units": every other currency has two decimals.
_UNUSUAL = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
_DECIMALS = {currency: count for count, currencies in _UNUSUAL.items() for currency in currencies.split()}


class MoneyError(ValueError):
    """An amount that the ledger cannot take; the text says why and what to do."""


def decimals(currency: str) -> int:
    """How many decimals the currency has: 2 for EUR, 0 for JPY."""
    return _DECIMALS.get(currency, 2)


def minor(money: Money) -> int:
    """The amount in the currency's smallest unit, exactly: 4990 for 49.90 EUR.

    Raises:
        MoneyError: the amount is finer than that unit, so that it could not be paid.
    """
    value = Decimal(money.amount).scaleb(decimals(money.currency))
    if value != value.to_integral_value():
        raise MoneyError(
            f"{money.amount} {money.currency} is finer than the currency's {decimals(money.currency)} decimals; round it at its source"
        )
    return int(value)


def text(amount: int, currency: str) -> str:
    """The amount as a decimal number: "49.90"."""
    return format(Decimal(amount).scaleb(-decimals(currency)), "f")


def rate(currency: str, into: str, rates: Mapping[str, float]) -> Decimal:
    """What one unit of a currency is worth in another. Raises MoneyError when no rate is given."""
    if currency not in rates:
        raise MoneyError(f"no rate from {currency} to {into}; add {currency} to [ledger.rates] of the policy")
    return Decimal(repr(rates[currency]))  # as it was written


def converted(money: Money, into: str, rates: Mapping[str, float]) -> int:
    """The amount in the smallest unit of another currency, rounded half to even. Raises MoneyError."""
    if money.currency == into:
        return minor(money)
    value = (Decimal(money.amount) * rate(money.currency, into, rates)).scaleb(decimals(into))
    return int(value.to_integral_value(ROUND_HALF_EVEN))


def apportion(amount: int, weights: Sequence[int]) -> list[int]:
    """The amount in parts proportional to the weights, which sum to it exactly (largest remainder; of equal ones the first wins).

    Weights are whole numbers, none negative, not all 0. A negative amount is divided as its opposite is.

    >>> apportion(100, [1, 1, 1]), apportion(-100, [1, 1, 1])
    ([34, 33, 33], [-34, -33, -33])
    """
    total = sum(weights)
    if amount < 0:
        return [-part for part in apportion(-amount, weights)]
    parts = [amount * weight // total for weight in weights]
    left = amount - sum(parts)
    if left:
        order = sorted(range(len(weights)), key=lambda i: (-(amount * weights[i] % total), i))
        for i in order[:left]:
            parts[i] += 1
    return parts


def rounded(exact: Mapping[K, Fraction], keys: Iterable[K]) -> dict[K, int]:
    """Whole numbers for exact values, given in a fixed order of keys, which sum to the rounded sum (largest remainder)."""
    order = list(keys)
    floors = {key: exact[key].numerator // exact[key].denominator for key in order}
    left = round(sum(exact.values(), Fraction())) - sum(floors.values())
    for key in sorted(order, key=lambda key: floors[key] - exact[key])[:left]:
        floors[key] += 1
    return floors


def of_days(amount: int, days: int, begin: int, end: int) -> int:
    """The part of an amount that falls on days [begin, end) of its `days`, spread evenly.

    What is due up to each day is rounded down, and a part is the difference of two such sums: so the parts of any division
    into periods sum to the amount.

    >>> [of_days(100, 3, day, day + 1) for day in range(3)]
    [33, 33, 34]
    """
    if amount < 0:
        return -of_days(-amount, days, begin, end)
    return amount * end // days - amount * begin // days
