"""While sales has the lead, marketing holds; from the day on which it is given back, marketing may go on."""

from __future__ import annotations

from streams.core.govern.check import check, known
from streams.core.govern.records import Contact
from tests.core.leads.world import World, at


def allowed(world: World, when: int, department: str = "marketing") -> bool:
    """What a check by the shipped rules says, but for those about the days after a contact or reply."""
    history, standing = known(world.timeline, world.policy, when)
    verdict = check(history, Contact(when, "email", department, campaign="autumn"), world.policy, when, standing, None)
    return "sales-has-the-lead" not in [one.rule for one in verdict.violations]


def test_marketing_holds_while_sales_has_the_lead() -> None:
    """A click is no hand-off; from the request on marketing holds and sales does not, until the lead is recycled, and again after the next
    request."""
    world = World()
    world.touch("click", "clicked", at("2026-03-02T08:00"))
    assert allowed(world, at("2026-03-02T09:00"))
    world.touch("ask", "lead_form", at("2026-03-03T08:00"))
    assert not allowed(world, at("2026-03-03T09:00"))
    assert allowed(world, at("2026-03-03T09:00"), "sales")
    world.touch("call", "dialed", at("2026-03-03T10:00"), "sales")
    assert not allowed(world, at("2026-03-03T11:00"))
    world.act("lead_recycled", at("2026-03-03T12:00"), reason="bad_timing")
    assert allowed(world, at("2026-03-03T13:00"))
    world.touch("again", "replied", at("2026-05-03T08:00"))
    assert not allowed(world, at("2026-05-03T09:00"))


def test_a_deal_that_is_decided_ends_the_hold() -> None:
    """Who is qualified, and whose deal is open, is with sales, and marketing holds; once the deal is won or lost marketing may write
    again."""
    for stage in ("won", "lost"):
        world = World()
        world.touch("ask", "lead_form", at("2026-03-03T08:00"))
        world.act("lead_qualified", at("2026-03-03T09:00"))
        assert not allowed(world, at("2026-03-03T10:00"))
        world.act("lead_deal", at("2026-03-04T09:00"), deal="d1", stage="proposal")
        assert not allowed(world, at("2026-03-04T10:00"))
        world.act("lead_deal", at("2026-03-20T09:00"), deal="d1", stage=stage)
        assert allowed(world, at("2026-03-20T10:00"))
