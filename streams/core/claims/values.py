"""The normal forms of claim values, and how two of one kind relate: "agree", "differ", or "apart" (not comparable).

Forms: price "[from|under ]49 EUR[/user][/month][ billed annually]", discount "[up to ]20%", "[up to ]15 EUR" or "2 months",
deadline "2026-03-31", offer "spring offer". Currency XXX (ISO 4217: no currency) stands for an amount written without one.
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache
from typing import Literal

from msgspec import Struct

from streams.core.claims.text import words

Relation = Literal["agree", "differ", "apart"]

_PERIODS_A_YEAR = {"year": 1, "quarter": 4, "month": 12}
_PRICE = re.compile(
    r"(?:(from|under) )?(\d+(?:\.\d+)?) ([A-Z]{3})(?:/(user|contact|unit))?"
    r"(?:/(once|hour|day|week|month|quarter|year))?( billed annually)?"
)
_DISCOUNT = re.compile(r"(up to )?(\d+(?:\.\d+)?)(%| [A-Z]{3}| months)")
_GENERIC = words("the our a an offer offers sale deal deals promotion promo special discount campaign event savings")


class Price(Struct, frozen=True, gc=False):
    """A price. `bound` "from" is a least and "under" a most amount; `annual` means paid for a year at once."""

    amount: Decimal
    currency: str
    unit: str = ""
    period: str = ""
    annual: bool = False
    bound: str = ""

    def __str__(self) -> str:
        unit = f"/{self.unit}" if self.unit else ""
        period = f"/{self.period}" if self.period else ""
        bound = f"{self.bound} " if self.bound else ""
        return f"{bound}{self.amount:f} {self.currency}{unit}{period}{' billed annually' if self.annual else ''}"


@lru_cache(maxsize=4096)
def price(value: str) -> Price:
    """The price behind a normal form.

    Raises:
        ValueError: the text is not the normal form of a price.
    """
    match = _PRICE.fullmatch(value)
    if match is None:
        raise ValueError(f"{value!r} is not a price like '49 EUR' or '49 EUR/month'")
    bound, amount, currency, unit, period, annual = match.groups()
    return Price(Decimal(amount), currency, unit or "", period or "", bool(annual), bound or "")


def relate(kind: str, one: str, other: str) -> Relation:
    """How two values of a claim kind relate. Symmetric; a value always agrees with itself.

    Raises:
        ValueError: a value is not in the normal form of its kind.
    """
    if one == other:
        return "agree"
    if kind == "price":
        return _prices(price(one), price(other))
    if kind == "discount":
        return _discounts(one, other)
    if kind == "offer":
        return _offers(one, other)
    return "differ"


def _prices(one: Price, other: Price) -> Relation:
    if one.currency != other.currency and "XXX" not in (one.currency, other.currency):
        return "apart"
    if one.unit != other.unit and "contact" in (one.unit, other.unit):
        return "apart"
    if one.period and other.period and one.period != other.period:
        return "agree" if _a_year(one) is not None and _a_year(one) == _a_year(other) else "apart"
    if "once" in (one.period, other.period) and one.period != other.period:
        return "apart"
    if _fits(one, other):
        return "agree"
    if one.period != other.period:
        # Only one names its period: "588" may be the year's price of "49 a month".
        known, bare = (one, other) if one.period else (other, one)
        times = _PERIODS_A_YEAR.get(known.period)
        if times and bare.amount in (known.amount * times, known.amount * 12 / times, known.amount / 12):
            return "agree"
    if one.annual != other.annual:
        # Paying by the month may cost more than paying for the year at once, never less.
        yearly, plain = (one, other) if one.annual else (other, one)
        return "differ" if plain.amount < yearly.amount and not plain.bound else "apart"
    return "differ"


def _a_year(value: Price) -> Decimal | None:
    times = _PERIODS_A_YEAR.get(value.period)
    return None if times is None else value.amount * times


def _fits(one: Price, other: Price) -> bool:
    bounds = {one.bound, other.bound}
    if one.bound == other.bound:
        return one.amount == other.amount
    if "" not in bounds:
        low, high = (one, other) if one.bound == "from" else (other, one)
        return low.amount <= high.amount
    limit, exact = (one, other) if one.bound else (other, one)
    return exact.amount >= limit.amount if limit.bound == "from" else exact.amount <= limit.amount


def _discounts(one: str, other: str) -> Relation:
    a, b = _DISCOUNT.fullmatch(one), _DISCOUNT.fullmatch(other)
    if a is None or b is None:
        raise ValueError(f"{one!r} or {other!r} is not a discount like '20%' or '15 EUR'")
    if a[3] != b[3]:
        return "apart"
    x, y = Decimal(a[2]), Decimal(b[2])
    if bool(a[1]) != bool(b[1]):
        most, exact = (x, y) if a[1] else (y, x)
        return "agree" if exact <= most else "differ"
    # "a third off" is written 33%, 33.3% or 33.33%: a repeating fraction agrees with its roundings.
    thirds = {str(v % 1)[:3] for v in (x, y)} & {"0.3", "0.6", "0.7"}
    return "agree" if thirds and abs(x - y) < Decimal("0.75") else "differ"


def _offers(one: str, other: str) -> Relation:
    a, b = set(one.split()) - _GENERIC, set(other.split()) - _GENERIC
    return "agree" if a <= b or b <= a else "differ"
