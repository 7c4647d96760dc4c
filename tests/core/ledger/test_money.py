"""Money adds up: whatever it is divided by, no cent is lost or made."""

from __future__ import annotations

import itertools
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.ledger import money
from streams.core.ledger.money import MoneyError
from streams.core.touch import Money

amounts = st.integers(-(10**15), 10**15)
weights = st.lists(st.integers(0, 10**12), min_size=1, max_size=40).filter(any)


@settings(deadline=None)
@given(amounts, weights)
def test_parts_sum_to_the_amount_and_are_a_unit_from_their_share(amount: int, shares: list[int]) -> None:
    """The parts sum to the amount, each is less than one unit from its exact share, and no weight means no part."""
    parts = money.apportion(amount, shares)
    assert sum(parts) == amount
    for part, share in zip(parts, shares, strict=True):
        assert abs(part - Fraction(amount * share, sum(shares))) < 1
        assert share or part == 0


@settings(deadline=None)
@given(amounts, weights, st.integers(1, 1000))
def test_parts_depend_on_proportions_only(amount: int, shares: list[int], factor: int) -> None:
    """Weights that are all some times larger give the same parts, and the opposite amount the opposite parts."""
    parts = money.apportion(amount, shares)
    assert money.apportion(amount, [factor * share for share in shares]) == parts
    assert money.apportion(-amount, shares) == [-part for part in parts]


@settings(deadline=None)
@given(amounts, st.integers(1, 400), st.lists(st.integers(0, 400), max_size=6))
def test_days_of_any_division_sum_to_the_amount(amount: int, days: int, cuts: list[int]) -> None:
    """Cut anywhere, the parts of a cost sum to it, and none is more than a unit from its share of the days."""
    edges = sorted({0, days, *(cut for cut in cuts if cut <= days)})
    parts = [money.of_days(amount, days, a, b) for a, b in itertools.pairwise(edges)]
    assert sum(parts) == amount
    for part, (a, b) in zip(parts, itertools.pairwise(edges), strict=True):
        assert abs(part - Fraction(amount * (b - a), days)) < 1


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.text(max_size=3), st.fractions(-1000, 1000), min_size=1, max_size=12))
def test_rounded_values_sum_to_the_rounded_sum(exact: dict[str, Fraction]) -> None:
    """Fractions of cents, rounded, sum to their rounded sum, each less than a unit from what it was."""
    whole = money.rounded(exact, sorted(exact))
    assert sum(whole.values()) == round(sum(exact.values(), Fraction()))
    assert all(abs(whole[key] - exact[key]) < 1 for key in exact)


def test_units_are_the_currencys() -> None:
    """Euros have cents, yen none, Kuwaiti dinars a thousand fils; text and number agree."""
    assert money.minor(Money("49.90", "EUR")) == 4990
    assert money.minor(Money("5000", "JPY")) == 5000
    assert money.minor(Money("-1.005", "KWD")) == -1005
    assert [money.text(4990, "EUR"), money.text(5, "JPY"), money.text(-1, "KWD"), money.text(0, "EUR")] == [
        "49.90",
        "5",
        "-0.001",
        "0.00",
    ]


def test_what_cannot_be_paid_is_refused() -> None:
    """An amount finer than its currency is refused with what to do; zeros behind the last decimal are no harm."""
    assert money.minor(Money("1.2000", "EUR")) == 120
    with pytest.raises(MoneyError, match=r"1\.005 EUR is finer than the currency's 2 decimals; round it at its source"):
        money.minor(Money("1.005", "EUR"))


def test_conversion_rounds_half_to_even_by_the_rate_as_written() -> None:
    """One unit is worth what the table says, in decimal: 0.05 USD at 0.1 is half a cent, which rounds to none; 0.15 to two."""
    rates = {"USD": 0.1, "JPY": 0.0061}
    converted = [
        money.converted(Money(amount, currency), "EUR", rates)
        for amount, currency in (("0.05", "USD"), ("0.15", "USD"), ("1000", "JPY"))
    ]
    assert converted == [0, 2, 610]
    assert money.converted(Money("3.33", "EUR"), "EUR", {}) == 333
    with pytest.raises(MoneyError, match=r"no rate from GBP to EUR; add GBP to \[ledger.rates\]"):
        money.converted(Money("1", "GBP"), "EUR", rates)
