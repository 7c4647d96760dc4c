"""Who gets a lead."""

from __future__ import annotations

from collections import Counter

from msgspec.structs import replace

from streams.core.leads.policy import Team
from streams.core.leads.routing import Whose, route
from streams.core.policy import Policy, parse
from tests.core.leads.world import TEAM, at

MORNING = at("2026-03-03T09:00")
PEOPLE = [f"c2-{n:024x}" for n in range(3000)]


def shares(policy: Policy, when: int = MORNING, **more: object) -> Counter[str | None]:
    return Counter(route(Whose(person), when, policy, **more).owner for person in PEOPLE)  # type: ignore[arg-type]


def test_reps_take_turns_by_weight() -> None:
    """Of 3,000 customers a rep of weight two gets half, the two others a quarter each, within 5 % of all."""
    policy = parse(TEAM.replace('id = "ana"', 'id = "ana"\nweight = 2'))
    got = shares(policy)
    assert all(abs(got[rep] - share * 3000) < 150 for rep, share in {"ana": 0.5, "bo": 0.25, "cai": 0.25}.items()), got


def test_who_leaves_changes_only_their_own_leads() -> None:
    """Without one rep, the customers of the others stay where they were."""
    policy = parse(TEAM)
    fewer = replace(policy, teams=(replace(policy.teams[0], reps=policy.teams[0].reps[:2]),))
    for person in PEOPLE[:500]:
        before, after = (route(Whose(person), MORNING, one).owner for one in (policy, fewer))
        assert before == after or before == "cai"


def test_the_order_of_routing() -> None:
    """Owner of the account, then the first team whose territory it is, then nobody; who had it does not get it again."""
    text = TEAM.replace("[[teams.reps]]", "[[teams.reps]]", 1) + (
        '[[teams]]\nname = "rest"\nsegment = { account = ["acme"] }\n[[teams.reps]]\nid = "dee"\n[leads.owners]\nbig = "ana"\n'
    )
    policy = parse(text)
    policy = replace(
        policy,
        teams=(replace(policy.teams[0], segment=type(policy.teams[0].segment)(country=("ES",))), policy.teams[1]),
    )
    assert route(Whose("c", account="big"), MORNING, policy).why == "ana owns the account big"
    assert route(Whose("c", country="es"), MORNING, policy).team == "iberia"
    assert route(Whose("c", account="acme"), MORNING, policy).owner == "dee"
    assert route(Whose("c", account="acme"), MORNING, policy, ("dee",)).why == "nobody of team rest is free"
    nobody = route(Whose("c", country="FR"), MORNING, policy)
    assert (nobody.owner, nobody.why) == (None, "no team takes this customer")
    assert nobody.timers, "the clock runs for nobody too"
    assert route(Whose("c", country="es", account="big"), MORNING, policy, ("ana",)).owner in ("bo", "cai")


def test_capacity_absence_and_hours() -> None:
    """Full and absent reps get nothing; who is at work comes before who is not yet."""
    text = TEAM.replace('id = "ana"', 'id = "ana"\ncapacity = 5').replace(
        'id = "bo"', 'id = "bo"\nabsent = [{ first = 2026-03-01, last = 2026-03-08 }]'
    )
    assert set(shares(parse(text), load={"ana": 5})) == {"cai"}
    assert set(shares(parse(text), load={"ana": 4})) == {"ana", "cai"}
    west = 'id = "ana"\ncalendar = { time_zone = "America/New_York" }'
    policy = parse(TEAM.replace('id = "ana"', west))
    assert set(shares(policy, MORNING)) == {"bo", "cai"}
    assert set(shares(policy, at("2026-03-03T18:00"))) == {"ana"}


def test_the_last_one_keeps_it() -> None:
    """When nobody else may get it, the step that would give it away only tells the manager."""
    policy = parse(TEAM)
    kinds = [kind for _, kind in route(Whose("c"), MORNING, policy, last=True).timers]
    assert kinds == ["sla_near", "sla_breached", "escalated", "escalated"]
    assert Team("x").escalations[1].action == "reassign"
