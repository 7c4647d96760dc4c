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
