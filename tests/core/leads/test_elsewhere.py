"""Leads that began before what the timeline holds: nobody sees them open under two customer ids, nor of somebody who was erased."""

from __future__ import annotations

from collections import Counter

import pytest

from streams.core.leads.events import LeadEvent, still_here
from streams.core.leads.states import WITH_SALES
from streams.core.policy import parse
from tests.core.leads.people import People
from tests.core.leads.world import CUSTOMER, TEAM, at

OTHER = "c2-00000000000000000000000b"
THIRD = "c2-000000000000000000000009"
ASKED = at("2026-03-03T08:00")
MERGED = at("2026-03-05T08:00")
DAY = 86_400_000


def long_known() -> People:
    """OTHER asked and was called; by now their timeline holds only later mail."""
    people = People(parse(TEAM + '[timeline]\nmax_touches = 10\n[erasure]\nlater_touches = "fresh"\n'))
    people.touch(OTHER, "ask", "lead_form", ASKED)
    people.touch(OTHER, "call", "dialed", ASKED + 3_600_000, person=True)
    for n in range(12):
        people.touch(OTHER, f"n{n:02d}", "opened", ASKED + DAY + n)
    timeline = people.timeline(OTHER)
    assert timeline.lead_base is not None and timeline.lead_base.state == "working"
    return people


def kinds(events: list[LeadEvent]) -> list[str]:
    """What happened."""
    return [event.kind for event in events]


def open_leads(people: People, who: str) -> set[str]:
    """The leads that are with sales for whoever reads the topic."""
    last = {event.lead_id: event for event in still_here(people.standing(who))}
    return {lead_id for lead_id, event in last.items() if event.state in WITH_SALES}


@pytest.mark.parametrize("named", [True, False])
def test_a_lead_that_goes_is_closed_where_it_was(named: bool) -> None:
    """The event says whereto, at the time of the merge; under the other id the same lead says whence."""
    people = long_known()
    lead = people.timeline(OTHER).lead
    assert lead is not None and open_leads(people, OTHER) == {lead.id}
    people.merge(OTHER, CUSTOMER, MERGED, named)
    gone = people.standing(OTHER)[-1]
    assert (gone.kind, gone.state, gone.moved_to, gone.at, gone.lead_id) == (
        "carried",
        "working",
        CUSTOMER,
        MERGED,
        lead.id,
    )
    assert open_leads(people, OTHER) == set() and open_leads(people, CUSTOMER) == {lead.id}
    (here,) = people.standing(CUSTOMER)
    assert (here.kind, here.state, here.moved_from, here.moved_to) == ("carried", "working", OTHER, None)


def test_a_split_takes_it_back() -> None:
    """The lead comes back: that it went is retracted, and what was told of it stands again; and so on if they are merged once more."""
    people = long_known()
    before = people.standing(OTHER)
    for n in range(2):
        people.merge(OTHER, CUSTOMER, MERGED + n * DAY)
        assert open_leads(people, OTHER) == set()
        people.split(OTHER, MERGED + n * DAY + 1)
        back = [event for event in people.standing(OTHER) if event not in before]
        assert {(event.kind, event.moved_from, event.moved_to) for event in back} == {("carried", CUSTOMER, None)}
        assert open_leads(people, CUSTOMER) == set() and people.timeline(CUSTOMER).lead is None
        assert len(open_leads(people, OTHER)) == 1
    revisions = Counter((event.event_id, event.revision) for event in people.records)
    assert set(revisions.values()) == {1}


def test_what_is_read_again_takes_nothing_back_twice() -> None:
    """The command that brings a lead back, read twice: no event the second time."""
    people = long_known()
    people.merge(OTHER, CUSTOMER, MERGED)
    (move,) = people.split(OTHER, MERGED + 1).commands
    count = len(people.records)
    people.tell(move)
    assert len(people.records) == count


def test_an_erased_lead_is_nobodys() -> None:
    """What was told of the time before the timeline cannot be retracted: an event without content says that it is over."""
    people = long_known()
    people.erase(OTHER, MERGED)
    ended = people.standing(OTHER)[-1]
    assert (ended.kind, ended.state, ended.at, ended.owner, ended.why) == (
        "disqualified",
        "disqualified",
        MERGED,
        None,
        "",
    )
    assert open_leads(people, OTHER) == set() and people.timeline(OTHER).lead is None
    people = long_known()
    people.merge(OTHER, CUSTOMER, MERGED)
    people.erase(OTHER, MERGED + 1)
    assert open_leads(people, OTHER) == open_leads(people, CUSTOMER) == set()


