"""What sales is told with a lead."""

from __future__ import annotations

from streams.core.govern.records import Consent, Standing
from streams.core.leads.brief import brief
from streams.core.outcome import ScoreComponent
from streams.core.policy import parse
from tests.core.leads.world import TEAM, World, at

POLICY = parse(TEAM + '[governance]\ntime_zones = ["Europe/Madrid"]\n')


def test_all_that_a_rep_needs() -> None:
    """Two clicks a half-life ago count half, fit counts whole; the newest message is first; a call waits for the morning and the email for
    ever, since the customer unsubscribed."""
    world = World(POLICY)
    world.touch("c1", "clicked", at("2026-03-02T20:30"))
    world.touch("c2", "clicked", at("2026-03-02T20:30"))
    world.touch("m1", "sent", at("2026-03-10T09:00"), campaign="winter", sequence="drip", label="Winter offer")
    world.touch("m2", "sent", at("2026-03-12T09:00"), campaign="spring", label="Spring offer")
    world.touch("off", "unsubscribed", at("2026-03-12T10:00"), direction="inbound")
    world.touch("ask", "lead_form", at("2026-03-16T20:30"))
    assert world.lead is not None
    granted = Consent("granted", at("2026-01-01T00:00"), "calls")
    fit = (ScoreComponent("industry", 1, 20.0),)
    told = brief(world.timeline, world.lead, POLICY, at("2026-03-16T20:30"), Standing(consents=(granted,)), fit)
    assert (told.owner, told.team, told.asked) == (world.lead.owner, "iberia", True)
    assert told.due_at == at("2026-03-17T12:00")
    assert told.engagement == (ScoreComponent("clicked", 2, 10.0), ScoreComponent("lead_form", 1, 50.0))
    assert (told.fit, told.score, told.threshold) == (fit, 80.0, 50.0)
    assert told.crossing is not None and told.crossing.touch_id == "ask"
    assert [message.label for message in told.messages] == ["Spring offer", "Winter offer"]
    assert (told.campaigns, told.sequences) == (("spring", "winter"), ("drip",))
    assert (told.consents, told.refused) == ((granted,), ("email",))
    assert told.slots["email"] is None
    assert told.slots["calls"] == at("2026-03-17T07:00"), "08:00 in Madrid, when quiet hours end"


def test_a_later_moment() -> None:
    """Asked for again a half-life later, engagement is half of what it was and fit is not."""
    world = World(POLICY)
    world.touch("ask", "lead_form", at("2026-03-02T10:00"))
    assert world.lead is not None
    fit = (ScoreComponent("industry", 1, 20.0),)
    told = brief(world.timeline, world.lead, POLICY, at("2026-03-16T10:00"), fit=fit)
    assert (told.score, told.engagement[0].points, told.fit[0].points) == (45.0, 25.0, 20.0)
