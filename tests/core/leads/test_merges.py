"""Two customers turn out to be one: so do their leads, and none is lost."""

from __future__ import annotations

from msgspec.structs import replace

from streams.core import customer, moving
from streams.core.leads.events import standing
from streams.core.policy import parse
from streams.core.timeline import EMPTY
from tests.core.leads.world import TEAM, World, at

OTHER = "c2-00000000000000000000000b"


def pruned() -> tuple[World, World]:
    """A customer whose timeline has lost what made the lead, and one without anything."""
    policy = parse(TEAM + "[timeline]\nmax_touches = 10\n")
    goes, stays = World(policy, OTHER), World(policy)
    goes.touch("ask", "lead_form", at("2026-03-03T08:00"))
    goes.touch("call", "dialed", at("2026-03-03T09:00"), "sales")
    for n in range(12):
        goes.touch(f"n{n:02d}", "opened", at("2026-03-04T08:00") + n)
    return goes, stays


def test_two_hand_offs_become_one() -> None:
    """Both asked and were handed off, and a rep accepted the later one; merged, the earlier hand-off stands with the rep who accepted, the
    later request is a second one of the same interest, and what was published of the other id is retracted."""
    stays, goes = World(), World(customer=OTHER)
    stays.touch("ask-1", "lead_form", at("2026-03-03T08:00"))
    goes.touch("ask-2", "lead_form", at("2026-03-03T09:00"))
    goes.act("lead_accepted", at("2026-03-03T09:30"))
    assert stays.lead is not None and stays.lead.owner not in (None, "somebody")
    stays.receive(goes.leave(at("2026-03-03T10:00")), at("2026-03-03T10:00"))
    assert goes.lead is None and goes.standing() == []
    assert stays.told() == [
        "2026-03-03T08:00 new new",
        "2026-03-03T08:00 mql mql",
        "2026-03-03T08:00 handed_off handed_off",
        "2026-03-03T09:00 asked_again handed_off",
        "2026-03-03T09:30 accepted accepted",
    ]
    assert stays.lead.owner == "somebody"


def test_the_order_of_a_merge_does_not_matter_to_what_holds() -> None:
    """Whichever entries come first: the same lead in the same state; the clock that runs is that of the first assignment."""
    told = []
    for backwards in (False, True):
        stays, goes = World(), World(customer=OTHER)
        goes.touch("ask", "lead_form", at("2026-03-03T08:00"))
        goes.touch("call", "dialed", at("2026-03-03T09:00"), "sales")
        stays.touch("seen", "clicked", at("2026-03-01T08:00"))
        moved = goes.leave(at("2026-03-03T10:00"))
        stays.receive(reversed(moved) if backwards else moved, at("2026-03-03T10:00"))
        told.append((stays.told(), stays.lead))
    assert told[0] == told[1]
    assert told[0][0][-1] == "2026-03-03T09:00 working working"


def test_a_lead_outlives_its_touches() -> None:
    """What made the lead is pruned; it is still there, and it moves with the customer."""
    goes, stays = pruned()
    assert goes.lead is not None and goes.timeline.lead_base is not None
    was = goes.lead
    assert "ask" not in [entry.id for entry in goes.timeline.entries]
    stays.receive(goes.leave(at("2026-03-05T08:00")), at("2026-03-05T08:00"))
    assert stays.lead is not None and replace(stays.lead, identifier="") == was
    assert [event.kind for event in stays.standing()] == ["carried"]
    assert stays.standing()[0].state == "working"


def test_a_lead_outlives_its_touches_at_a_customer_who_was_seen_lately() -> None:
    """It moves to a customer whose timeline does not reach back to where it was made."""
    goes, stays = pruned()
    stays.touch("now", "opened", at("2026-07-01T08:00"))
    was = goes.lead
    stays.receive(goes.leave(at("2026-07-02T08:00")), at("2026-07-02T08:00"))
    assert was is not None and stays.lead is not None
    assert (stays.lead.id, stays.lead.state) == (was.id, was.state)


def test_a_long_merge_keeps_the_rep() -> None:
    """More entries than one command takes, the assignment long after the request: nobody else gets the lead in between, and nothing that
    is told under the new id is taken back."""
    goes = World(customer=OTHER)
    for n in range(150):
        goes.touch(f"a{n:03d}", "sent", at("2026-03-02T08:00") + n)
    for n in range(300):
        goes.touch(f"b{n:03d}", "sent", at("2026-03-03T09:00") + n)
    goes.touch("ask", "lead_form", at("2026-03-03T08:00"), came=at("2026-03-03T10:00"))
    owner = goes.lead.owner if goes.lead else None
    into = World().customer
    merge = moving.merge_command(OTHER, into, at("2026-03-05T08:00"), "link", 9)
    left = customer.on_command(goes.timeline, merge, goes.policy)
    assert len(left.commands) > 2 and {event.status for event in left.leads} == {"retracted"}
    assert standing([*goes.records, *left.leads]) == []
    timeline, told = EMPTY, []
    for command in left.commands:
        effect = customer.on_command(timeline, command, goes.policy)
        timeline = effect.timeline
        told += effect.leads
    assert timeline.lead is not None and timeline.lead.owner == owner
    assert {event.status for event in told} <= {"detected", "amended"}
    assert [event.kind for event in standing(told)].count("handed_off") == 1
