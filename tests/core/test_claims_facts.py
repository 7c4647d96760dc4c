"""A campaign's facts in the policy, as claims."""

from __future__ import annotations

import datetime as dt

import pytest

from streams.core import claims
from streams.core.policy import CampaignFacts
from streams.core.touch import Claim, Message

AT = 1_772_442_000_000  # 2026-03-02
FACTS = CampaignFacts(
    offer="Spring offer", product="Pro plan", price="49 EUR/month", discount="a fifth", deadline=dt.date(2026, 3, 31)
)


def test_facts_are_claims() -> None:
    """Facts read as claims of the same normal forms as a message's, quoted in the policy's words."""
    assert claims.of_facts(FACTS) == (
        Claim("price", "pro", "49 EUR/month", "49 EUR/month"),
        Claim("discount", "pro", "20%", "a fifth"),
        Claim("deadline", "pro", "2026-03-31", "2026-03-31"),
        Claim("offer", "pro", "spring offer", "Spring offer"),
    )
    assert claims.of_facts(CampaignFacts(discount="15 EUR"))[0].value == "15 EUR"
    assert claims.of_facts(CampaignFacts()) == ()


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("Pro: €49 a month, 20% off until 31 March.", []),
        ("Pro: €39 a month.", ["price"]),
        ("25% off until April 30.", ["discount", "deadline"]),
        ("Team is €99 a month.", []),
        ("Our Summer Kickoff offer is here.", ["offer"]),
    ],
)
def test_message_against_facts(text: str, kinds: list[str]) -> None:
    """A message contradicts the facts of its campaign where it says something else, and says so."""
    found = claims.contradictions(
        claims.of_facts(FACTS), claims.extract(Message(text=text), AT), same_campaign=True, against="campaign_facts"
    )
    assert [c.kind for c in found] == kinds
    assert all(c.against == "campaign_facts" for c in found)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (CampaignFacts(price="cheap"), "price 'cheap' is not an amount"),
        (CampaignFacts(price="49"), "write it like '49 EUR'"),
        (CampaignFacts(price="49 EUR and more"), "price"),
        (CampaignFacts(price="5 million EUR"), "price"),
        (CampaignFacts(discount="120%"), "discount '120%' is neither"),
        (CampaignFacts(discount="15 EUR/month"), "discount"),
        (CampaignFacts(offer="!!"), "offer '!!' has no letters"),
    ],
)
def test_facts_that_do_not_parse(facts: CampaignFacts, words: str) -> None:
    """A fact that does not parse is reported with its text and with what is allowed; of_facts raises the same."""
    problem = claims.check_facts(facts)
    assert problem is not None and words in problem
    with pytest.raises(ValueError, match="write"):
        claims.of_facts(facts)


def test_good_facts_have_no_problem() -> None:
    """Facts that parse are reported as None."""
    assert claims.check_facts(FACTS) is None
