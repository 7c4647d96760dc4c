"""An export's timeline: touches, and apart from them what was done to the lead."""

from __future__ import annotations

from streams.commands.timeline_json import timeline_json
from tests.core.leads.world import CUSTOMER, World, at


def test_acts_stand_apart_from_touches() -> None:
    """A lead that was asked for, assigned and given back: one touch, two acts in plain words and times, and how the lead stands; a
    timeline without a lead has neither."""
    world = World()
    world.touch("mail", "sent", at("2026-03-02T08:00"))
    plain = timeline_json(CUSTOMER, world.timeline)
    assert ("lead" in plain, "lead_acts" in plain) == (False, False)
    world.touch("form", "lead_form", at("2026-03-03T08:00"))
    world.act("lead_rejected", at("2026-03-03T09:00"), reason="bad_timing", recycle_at=at("2026-05-01T00:00"))
    plain = timeline_json(CUSTOMER, world.timeline)
    assert [touch["id"] for touch in plain["touches"]] == ["mail", "form"]
    given, back = plain["lead_acts"]
    assert (given["kind"], given["owner"], given["due_at"]) == ("lead_assigned", "cai", "2026-03-03T12:00:00Z")
    assert given["timers"][0] == {"at": "2026-03-03T11:00:00Z", "kind": "sla_near"}
    said = {name: value for name, value in back.items() if name != "id"}
    assert said == {
        "kind": "lead_rejected", "at": "2026-03-03T09:00:00Z", "published_at": "2026-03-03T09:00:00Z", "by": "somebody",
        "reason": "bad_timing", "recycle_at": "2026-05-01T00:00:00Z",
    }  # fmt: skip
    assert (plain["lead"]["state"], plain["lead"]["reason"]) == ("recycled", "bad_timing")
