"""What `touchstream handoff` tells of an answer, and of a date that is none."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from streams.commands import rendering
from streams.commands.common import CommandError
from streams.commands.handoff import _moment, _unknown
from streams.commands.leads import Lead, Told, as_dict, sentence, text
from streams.core.leads.brief import brief
from streams.core.leads.events import LeadEvent
from streams.core.policy import Policy, parse
from tests.core.leads.world import World, at

NOW = at("2026-03-02T12:00")
GIVEN_BACK = LeadEvent(
    "e", "lead-1", "c2-a", "recycled", "recycled", "working", 5, "act", "a", 1, 1, reason="no_budget", recycle_at=1_772_409_600_000
)  # fmt: skip


def test_why_and_until_when_a_lead_was_given_back_is_said_once() -> None:
    """Whoever wins it later hears nothing of the budget that there was none of before."""
    assert sentence(GIVEN_BACK) == (
        "recycled (no budget): lead lead-1 of c2-a is recycled now, to be looked at again on 2026-03-02"
    )
    assert sentence(replace(GIVEN_BACK, kind="won", state="won")) == "won: lead lead-1 of c2-a is won now"
    assert "no_budget" in rendering.lead_event(GIVEN_BACK)
    assert "no_budget" not in rendering.lead_event(replace(GIVEN_BACK, kind="won", state="won"))


def test_who_takes_a_lead_of_another_rep_is_told() -> None:
    """A mistyped rep is seen at once: the lead is theirs now, and whose it was stands there."""
    taken = replace(GIVEN_BACK, kind="accepted", state="accepted", why="zoe takes it; ana had it")
    assert sentence(taken) == "accepted (zoe takes it; ana had it): lead lead-1 of c2-a is accepted now"


def test_a_lead_for_scripts_and_for_people() -> None:
    """All times of the brief are RFC 3339 in JSON, as the event's; for people a channel that is free is free now."""
    world, now = World(), at("2026-03-02T21:30")
    world.touch("m", "sent", at("2026-03-01T09:00"))
    world.touch("ask", "lead_form", now)
    assert world.lead is not None
    lead, told = Lead(world.records[-1]), Told("Dana", brief(world.timeline, world.lead, world.policy, now))
    known = as_dict(lead, told, now)["brief"]
    assert known["slots"] == {"email": "2026-03-02T21:30:00Z", "ads": "2026-03-02T21:30:00Z"} | dict.fromkeys(
        ("linkedin", "calls"), "2026-03-03T08:00:00Z"
    )
    assert known["crossing"]["occurred_at"] == "2026-03-02T21:30:00Z" and known["due_at"] == "2026-03-03T12:00:00Z"
    assert (
        known["messages"][0]["occurred_at"] == "2026-03-01T09:00:00Z"
        and known["consents"][0]["at"] == "2026-03-02T21:30:00Z"
    )
    assert "may be contacted: email now, ads now, linkedin 2026-03-03T08:00:00Z" in text(lead, told, now)


@pytest.mark.parametrize("text", ["tomorrow", "2027-13-01"])
def test_a_date_that_is_none(text: str) -> None:
    """The error names both forms that are possible."""
    with pytest.raises(CommandError, match=r"is no day such as 2027-03-01, nor a time such as 2027-03-01T09:00:00Z"):
        _moment(text, NOW)


@pytest.mark.parametrize("text", ["2026-03-01", "2026-03-02T11:59:59Z"])
def test_a_date_that_is_past(text: str) -> None:
    """It is refused with its own words; today, and a later time of today, are taken."""
    with pytest.raises(CommandError, match=f"--again: {text} is past; give the day or time"):
        _moment(text, NOW)
    assert _moment("2026-03-02", NOW) == NOW - 12 * 3_600_000
    assert _moment("2026-03-02T12:00:01Z", NOW) == NOW + 1000


def test_a_name_that_no_rep_has() -> None:
    """Of a policy with reps, the nearest is asked for, or all are named; without reps nobody can know."""
    policy = parse('[leads.owners]\n"acme.com" = "bo"\n[[teams]]\nname = "iberia"\n[[teams.reps]]\nid = "ana"\n')
    assert _unknown("ana", policy) is _unknown("bo", policy) is _unknown("zoe", Policy()) is None
    assert "no rep 'anna' (did you mean 'ana'?)" in (_unknown("anna", policy) or "")
    assert "no rep 'zoe' (it has ana, bo)" in (_unknown("zoe", policy) or "")
