"""`incongruent_message` on a timeline; what counts as a contradiction is proven by the claims' own tests."""

from __future__ import annotations

import pytest

from streams.core.outcome import Finding
from streams.core.policy import CampaignFacts, IncongruencePolicy, Policy
from streams.core.touch import Message, Touch
from tests.core import made
from tests.core.made import DAY, HOUR, ids, touch

AT_49 = Message(subject="Prices", text="The Pro plan is €49 per month.")
AT_59 = Message(subject="Prices", text="The Pro plan is €59 per month.")
FACTS = Policy(campaigns={"spring": CampaignFacts(product="Pro", price="49 EUR/month")})


def found(*touches: Touch, policy: Policy | None = None) -> list[Finding]:
    """Incongruent messages only."""
    return made.found("incongruent_message", *touches, policy=policy)


def test_two_prices_for_one_plan_are_both_quoted() -> None:
    """The finding holds both quotes, earlier and later, in evidence and contradiction, and the sentence has them."""
    (finding,) = found(touch("a", "sent", 0, message=AT_49), touch("b", "message_sent", DAY, "sales", message=AT_59))
    assert finding.touch_ids == ("a", "b")
    (wrong,) = finding.contradictions
    assert (wrong.kind, wrong.against) == ("price", "message")
    assert "€49" in wrong.earlier_quote
    assert "€59" in wrong.later_quote
    assert [(proof.role, proof.quote) for proof in finding.evidence] == [
        ("earlier_message", wrong.earlier_quote),
        ("message", wrong.later_quote),
    ]
    assert wrong.earlier_quote in finding.reason
    assert wrong.later_quote in finding.reason


@pytest.mark.parametrize(("apart", "count"), [(30 * DAY - 1, 1), (30 * DAY, 0)])
def test_messages_further_apart_than_the_window_may_differ(apart: int, count: int) -> None:
    """Exactly the window apart is no contradiction."""
    assert len(found(touch("a", "sent", message=AT_49), touch("b", "sent", apart, message=AT_59))) == count


def test_only_the_nearest_contradicting_message_is_named() -> None:
    """A third message is compared backwards and stops at the first contradiction."""
    history = [
        touch("a", "sent", message=AT_49),
        touch("b", "sent", HOUR, message=AT_49),
        touch("c", "sent", DAY, message=AT_59),
    ]
    assert ids(found(*history)) == [("b", "c")]


@pytest.mark.parametrize(
    ("kind", "direction", "count"),
    [("delivered", "outbound", 0), ("replied", "inbound", 0), ("impression", "outbound", 1)],
)
def test_what_the_customer_was_not_told_is_no_message(kind: str, direction: str, count: int) -> None:
    """Reports and the customer's own words do not count; an ad does."""
    other = touch("b", kind, HOUR, message=AT_59, direction=direction)
    assert len(found(touch("a", "sent", message=AT_49), other)) == count


def test_a_message_is_held_against_the_facts_of_its_campaign() -> None:
    """A price that the campaign does not have is a finding of that message alone; another campaign's message is none."""
    wrong = touch("a", "sent", message=AT_59, campaign="spring")
    (finding,) = found(wrong, policy=FACTS)
    assert (finding.touch_ids, finding.contradictions[0].against) == (("a",), "campaign_facts")
    assert "but the facts of the campaign 'spring' are: price" in finding.reason
    assert found(touch("a", "sent", message=AT_59, campaign="autumn"), policy=FACTS) == []
    assert found(touch("a", "sent", message=AT_49, campaign="spring"), policy=FACTS) == []


def test_the_rule_can_be_turned_off() -> None:
    """`enabled = false` compares nothing."""
    policy = Policy(incongruent_message=IncongruencePolicy(enabled=False))
    assert found(touch("a", "sent", message=AT_49), touch("b", "sent", HOUR, message=AT_59), policy=policy) == []
