"""Why somebody must act on a lead, judged in one place."""

from __future__ import annotations

import pytest

from streams.core.leads.problems import due, problems
from streams.core.leads.states import State
from streams.core.ledger.lead_figures import Open
from streams.core.policy import parse
from tests.core.leads.world import TEAM, World, at

NOW = at("2026-03-03T12:30")
ELSEWHERE = TEAM.replace("calendar =", 'segment = { country = ["PT"] }\ncalendar =')


@pytest.mark.parametrize(
    ("state", "owner", "due_at", "wanted"),
    [
        ("mql", None, None, ["orphan"]),
        ("handed_off", None, NOW - 1, ["orphan", "overdue"]),
        ("handed_off", None, NOW, ["orphan"]),
        ("handed_off", "ana", NOW - 1, ["overdue"]),
        ("accepted", None, NOW, ["orphan"]),
        ("working", "ana", NOW - 1, []),
        ("opportunity", None, None, []),
        ("opportunity", None, NOW - 1, ["orphan"]),
        ("opportunity", "ana", NOW - 1, []),
        ("recycled", None, None, []),
    ],
)
def test_orphan_and_overdue(state: State, owner: str | None, due_at: int | None, wanted: list[str]) -> None:
    """An orphan is a hand-off that nobody owns and nobody has taken up, with a due time or without; a deal of the CRM is
    one if a rep was looked for in vain, and what is due ends with the first touch."""
    assert problems(Open("iberia", state, owner, due_at, None), None, NOW) == wanted


def test_a_hand_off_that_no_team_takes_is_an_orphan_until_somebody_calls() -> None:
    """The customer's country belongs to no team: nobody gets the lead, which shows as an orphan, its clock running; who calls owns it."""
    world = World(parse(ELSEWHERE))
    world.touch("form", "lead_form", at("2026-03-03T08:00"), country="ES")
    event = world.standing()[-1]
    assert (event.state, event.owner, event.team) == ("handed_off", None, "unassigned")
    assert due(event) is not None and problems(event, None, event.at) == ["orphan"]
    world.touch("call", "dialed", at("2026-03-03T09:00"), "sales")
    event = world.standing()[-1]
    assert (event.state, event.owner, problems(event, None, NOW)) == ("working", "rep", [])
