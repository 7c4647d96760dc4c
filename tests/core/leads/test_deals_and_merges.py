"""Deals of customers who turn out to be one: the ledger knows of the merge before their timelines do, so what it tells of one deal may
stand on two of them, in any order."""

from __future__ import annotations

import pytest

from streams.core.leads import asked
from streams.core.leads.deal_acts import counts_from
from streams.core.leads.follow import history
from streams.core.policy import parse
from streams.core.timeline import touch_count
from tests.core.leads.people import People
from tests.core.leads.world import CUSTOMER, TEAM, at

OTHER = "c2-00000000000000000000000b"
ASKED, TOLD, MERGED = at("2026-03-03T08:00"), at("2026-03-04T08:00"), at("2026-03-05T08:00")
HOUR = 3_600_000
DAY = 24 * HOUR


def asked_and_called(policy: str = "") -> People:
    """OTHER asked, and was called."""
    people = People(parse(TEAM + policy))
    people.touch(OTHER, "ask", "lead_form", ASKED)
    people.touch(OTHER, "call", "dialed", ASKED + HOUR, person=True)
    return people


def tell(
    people: People, who: str, version: int, stage: str, deal_at: int | None = None, by: str = "", after: int = 0
) -> None:
    """The ledger tells a customer of the deal, whose it is `by` an identifier, some time after `TOLD`."""
    people.say(
        who, asked.DEAL, TOLD + after + version, deal_id="d1", deal_stage=stage, deal_at=deal_at, deal_version=version,
        requested_by=asked.LEDGER, identifiers=(by or who,),
    )  # fmt: skip


def sound(people: People) -> str:
    """Where the customer's lead stands, which is what its history says and what readers of the topic see."""
    timeline = people.timeline(CUSTOMER)
    assert timeline.lead is not None and history(timeline, people.policy)[0] == timeline.lead
    assert people.standing(CUSTOMER)[-1].state == timeline.lead.state
    assert people.standing(OTHER) == [] or people.standing(OTHER)[-1].moved_to == CUSTOMER
    return f"{timeline.lead.state} {timeline.lead.deal}".strip()


def test_a_deal_that_a_merge_brings_after_its_deletion_stays_away() -> None:
    """The deletion reaches the customer who survives, of whom nothing is known yet; the timeline that has the deal comes later. Split off
    again, the deal does not come back either; a later version of it does."""
    people = asked_and_called()
    tell(people, OTHER, 1, "open")
    tell(people, CUSTOMER, 2, asked.DELETED)
    assert people.timeline(CUSTOMER).lead is None and touch_count(people.timeline(CUSTOMER)) == 0
    people.merge(OTHER, CUSTOMER, MERGED)
    assert sound(people) == "working"
    people.split(OTHER, MERGED + HOUR)
    lead = people.timeline(OTHER).lead
    assert lead is not None and lead.state == "working"
    people.merge(OTHER, CUSTOMER, MERGED + 2 * HOUR)
    tell(people, CUSTOMER, 3, "open")
    assert sound(people) == "opportunity d1"


def test_a_merge_brings_the_deletion_of_a_deal() -> None:
    """The customer who survives has the deal, the other one its deletion: after the merge it never was, and that is told."""
    people = asked_and_called()
    people.touch(CUSTOMER, "mine", "lead_form", ASKED + HOUR)
    tell(people, CUSTOMER, 1, "open")
    lead = people.timeline(CUSTOMER).lead
    assert lead is not None and lead.state == "opportunity"
    tell(people, OTHER, 2, asked.DELETED)
    people.merge(OTHER, CUSTOMER, MERGED)
    assert sound(people) == "working"


def test_a_lead_that_a_merge_brings_does_not_wait_for_a_deleted_deal() -> None:
    """What the deal led to was pruned before the deletion: the lead came with the deal, and loses it."""
    people = asked_and_called("[timeline]\nmax_touches = 10\n")
    tell(people, OTHER, 1, "open", ASKED + 2 * HOUR)
    for n in range(12):
        people.touch(OTHER, f"n{n:02d}", "opened", ASKED + 3 * HOUR + n)
    tell(people, CUSTOMER, 2, asked.DELETED)
    people.merge(OTHER, CUSTOMER, MERGED)
    assert sound(people) == "lost d1"


@pytest.mark.parametrize("there", [1, 2])
def test_versions_on_two_timelines_are_in_order_after_a_merge(there: int) -> None:
    """One version stands with the customer who goes, the other with who stays; the CRM dates the end before the beginning. The deal is
    lost, whichever came first."""
    people = asked_and_called()
    days = {1: ("open", ASKED + 3 * HOUR), 2: ("lost", ASKED + 2 * HOUR)}
    for version, (stage, day) in days.items():
        tell(people, OTHER if version == there else CUSTOMER, version, stage, day)
    people.merge(OTHER, CUSTOMER, MERGED)
    assert sound(people) == "lost d1"


def test_a_mark_goes_when_its_customer_is_erased() -> None:
    """Nothing is left of the deal's deletion."""
    people = asked_and_called('[erasure]\nlater_touches = "fresh"\n')
    tell(people, OTHER, 1, asked.DELETED)
    assert counts_from(people.timeline(OTHER), "d1")
    people.erase(OTHER, MERGED)
    assert not counts_from(people.timeline(OTHER), "d1")


def test_a_deal_goes_with_the_identifier_that_it_is_the_customers_by() -> None:
    """Told to the merged customer, it leaves with OTHER's touches when they are split off; its deletion, told to who had it by a ledger
    that did not know of the split yet, is sent on."""
    people = asked_and_called()
    people.touch(CUSTOMER, "mine", "opened", ASKED)
    people.merge(OTHER, CUSTOMER, MERGED)
    tell(people, CUSTOMER, 1, "open", ASKED + 2 * HOUR, by=OTHER, after=2 * DAY)
    assert sound(people) == "opportunity d1"
    people.split(OTHER, MERGED + 2 * DAY)
    lead = people.timeline(OTHER).lead
    assert lead is not None and (lead.state, lead.deal) == ("opportunity", "d1")
    assert [entry.id for entry in people.timeline(CUSTOMER).entries] == ["mine"]
    tell(people, CUSTOMER, 2, asked.DELETED, by=OTHER, after=4 * DAY)
    lead = people.timeline(OTHER).lead
    assert lead is not None and lead.state == "working"
    assert counts_from(people.timeline(OTHER), "d1")
    assert [entry.id for entry in people.timeline(CUSTOMER).entries] == ["mine"]
