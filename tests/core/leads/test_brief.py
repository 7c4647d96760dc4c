"""What sales is told with a lead."""

from __future__ import annotations

from msgspec.structs import replace

from streams.core.consent import Consent
from streams.core.govern.records import Agreed, Standing
from streams.core.leads.brief import brief
from streams.core.outcome import FitComponent, ScoreComponent
from streams.core.policy import parse
from tests.core.leads.world import TEAM, World, at

FIT = '[[handoff.fit]]\nname = "home"\npoints = 20\nsegment = { country = ["ES"] }\n'
POLICY = parse(TEAM + '[governance]\ntime_zones = ["Europe/Madrid"]\n' + FIT)


def test_all_that_a_rep_needs() -> None:
    """Two clicks a half-life ago count half, fit counts whole; the newest message is first; a call waits for the morning and the email for
    ever, since the customer unsubscribed."""
    world = World(POLICY)
    world.touch("c1", "clicked", at("2026-03-02T20:30"), country="ES")
    world.touch("c2", "clicked", at("2026-03-02T20:30"))
    world.touch("m1", "sent", at("2026-03-10T09:00"), campaign="winter", sequence="drip", label="Winter offer")
    world.touch("m2", "sent", at("2026-03-12T09:00"), campaign="spring", label="Spring offer")
    world.touch("off", "unsubscribed", at("2026-03-12T10:00"), direction="inbound")
    world.touch("ask", "lead_form", at("2026-03-16T20:30"))
    assert world.lead is not None
    granted = Consent("granted", at("2026-01-01T00:00"), "calls")
    told = brief(world.timeline, world.lead, POLICY, at("2026-03-16T20:30"), Standing(consents=(granted,)))
    assert (told.owner, told.team, told.asked) == (world.lead.owner, "iberia", True)
    assert told.due_at == at("2026-03-17T12:00")
    assert told.engagement == (ScoreComponent("clicked", 2, 10.0), ScoreComponent("lead_form", 1, 50.0))
    assert (told.fit, told.score, told.threshold) == ((FitComponent("home", 20.0),), 80.0, 50.0)
    assert told.crossing is not None and told.crossing.touch_id == "ask"
    assert [message.label for message in told.messages] == ["Spring offer", "Winter offer"]
    assert (told.campaigns, told.sequences) == (("spring", "winter"), ("drip",))
    assert told.consents == (
        Agreed("", "request", "asked", at("2026-03-16T20:30"), "lead_form", "ask", basis="contract"),
        Agreed("calls", "", "granted", at("2026-01-01T00:00"), "record"),
        Agreed("email", "", "opted_out", at("2026-03-12T10:00"), "unsubscribed", "off"),
    )
    assert told.refused == ("email",)
    assert told.slots["email"] is None
    assert told.slots["calls"] == at("2026-03-17T07:00"), "08:00 in Madrid, when quiet hours end"


def test_a_later_moment() -> None:
    """Asked for again a half-life later, engagement is half of what it was and fit is not."""
    world = World(POLICY)
    world.touch("ask", "lead_form", at("2026-03-02T10:00"), country="ES")
    assert world.lead is not None
    told = brief(world.timeline, world.lead, POLICY, at("2026-03-16T10:00"))
    assert (told.score, told.engagement[0].points, told.fit[0].points) == (45.0, 25.0, 20.0)


def test_fit_may_hand_a_lead_off() -> None:
    """Four clicks make a new lead; the touch that says that the customer is of the home market makes it an MQL; its brief has both."""
    world = World(POLICY)
    for n in range(4):
        world.touch(f"c{n}", "clicked", at("2026-03-03T08:00") + n)
    assert world.lead is not None and world.lead.state == "new"
    world.touch("mail", "sent", at("2026-03-03T09:00"), country="ES")
    assert [f"{event.kind}" for event in world.records] == ["new", "mql", "handed_off"]
    note = world.records[-1].brief
    assert note is not None
    assert (note.asked, note.fit, note.crossing and note.crossing.touch_id) == (
        False,
        (FitComponent("home", 20.0),),
        "mail",
    )
    assert [part.kind for part in note.components] == ["clicked"]
    assert note.components[0].points < 40
    assert note.score == round(note.components[0].points + 20, 3)


def test_recorded_consent_stands_in_the_brief() -> None:
    """With its whole proof, as a check reads it: an unsubscribe that consent has ended is not told, and a channel is refused
    for which consent was withdrawn as a whole."""
    world = World(POLICY)
    world.touch("off", "unsubscribed", at("2026-03-01T10:00"), direction="inbound")
    world.touch("ask", "lead_form", at("2026-03-16T10:00"))
    assert world.lead is not None
    given = Consent(
        "granted", at("2026-03-02T10:00"), "email", "", None, "preference centre", "consent", "cmp-1", "form v4", "cmp"
    )
    gone = Consent("withdrawn", at("2026-03-03T10:00"), "calls", "", None, "crm", None, "crm-7", "", "jo")
    timeline = replace(world.timeline, consents=(given, gone))
    told = brief(timeline, world.lead, POLICY, at("2026-03-16T10:00"))
    assert told.consents[1:] == (
        Agreed("calls", "", "withdrawn", gone.at, "record", "crm-7", source="crm", recorded_by="jo"),
        Agreed(
            "email", "", "granted", given.at, "record", "cmp-1", None, "consent", "preference centre", "form v4", "cmp"
        ),
    )
    assert told.refused == ("calls",)
    assert told.slots["calls"] is None and told.slots["email"] == at("2026-03-16T10:00")
