"""The figures: every table of every model sums to the closed revenue, every cost to what was paid, in any order."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import astuple, replace

from streams.core.ledger import money
from streams.core.ledger.money import MoneyError
from streams.core.ledger.policy import MODELS, LedgerPolicy
from streams.core.ledger.result import (
    CONTACTS,
    CREDIT,
    REVENUE,
    SPEND,
    TOUCHES,
    Ledger,
    LedgerError,
    decode,
    encode,
    roi,
)
from streams.core.ledger.types import DAY_MS, DIMENSIONS, NONE, UNATTRIBUTED, Cost, Deal
from streams.core.touch import Actor, Customer, Money, Touch
from tests.ledger import strategies
from tests.ledger.books import ledger
from tests.ledger.strategies import START

DANA = Customer(email="dana@example.com")
books = st.tuples(strategies.touches(), strategies.deals(), strategies.costs(), strategies.leads())


@settings(max_examples=40, deadline=None)
@given(books)
def test_attributed_revenue_is_closed_revenue(book) -> None:  # type: ignore[no-untyped-def]
    """For every model, currency, month and dimension the credits sum to the revenue of the deals won, to the cent."""
    found = ledger(*book)
    won = Counter()
    for deal in book[1]:
        if deal.stage == "won" and found.period.holds(deal.closed_at):
            won[deal.amount.currency] += money.minor(deal.amount)
    for currency in found.currencies:
        assert found.total(REVENUE, currency) == won[currency]
        by_month = found.by("month", REVENUE, currency)
        for model in MODELS:
            credit = found.by("month", CREDIT + model, currency)
            assert all(credit.get(month, 0) == by_month.get(month, 0) for month in found.months)
            for dimension in DIMENSIONS:
                assert sum(found.by(dimension, CREDIT + model, currency).values()) == won[currency]
    assert set(won) <= {*found.currencies, *[currency for currency, value in won.items() if value == 0]}


@settings(max_examples=40, deadline=None)
@given(books)
def test_costs_sum_to_what_was_paid(book) -> None:  # type: ignore[no-untyped-def]
    """Over all time the spend is what the costs say, to the cent; and two halves of a time are the whole."""
    whole, early, late = (
        ledger(*book, period=period)
        for period in ("2026-01-01..2027-12-31", "2026-01-01..2026-08-14", "2026-08-15..2027-12-31")
    )
    paid = Counter()
    for cost in book[2]:
        paid[cost.amount.currency] += money.minor(cost.amount)
    for currency in strategies.CURRENCIES:
        for found, expected in ((whole, paid[currency]), (early, paid[currency] - _paid(late, currency))):
            assert _paid(found, currency) == expected


def _paid(found: Ledger, currency: str) -> int:
    """The spend but for single touches, whose fractions of cents are rounded in every period."""
    return found.total(SPEND, currency) - found.total("spend.touch", currency)


@settings(max_examples=40, deadline=None)
@given(books)
def test_a_quarter_is_the_sum_of_its_months(book) -> None:  # type: ignore[no-untyped-def]
    """What a quarter says of a month is what a report on that month says: all but Markov, which learns from the whole period."""
    quarter = ledger(*book)
    months = [ledger(*book, period=month) for month in quarter.months]

    def told(found: Ledger) -> dict[object, int]:
        return {figure[:-1]: figure[-1] for figure in map(astuple, found.figures) if figure[1] != "credit.markov"}

    together: dict[object, int] = {}
    for month in months:
        assert not together.keys() & told(month).keys()
        together |= told(month)
    assert told(quarter) == together
    assert sum(len(month.lines) for month in months) == len(quarter.lines)


@settings(max_examples=30, deadline=None)
@given(books, st.randoms(use_true_random=False))
def test_order_changes_no_byte(book, rng: random.Random) -> None:  # type: ignore[no-untyped-def]
    """The exported ledger of shuffled records is the same to the byte, and is read back as it was."""
    found = ledger(*book)
    first = encode(found)
    again = encode(ledger(*[rng.sample(part, len(part)) for part in book]))
    assert again == first
    assert decode(first) == found


def touch(id_: str, day: float, department: str = "marketing", **more: object) -> Touch:
    """A mail, some days after the quarter began."""
    return replace(Touch(id_, "email", department, "outbound", "sent", START + int(day * DAY_MS), DANA), **more)  # type: ignore[arg-type]


def deal(amount: str = "100.00", day: float = 40) -> Deal:
    """A deal of Dana's, won some days after the quarter began."""
    return Deal("opp", DANA, "won", START, START + int(day * DAY_MS), Money(amount, "EUR"), "ann")


