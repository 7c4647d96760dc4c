"""Which claims contradict each other."""

from __future__ import annotations

import pytest

from streams.core import claims
from streams.core.outcome import Contradiction
from streams.core.touch import Claim, Message

AT = 1_772_442_000_000  # 2026-03-02


def price(value: str, subject: str = "") -> Claim:
    return Claim("price", subject, value, f"it is {value}")


def kinds(earlier: str, later: str, *, same_campaign: bool = True) -> list[tuple[str, str, str]]:
    one, other = (claims.extract(Message(text=text), AT) for text in (earlier, later))
    found = claims.contradictions(one, other, same_campaign=same_campaign)
    return [(c.kind, c.earlier_value, c.later_value) for c in found]


def test_both_quotes() -> None:
    """A contradiction carries subject, both values, both quotes as written, and what it was held against."""
    one = claims.extract(Message(text="The Pro plan is $49 a month."), AT)
    other = claims.extract(Message(text="Pro for just $39/mo – today only!"), AT)
    assert claims.contradictions(one, other, same_campaign=False) == (
        Contradiction(
            "price", "pro", "49 USD/month", "The Pro plan is $49 a month.", "39 USD/month", "Pro for just $39/mo - today only!", "message"
        ),
    )  # fmt: skip


def test_order_of_kinds() -> None:
    """Contradictions come ordered by kind: price, discount, deadline, offer."""
    earlier = "Our Spring Launch offer: 20% off Pro until 31 March. Pro is $49/month."
    later = "Our Summer Kickoff offer: Pro is $59/month, that is 10% off Pro until 30 June."
    assert [kind for kind, _, _ in kinds(earlier, later)] == ["price", "discount", "deadline", "offer"]


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("49 EUR/month", "588 EUR/year"),
        ("49 EUR/month", "490 EUR/year"),
        ("49 EUR/month", "59 USD/month"),
        ("49 EUR/month", "49 EUR/user/month"),
        ("49 EUR/month", "588 EUR"),
        ("49 EUR/month billed annually", "59 EUR/month"),
        ("49 EUR/month billed annually", "49 EUR/month"),
        ("from 49 EUR/month", "99 EUR/month"),
        ("under 50 EUR", "49 EUR"),
        ("499 EUR/once", "49 EUR/month"),
        ("49 XXX/month", "49 EUR/month"),
        ("2 EUR/contact", "49 EUR/month"),
    ],
)
def test_prices_that_can_both_be_true(earlier: str, later: str) -> None:
    """Other periods, currencies, units, ways of paying and bounds that hold are no contradiction, in either order."""
    for one, other in ((earlier, later), (later, earlier)):
        assert claims.contradictions((price(one),), (price(other),), same_campaign=True) == ()


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("49 EUR/month", "59 EUR/month"),
        ("49 EUR/year", "59 EUR/year"),
        ("49 EUR", "59 EUR/month"),
        ("49 EUR/month billed annually", "39 EUR/month"),
        ("from 49 EUR/month", "39 EUR/month"),
        ("from 49 EUR", "from 59 EUR"),
        ("under 50 EUR", "59 EUR"),
        ("49 XXX/month", "59 EUR/month"),
    ],
)
def test_prices_that_cannot_both_be_true(earlier: str, later: str) -> None:
    """Different amounts for the same period, and bounds that do not hold, are a contradiction, in either order."""
    for one, other in ((earlier, later), (later, earlier)):
        assert len(claims.contradictions((price(one),), (price(other),), same_campaign=True)) == 1


def test_subjects() -> None:
    """Another plan's price is no contradiction; without a subject only the same campaign binds."""
    pro, team, none = price("49 EUR", "pro"), price("59 EUR", "team"), price("69 EUR")
    assert claims.contradictions((pro,), (team,), same_campaign=True) == ()
    assert len(claims.contradictions((pro,), (none,), same_campaign=True)) == 1
    assert claims.contradictions((pro,), (none,), same_campaign=False) == ()
    assert claims.contradictions((none,), (price("79 EUR"),), same_campaign=False) == ()
    assert len(claims.contradictions((pro,), (price("59 EUR", "flowdesk pro"),), same_campaign=False)) == 1
    assert (
        claims.contradictions((price("9 EUR", "business"),), (price("5 EUR", "small business"),), same_campaign=True)
        == ()
    )
    assert claims.contradictions((price("500 EUR", "setup fee"),), (none,), same_campaign=True) == ()


def test_price_lists() -> None:
    """Lists contradict each other only when they have no value in common; a plan's own entry is found in a list."""
    site = (price("19 EUR", "starter"), price("49 EUR", "pro"), price("99 EUR", "team"))
    assert claims.contradictions(site, (price("49 EUR"),), same_campaign=True) == ()
    assert [c.later_value for c in claims.contradictions(site, (price("59 EUR"),), same_campaign=True)] == ["59 EUR"]
    found = claims.contradictions(site, (price("49 EUR", "pro"), price("89 EUR", "team")), same_campaign=True)
    assert [(c.subject, c.earlier_value, c.later_value) for c in found] == [("team", "99 EUR", "89 EUR")]
    assert (
        claims.contradictions(
            (price("19 EUR"), price("49 EUR")), (price("49 EUR"), price("99 EUR")), same_campaign=True
        )
        == ()
    )
    unnamed = (price("49 EUR"), price("99 EUR"))
    assert claims.contradictions(unnamed, (*site,), same_campaign=True) == ()


def test_month_differs_though_year_agrees() -> None:
    """Agreement on the yearly price does not hide a contradiction on the monthly one."""
    one = (price("49 EUR/month", "pro"), price("490 EUR/year", "pro"))
    other = (price("59 EUR/month", "pro"), price("490 EUR/year", "pro"))
    found = claims.contradictions(one, other, same_campaign=True)
    assert [(c.earlier_value, c.later_value) for c in found] == [("49 EUR/month", "59 EUR/month")]


@pytest.mark.parametrize(
    ("earlier", "later", "expected"),
    [
        ("A fifth off!", "20% off!", 0),
        ("One third off!", "33% off!", 0),
        ("Half price!", "50% off!", 0),
        ("Up to 30% off!", "20% off!", 0),
        ("Up to 30% off!", "40% off!", 1),
        ("20% off!", "$20 off!", 0),
        ("20% off!", "twenty-five percent off!", 1),
        ("$20 off!", "Save $25!", 1),
        ("Two months free!", "3 months free!", 1),
        ("Ends 31 March.", "The offer is valid until March 31st, 2026.", 0),
        ("Offer ends 31 March.", "Offer ends 1 April.", 1),
        ("Register for the webinar by 31 March.", "Offer ends 1 April.", 0),
        ("The Spring Launch offer.", 'The "Spring Launch" offer is on.', 0),
        ("The Spring Launch offer.", "Spring Launch Sale", 0),
        ("The Spring Launch offer.", "Our Winter Launch offer.", 1),
        ("We raised $5M from 200 customers.", "We raised $9M from 300 customers.", 0),
        ("Grew 20% in 2024.", "Grew 30% in 2025.", 0),
        ("Customers save 20% of their time.", "Customers save 30% of their time.", 0),
        ("Was $99, now $79.", "It's $79.", 0),
    ],
)
def test_words(earlier: str, later: str, expected: int) -> None:
    """Words and figures for the same value agree; figures that are no promise contradict nothing."""
    assert len(kinds(earlier, later)) == expected
