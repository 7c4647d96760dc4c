"""How hand-offs go, in figures, against stories whose figures were counted by hand."""

from __future__ import annotations

import pytest

from streams.core.leads.events import LeadEvent
from streams.core.ledger import books, facts
from streams.core.ledger.facts import Facts
from streams.core.ledger.lead_figures import LeadFigures, lead_figures, percentile
from streams.core.ledger.types import JourneyTouch
from tests.core.leads.world import World, at

HOUR = 3_600_000


def figures(*worlds: World, marketing: tuple[tuple[World, int], ...] = ()) -> LeadFigures:
    """The figures of what these customers' leads published; `marketing` are campaigns' mails to them."""
    known = Facts(facts.of_lead(event) for world in worlds for event in world.records)
    touches = {
        world.customer: [JourneyTouch(when, f"m{when}", "marketing", "email", "spring", None, None, "outbound", "sent")]
        for world, when in marketing
    }
    return lead_figures(books.leads(known), touches, worlds[0].policy)


def touched() -> World:
    """Asked on Monday at ten (Madrid: eleven), called an hour later, met the next day."""
    world = World(customer="c2-a")
    world.touch("form", "lead_form", at("2026-03-02T10:00"))
    world.touch("call", "dialed", at("2026-03-02T11:00"), "sales")
    world.touch("met", "meeting", at("2026-03-03T11:00"), "sales")
    return world


def given_back() -> World:
    """Asked on Tuesday at eight, rejected for bad timing."""
    world = World(customer="c2-b")
    world.touch("form", "lead_form", at("2026-03-03T08:00"))
    world.act("lead_rejected", at("2026-03-03T09:00"), reason="bad_timing")
    return world


def forgotten() -> World:
    """Asked on Tuesday at eight; the SLA of four hours ran out at twelve, nobody has called by then."""
    world = World(customer="c2-c")
    world.touch("form", "lead_form", at("2026-03-03T08:00"))
    world.tick(at("2026-03-03T12:30"))
    return world


def test_answers_reasons_and_clocks() -> None:
    """One of three was worked on, one given back with its reason, one unanswered; of the two that came at nine in Madrid one was not
    touched in time."""
    found = figures(touched(), given_back(), forgotten())
    assert found.answers == {
        ("2026-Q1", "iberia", "accepted"): 1, ("2026-Q1", "iberia", "rejected"): 1, ("2026-Q1", "iberia", "no_answer"): 1,
    }  # fmt: skip
    assert found.reasons == {("2026-Q1", "bad_timing"): 1}
    assert found.assigned == {("2026-Q1", "iberia", 9): 2, ("2026-Q1", "iberia", 11): 1}
    assert +found.breached == {("2026-Q1", "iberia", 9): 1}


def test_speed_and_time_in_state() -> None:
    """An hour from the form to the call, in both clocks; a day from the call to the meeting was spent in working."""
    found = figures(touched())
    assert found.speeds == {("2026-Q1", "iberia", "elapsed"): [HOUR], ("2026-Q1", "iberia", "business"): [HOUR]}
    assert found.stays["2026-Q1", "working"] == [24 * HOUR]
    assert "qualified" not in {state for _, state in found.stays}, "it is still there"


def test_a_lead_that_is_reassigned_is_one_hand_off_with_two_clocks() -> None:
    """Nobody called, another rep got it: one hand-off without an answer, two assignments, the first of them breached."""
    world = World(customer="c2-d")
    world.touch("form", "lead_form", at("2026-03-03T08:00"))
    world.tick(at("2026-03-04T10:00"))
    found = figures(world)
    assert found.answers.total() == 1 and found.assigned.total() == 2 and found.breached.total() == 1


def test_open_leads_and_their_problems() -> None:
    """A lead that waits past its due time is overdue; one that sales works on has no problem, until a campaign reaches the customer; one
    that was given back is not open."""
    now = at("2026-03-03T12:30")

    def problems(found: LeadFigures) -> list[list[str]]:
        return [lead.problems(now) for lead in found.open]

    assert problems(figures(forgotten())) == [["overdue"]]
    assert figures(forgotten()).open[0].problems(at("2026-03-03T11:30")) == []
    assert problems(figures(given_back())) == []
    assert problems(figures(touched())) == [[]]
    during, before = at("2026-03-02T12:00"), at("2026-03-02T09:00")
    world = touched()
    assert problems(figures(world, marketing=((world, during),))) == [["contradicted"]]
    assert problems(figures(world, marketing=((world, before),))) == [[]]


def test_a_campaign_that_stops_contradicts_no_more() -> None:
    """Seven days after the campaign's last mail the lead, which is open still, is contradicted no more."""
    world, mails = touched(), ("2026-03-02T12:00", "2026-03-04T12:00")
    (lead,) = figures(world, marketing=tuple((world, at(mail)) for mail in mails)).open
    assert lead.problems(at("2026-03-11T11:59")) == ["contradicted"]
    assert lead.problems(at("2026-03-11T12:00")) == []


def test_a_campaign_contradicts_only_while_sales_has_the_customer() -> None:
    """A mail before the hand-off or after it was given back contradicts nothing; one between does."""
    world = given_back()
    for when, count in (("2026-03-03T07:59", 0), ("2026-03-03T08:30", 1), ("2026-03-03T09:30", 0)):
        found = figures(world, marketing=((world, at(when)),))
        assert found.contradicted.total() == count, when


def test_the_books_have_the_hand_offs_as_files_do() -> None:
    """For the quarrel's table the changes are those of a file: one hand-off each, its answer with the reason; nothing of timers."""
    known = Facts(facts.of_lead(event) for world in (touched(), given_back(), forgotten()) for event in world.records)
    leads = books.resolve(known).leads
    told = {customer: [(e.state, e.reason) for e in events if e.state in ("handed_off", "rejected", "working")]
            for customer, events in leads.items()}  # fmt: skip
    assert told == {
        "c2-a": [("handed_off", None), ("working", None)],
        "c2-b": [("handed_off", None), ("rejected", "bad_timing")],
        "c2-c": [("handed_off", None)],
    }


@pytest.mark.parametrize(("share", "wanted"), [(0.5, 5), (0.9, 9), (1.0, 10), (0.01, 1)])
def test_percentiles_are_values_that_occurred(share: float, wanted: int) -> None:
    """Nearest rank: of the numbers from 1 to 10 the median is 5, the ninetieth percentile 9."""
    assert percentile(range(10, 0, -1), share) == wanted


def test_a_retracted_change_is_none() -> None:
    """A call that was made in time, but told late, takes the breach back: no assignment is breached any more."""
    world = forgotten()
    world.touch("call", "dialed", at("2026-03-03T11:30"), "sales", came=at("2026-03-03T12:40"))
    assert any(isinstance(event, LeadEvent) and event.status == "retracted" for event in world.records)
    assert figures(world).breached.total() == 0