def test_the_example_of_the_seed() -> None:
    """Twenty thousand paid for ads, two hundred thousand brought in: 900 per cent, ten back for each one, under every model."""
    paid = Cost("ads", "marketing", "ad_spend", START // DAY_MS, START // DAY_MS + 91, Money("20000", "EUR"), "ads")
    found = ledger([touch("a", 1), touch("b", 5)], [deal("200000")], [paid])
    for model in MODELS:
        income, spend = found.by("department", CREDIT + model, "EUR"), found.by("department", SPEND, "EUR")
        assert (income, spend) == ({"marketing": 200_000_00}, {"marketing": 20_000_00})
        assert roi(income["marketing"], spend["marketing"]) == 9.0


def test_what_is_paid_back() -> None:
    """A refund that is booked as a deal of its own takes credit back where the sale gave it, under every model, and is no second sale for
    Markov's model to learn from; one that is a later version of the sale leaves what remains."""
    path = [touch("a", 1), touch("b", 5, "sales"), touch("c", 9)]
    sale, refund = deal("1000.00"), replace(deal("-300.01", day=42), deal_id="refund")
    found = ledger(path, [sale, refund])
    amended = ledger(path, [sale, replace(deal("699.99"), version=2)])
    assert found.total(REVENUE, "EUR") == amended.total(REVENUE, "EUR") == 699_99
    for model in MODELS:
        credit = [one.by("department", CREDIT + model, "EUR") for one in (found, amended)]
        assert sum(credit[0].values()) == sum(credit[1].values()) == 699_99
        if model != "time_decay":  # its weights do not depend on the close, but cents are divided twice
            assert all(abs(value - credit[1][key]) <= 1 for key, value in credit[0].items())
    assert found.effects == ledger(path, [sale]).effects


@pytest.mark.parametrize("amount", [Money("-300.01", "EUR"), Money("-1", "JPY")])
def test_what_is_paid_back_is_no_sale(amount: Money) -> None:
    """However little it is, also nothing in the ledger's currency: Markov's model learns nothing from it, and its line is told apart."""
    path = [touch("a", 1), touch("b", 5, "sales"), touch("other", 3, customer=Customer(email="lee@example.com"))]
    sale, refund = deal("1000.00"), replace(deal(day=42), deal_id="refund", amount=amount)
    policy = LedgerPolicy(currency="EUR", rates={"JPY": 0.004})
    found, sold = ledger(path, [sale, refund], policy=policy), ledger(path, [sale], policy=policy)
    assert found.effects == sold.effects
    assert [(line.deal_id, line.refund) for line in found.lines] == [("opp", False), ("refund", True)]


def test_credit_notes_have_no_return() -> None:
    """What was spent is less than nothing when more came back of earlier costs: no return on investment is told for it."""
    assert (roi(100_00, 0), roi(100_00, -5_00)) == (None, None)


def test_a_deal_without_touches_stands_alone() -> None:
    """Nobody gets the credit of a deal that no touch led to, or only one beyond the look-back; its revenue stands with its owner."""
    found = ledger([touch("too early", 1)], [deal(day=91.5)])
    assert found.by("department", "credit.linear", "EUR") == {UNATTRIBUTED: 100_00}
    assert found.by("rep", REVENUE, "EUR") == {"ann": 100_00}
    assert found.lines[0].touches == ()


def test_cells_name_what_is_missing() -> None:
    """A touch without campaign counts under none; a robot is no rep; a rep's credit goes by the actor's id."""
    robot, rep = (
        touch("a", 1, actor=Actor("mailer", None, "automation")),
        touch("b", 2, "sales", campaign="spring", actor=Actor("ann", "Ann")),
    )
    found = ledger([robot, rep], [deal()])
    assert found.by("rep", "credit.linear", "EUR") == {NONE: 50_00, "ann": 50_00}
    assert found.by("campaign", "credit.last", "EUR") == {"spring": 100_00}
    assert found.by("rep", TOUCHES) == found.by("rep", CONTACTS) == {NONE: 1, "ann": 1}
    assert found.reps == {"ann": "Ann"}


def test_touches_may_cost_less_than_a_cent() -> None:
    """A thousand messages at 0.0079 cost 7.90 together, not nothing, and the cells sum to it."""
    messages = [
        touch(f"m{n}", 1 + n / 1000, ("marketing", "sales")[n % 2], cost=Money("0.0079", "EUR")) for n in range(1000)
    ]
    found = ledger(messages)
    assert found.by("department", "spend.touch", "EUR") == {"marketing": 395, "sales": 395}
    odd = ledger(messages[:13])  # 10.27 cents: the sum is rounded, then its parts
    assert odd.total("spend.touch", "EUR") == 10


def test_one_currency_by_a_table() -> None:
    """With a currency in the policy all money is in it, converted record by record; a currency without a rate is an error."""
    deals = [deal("100.00"), replace(deal(), deal_id="yen", amount=Money("10000", "JPY"))]
    policy = LedgerPolicy(currency="EUR", rates={"JPY": 0.0061})
    found = ledger([touch("a", 1)], deals, policy=policy)
    assert found.currencies == ("EUR",)
    assert found.total(REVENUE, "EUR") == 161_00 == found.total("credit.markov", "EUR")
    with pytest.raises(MoneyError, match="no rate from JPY to EUR"):
        ledger([], deals, policy=LedgerPolicy(currency="EUR"))


def test_an_export_that_is_none_is_refused() -> None:
    """Other JSON, and a ledger of another version, are refused in words."""
    with pytest.raises(LedgerError, match="not a ledger that `touchstream report --json` wrote"):
        decode(b"{}")
    later = replace(ledger(), version=99)
    with pytest.raises(LedgerError, match="a ledger of version 99, this release reads version 1"):
        decode(encode(later))