def test_a_lead_that_the_timeline_holds_says_where_it_went() -> None:
    """It is retracted where it was and told where it is, with the ids of both customers; one that stays says nothing of a move."""
    people = People(parse(TEAM))
    people.touch(OTHER, "ask", "lead_form", ASKED)
    people.touch(CUSTOMER, "seen", "sent", ASKED)
    people.merge(OTHER, CUSTOMER, MERGED)
    gone = [event for event in people.records if event.status == "retracted"]
    assert kinds(gone) == ["new", "mql", "handed_off"] and {event.moved_to for event in gone} == {CUSTOMER}
    assert {event.moved_from for event in people.standing(CUSTOMER)} == {OTHER}
    people.split(OTHER, MERGED + 1)
    assert {event.moved_from for event in people.standing(OTHER)} == {CUSTOMER}
    people = People(parse(TEAM))
    people.touch(CUSTOMER, "ask", "lead_form", ASKED)
    people.touch(OTHER, "late", "replied", ASKED + 1)
    people.merge(OTHER, CUSTOMER, MERGED)
    assert {event.moved_from for event in people.standing(CUSTOMER)} == {None}


@pytest.mark.parametrize("long", [False, True])
def test_who_comes_back_to_somebody_erased_is_told_anew(long: bool) -> None:
    """OTHER was merged and split off in time, then CUSTOMER was erased, then the two are merged again: what is told of OTHER's touches
    under CUSTOMER's id has higher revisions than before, so that who folds by id sees it; also of a lead that the timeline does not hold,
    whose event of going is retracted."""
    people = long_known() if long else People(parse(TEAM))
    if not long:
        people.touch(OTHER, "ask", "lead_form", ASKED)
    people.merge(OTHER, CUSTOMER, MERGED)
    held = open_leads(people, CUSTOMER)
    assert len(held) == 1
    for n in range(2):
        people.split(OTHER, MERGED + 4 * n + 1)
        people.erase(CUSTOMER, MERGED + 4 * n + 2)
        assert open_leads(people, CUSTOMER) == set()
        people.merge(OTHER, CUSTOMER, MERGED + 4 * n + 3)
        assert open_leads(people, CUSTOMER) == held and people.handoffs(CUSTOMER).keys() == (set() if long else {"ask"})
    told = [(event.event_id, event.revision) for event in people.records]
    found = [(one.finding_id, one.revision) for one in people.findings]
    for records in (told, found):
        last: dict[str, int] = {}
        for id_, revision in records:
            assert revision > last.get(id_, 0)
            last[id_] = revision


@pytest.mark.parametrize("long", [False, True])
def test_what_is_told_later_says_where_the_lead_came_from(long: bool) -> None:
    """A call that is reported after the merge was the first: what it amends, and what it makes, says `moved_from` as what was told before
    does; so does what happens next."""
    people = long_known() if long else People(parse(TEAM))
    if not long:
        people.touch(OTHER, "ask", "lead_form", ASKED)
        people.touch(OTHER, "call", "dialed", ASKED + 3_600_000, person=True)
    people.touch(OTHER, "met", "meeting", ASKED + 2 * DAY, person=True)
    people.merge(OTHER, CUSTOMER, MERGED)
    count = len(people.records)
    late = ASKED + DAY + 20 if long else ASKED + 1_800_000
    people.touch(OTHER, "late", "meeting" if long else "dialed", late, MERGED + 1, person=True)
    people.say(CUSTOMER, "lead_deal", MERGED + 2, deal_id="d1", deal_stage="won")
    told = people.records[count:]
    wanted = {"retracted", "detected"} if long else {"retracted", "detected", "amended"}
    assert {event.status for event in told} == wanted
    assert {event.moved_from for event in told} == {OTHER}
    people.merge(CUSTOMER, THIRD, MERGED + DAY)
    assert {event.moved_from for event in people.standing(THIRD)} == {CUSTOMER}
