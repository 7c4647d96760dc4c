"""Stories of leads, as data: what happened, and what holds of it afterwards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from streams.core.policy import parse
from tests.core.leads.world import World, at

STORIES = json.loads((Path(__file__).parent / "stories.json").read_text(encoding="utf-8"))


def told(world: World, n: int, when: str, what: str, *rest: Any) -> None:
    """One line of a story."""
    moment = at(when)
    if what == "tick":
        world.tick(moment)
    elif what == "act":
        kind, fields = rest
        world.act(kind, moment, **{k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()})
    else:
        kind, department, changes = [*rest, *("marketing", {})[len(rest) - 1 :]]
        changes = dict(changes)
        came = changes.pop("published_at", None)
        world.touch(f"t{n:02d}", kind, moment, department, came, **changes)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story["name"])
def test_a_story(story: dict[str, Any]) -> None:
    """The events that hold at the end are those written down."""
    world = World()
    for n, step in enumerate(story["steps"]):
        told(world, n, *step)
    assert world.told() == story["told"]


def test_what_sales_is_told_of_the_clocks() -> None:
    """From the request on Friday 15:00 in Madrid to the call on Monday 10:00: 67 hours, of which three are business time."""
    world = World()
    world.touch("ask", "lead_form", at("2026-03-06T14:00"))
    world.touch("call", "dialed", at("2026-03-09T09:00"), "sales")
    (working,) = [event for event in world.records if event.kind == "working"]
    assert (working.speed_ms, working.speed_business_ms) == (67 * 3_600_000, 3 * 3_600_000)
    assert working.in_time
    assert working.sla_business_ms == 3 * 3_600_000 - 1  # given to a rep a millisecond after the request


def test_who_has_a_lead_keeps_it() -> None:
    """The rep in the policy leaves the team; the lead stays theirs when its history is folded again because of a late touch."""
    world = World()
    world.touch("ask", "lead_form", at("2026-03-03T08:00"))
    assert world.lead is not None
    owner = world.lead.owner
    teams = world.policy.teams
    rest = tuple(rep for rep in teams[0].reps if rep.id != owner)
    world.policy = type(world.policy)(teams=(type(teams[0])("iberia", reps=rest, calendar=teams[0].calendar),))
    world.touch("late", "opened", at("2026-03-02T08:00"), came=at("2026-03-03T09:00"))
    assert world.lead.owner == owner
    assert [event.kind for event in world.standing()] == ["new", "mql", "handed_off"]


def test_who_accepts_a_lead_owns_it() -> None:
    """Another rep than the one who was given it takes the lead: it is theirs from then on, by that act, due when it was; the first one
    has had it, and is not asked again. A second one who accepts changes nothing."""
    world = World()
    world.touch("ask", "lead_form", at("2026-03-03T08:00"))
    given = world.lead
    assert given is not None and given.owner is not None
    world.act("lead_accepted", at("2026-03-03T08:30"), by="dora")
    (event,) = [one for one in world.standing() if one.kind == "accepted"]
    assert (event.owner, event.why, event.due_at) == ("dora", f"dora takes it; {given.owner} had it", given.due_at)
    assert event.cause == world.timeline.entries[-1].id
    world.act("lead_accepted", at("2026-03-03T08:40"), by="eve")
    assert (world.lead.owner, world.lead.passed) == ("dora", (given.owner,))
    world.tick(at("2026-03-05T08:00"))
    assert [one.kind for one in world.standing()][-1] == "reassigned"
    assert world.lead.owner not in ("dora", given.owner, None)


def test_who_accepts_a_lead_of_nobody_owns_it() -> None:
    """Nobody was free; who takes it all the same is its owner."""
    world = World(parse('[[teams]]\nname = "empty"\n'))
    world.touch("ask", "lead_form", at("2026-03-03T08:00"))
    assert world.lead is not None and world.lead.owner is None
    world.act("lead_accepted", at("2026-03-03T08:30"), by="dora")
    (event,) = [one for one in world.standing() if one.kind == "accepted"]
    assert (event.owner, event.why) == ("dora", "dora takes it; nobody had it")
