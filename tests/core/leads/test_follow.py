"""A timeline that changes in its middle: its lead's history is folded once, and only what may differ is compared."""

from __future__ import annotations

import pytest

from streams.core.leads import fold
from streams.core.leads.follow import history, parted
from streams.core.policy import parse
from tests.core.leads.people import People
from tests.core.leads.world import CUSTOMER, TEAM, World, at

START = at("2026-03-02T08:00")
DAY = 86_400_000


def busy(touches: int) -> World:
    """A customer who asked, was called, and then only got mail."""
    world = World()
    world.touch("ask", "lead_form", START)
    world.touch("call", "dialed", START + 3_600_000, "sales")
    for n in range(touches):
        world.touch(f"m{n:04d}", "sent", START + DAY + n * 60_000)
    return world


def test_a_late_touch_folds_the_history_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mail that comes late changes nothing of the lead: each entry is folded once, and both histories are not gone through."""
    world = busy(200)
    folded: list[str] = []
    real = fold.fold
    monkeypatch.setattr(fold, "fold", lambda lead, entry, *rest: (folded.append(entry.id), real(lead, entry, *rest))[1])
    count = len(world.records)
    world.touch("late", "sent", START + DAY + 90_500, came=START + 3 * DAY)
    assert len(folded) == len(world.timeline.entries) and len(set(folded)) == len(folded)
    assert len(world.records) == count


def test_what_a_late_touch_changes_is_told() -> None:
    """A call that was made before the one that is known stops the clock at its own time; the two changes that part are those of the calls,
    and what comes after both is not compared."""
    world = busy(20)
    before = world.timeline
    world.touch("earlier", "dialed", START + 1_800_000, "sales", came=START + 3 * DAY)
    lead, gone, came = parted(before, world.timeline, world.policy)
    assert lead == history(world.timeline, world.policy)[0] == world.lead
    assert [(change.kind, change.cause) for change in gone] == [("working", "call")]
    assert [(change.kind, change.cause) for change in came] == [("working", "earlier")]
    assert [line for line in world.told() if "working" in line] == ["2026-03-02T08:30 working working"]


def test_a_hand_off_is_due_when_its_lead_is() -> None:
    """The finding says until when as the lead's event does, in the team's working time since the assignment, and is told once; another
    rep's later time amends it, and a request that comes late and was the first is due then, too."""
    people = People(parse(TEAM))
    people.touch(CUSTOMER, "ask", "lead_form", at("2026-03-06T14:00"), came=at("2026-03-06T15:00"))
    (finding,) = people.findings
    lead = people.timeline(CUSTOMER).lead
    assert lead is not None and finding.handoff is not None
    assert (finding.handoff.due_at, finding.revision, finding.state) == (lead.due_at, 1, "detected")
    assert lead.due_at == at("2026-03-09T11:00") and "09:00" not in finding.reason
    people.tick(CUSTOMER, at("2026-03-09T16:30"))
    amended = people.findings[-1]
    lead = people.timeline(CUSTOMER).lead
    assert lead is not None and amended.handoff is not None and lead.attempt == 2
    assert (amended.handoff.due_at, amended.revision, amended.state) == (lead.due_at, 2, "amended")
    assert amended.finding_id == finding.finding_id
    people.touch(CUSTOMER, "late", "lead_form", at("2026-03-06T13:00"), came=at("2026-03-09T17:00"))
    assert {id_: one.handoff and one.handoff.due_at for id_, one in people.handoffs(CUSTOMER).items()} == {
        "late": lead.due_at
    }


def states(people: People) -> list[tuple[str, str]]:
    """What was said of hand-offs, in order: the touch, and what became of its finding."""
    return [(one.handoff.crossing_touch, one.state) for one in people.findings if one.handoff is not None]


def test_sales_is_handed_nobody_whom_it_has() -> None:
    """A request after the cool-down is no second hand-off while sales has the lead; one within it is, once sales gave the lead back."""
    people = People(parse(TEAM))
    people.touch(CUSTOMER, "ask", "lead_form", START)
    people.touch(CUSTOMER, "call", "dialed", START + 3_600_000, person=True)
    people.touch(CUSTOMER, "again", "lead_form", START + 40 * DAY)
    assert states(people) == [("ask", "detected")]
    people.say(CUSTOMER, "lead_recycled", START + 41 * DAY, reason="no_budget")
    people.touch(CUSTOMER, "anew", "lead_form", START + 42 * DAY)
    people.touch(CUSTOMER, "and again", "lead_form", START + 43 * DAY)
    assert states(people) == [("ask", "detected"), ("anew", "detected")]


def test_a_late_call_changes_which_request_is_the_hand_off() -> None:
    """Sales could reject the lead only until they had met: the meeting is reported late, so the rejection was not possible, the lead stayed
    with sales, and the request after it is no hand-off."""
    people = People(parse(TEAM))
    people.touch(CUSTOMER, "ask", "lead_form", START)
    people.say(CUSTOMER, "lead_rejected", START + 3 * 3_600_000, reason="no_budget")
    people.touch(CUSTOMER, "again", "lead_form", START + 3 * DAY)
    assert people.handoffs(CUSTOMER).keys() == {"ask", "again"}
    people.touch(CUSTOMER, "met", "meeting", START + 3_600_000, START + 4 * DAY, person=True)
    assert people.handoffs(CUSTOMER).keys() == {"ask"}
    assert states(people)[-1] == ("again", "retracted")


def test_a_lead_from_before_there_were_teams() -> None:
    """Somebody asked before the policy followed leads. When they ask again it does: the lead is of the first request, so that hand-off is
    due when the lead is, and the second request is none."""
    people = People(parse(""))
    people.touch(CUSTOMER, "ask", "lead_form", START)
    people.policy = parse(TEAM)
    people.touch(CUSTOMER, "again", "lead_form", START + 40 * DAY)
    assert states(people) == [("ask", "detected"), ("ask", "amended")]
    lead, amended = people.timeline(CUSTOMER).lead, people.findings[-1].handoff
    assert lead is not None and amended is not None
    assert (lead.crossing, lead.due_at) == ("ask", amended.due_at)


@pytest.mark.parametrize("teams", ["", TEAM])
def test_a_lower_threshold(teams: str) -> None:
    """Who passed it under the old one hands over with the next reaction, and only with that; so does the lead, where leads are followed."""
    people = People(parse(f"[handoff]\nthreshold = 100\n{teams}"))
    for n in range(6):
        people.touch(CUSTOMER, f"c{n}", "clicked", START + n)
    people.policy = parse(f"[handoff]\nthreshold = 50\n{teams}")
    people.touch(CUSTOMER, "next", "clicked", START + DAY)
    people.touch(CUSTOMER, "more", "clicked", START + 2 * DAY)
    assert states(people) == [("next", "detected")]
    handed = [event.cause for event in people.records if event.kind == "mql"]
    assert handed == (["next"] if teams else [])
