"""Who owns the opportunity that a deal makes of a lead: who has the lead, else the deal's owner, else whose turn it is."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from streams.core.leads import asked
from streams.core.leads.deals import Deals
from streams.core.leads.problems import problems
from streams.core.ledger.facts import Facts
from streams.core.policy import parse
from tests.core.leads.test_deals import CLOSED, HOME, OPENED, TOLD, by_ledger, deal, say
from tests.core.leads.world import CUSTOMER, TEAM, World, at


def owners(world: World) -> list[tuple[str, str | None, str]]:
    """What is told of whose the lead is since it became a deal's."""
    told_ = world.standing()
    first = next(n for n, event in enumerate(told_) if event.state in ("opportunity", "won", "lost"))
    return [(event.kind, event.owner, event.why) for event in told_[first:]]


@pytest.mark.parametrize("before", ["nothing", "recycled", "nobody free"])
def test_a_deal_of_a_lead_that_nobody_has_is_of_its_owner(before: str) -> None:
    """Not handed over yet, given back, or handed over when no rep was free: the CRM names Kim, and the events say so. No clock runs for
    what marketing never handed over, and a deal that ends is told of her, too."""
    world = World(parse(TEAM.split("[[teams.reps]]")[0]) if before == "nobody free" else None)
    world.touch("mail", "opened", at("2026-03-03T07:00"))
    if before == "recycled":
        world.touch("ask", "lead_form", at("2026-03-03T08:00"))
        world.touch("call", "dialed", at("2026-03-03T08:30"), "sales")
        world.act("lead_recycled", at("2026-03-03T09:00"), reason="no_budget")
    elif before == "nobody free":
        world.touch("ask", "lead_form", at("2026-03-03T08:00"))
    kim = replace(by_ledger("open", OPENED), deal_owner="kim")
    assert say(world, kim).refused is None
    say(world, replace(by_ledger("won", CLOSED), deal_owner="lou"))
    assert world.lead is not None and (world.lead.state, world.lead.owner) == ("won", "kim")
    assert [one for one in owners(world) if one[0] in ("opportunity", "won")] == [
        ("opportunity", "kim", "kim owns the deal d1"), ("won", "kim", ""),
    ]  # fmt: skip
    assert "reassigned" not in {kind for kind, _, _ in owners(world)}


@pytest.mark.parametrize("before", ["nothing", "recycled"])
def test_a_deal_that_names_no_owner_is_given_to_a_rep(before: str) -> None:
    """Who routing says, told once, with the time until they must get in touch; it is no hand-off of marketing's, and what the customer
    asked a month ago is no speed to lead. The first call stops the clock."""
    world = World()
    world.touch("mail", "opened", at("2026-02-02T07:00"))
    if before == "recycled":
        world.touch("ask", "lead_form", at("2026-02-03T08:00"))
        world.touch("early", "dialed", at("2026-02-03T08:30"), "sales")
        world.act("lead_recycled", at("2026-02-03T09:00"), reason="no_budget")
    say(world, by_ledger("open", OPENED, OPENED + 60_000))
    world.touch("news", "sent", OPENED + 120_000)
    lead = world.lead
    assert lead is not None and lead.state == "opportunity" and lead.owner in ("ana", "bo", "cai")
    assert lead.due_at == at("2026-03-03T14:01")
    ((_, before_it, _), (kind, owner, why)) = owners(world)
    assert (before_it, kind, owner) == (None, "reassigned", lead.owner) and why.startswith(f"turn of {owner}")
    world.touch("call", "dialed", OPENED + 3_600_000, "sales")
    called = world.standing()[-1]
    assert (called.kind, called.in_time, called.speed_ms, called.owner) == ("first_touch", True, None, owner)


def test_a_deal_that_nobody_can_have_is_an_orphan_until_somebody_can() -> None:
    """No rep is free when it is told: nobody owns it, the clock runs, and when the time has passed a rep is looked for again."""
    policy = parse(TEAM.replace('id = "', 'absent = [{ first = 2026-03-03, last = 2026-03-04 }]\nid = "'))
    world = World(parse(TEAM.split("[[teams.reps]]")[0]))
    world.touch("mail", "opened", at("2026-03-03T07:00"))
    say(world, by_ledger("open", OPENED, OPENED + 60_000))
    lead = world.lead
    assert lead is not None and (lead.owner, lead.due_at) == (None, at("2026-03-03T14:01"))
    assert problems(lead, None, OPENED) == ["orphan"]
    world.policy = policy
    world.tick(at("2026-03-05T10:00"))
    lead = world.lead
    assert lead is not None and lead.owner is not None and lead.state == "opportunity"
    assert [kind for kind, _, _ in owners(world)] == [
        "opportunity", "reassigned", "sla_near", "sla_breached", "escalated", "escalated", "reassigned",
    ]  # fmt: skip


def test_a_rep_who_was_given_the_lead_keeps_it_whoever_owns_the_deal() -> None:
    """Also when the deal began before the assignment, and is told after it."""
    world = World()
    world.touch("ask", "lead_form", at("2026-03-03T08:00"), came=at("2026-03-03T12:00"))
    assert world.lead is not None
    owner = world.lead.owner
    say(world, replace(by_ledger("open", OPENED), deal_owner="kim"))
    assert owner is not None and (world.lead.state, world.lead.owner) == ("opportunity", owner)
    say(world, replace(by_ledger("open", OPENED + 9 * 3_600_000, deal_id="d2"), deal_owner="lou"))
    assert world.lead.owner == owner


def test_the_ledger_says_who_owns_a_deal() -> None:
    """A name that is longer than an id is nobody's."""
    for owner, told_ in (("kim", "kim"), (None, None), ("é" * 150, None)):
        (command,) = Deals(Facts([HOME])).take(deal(1, "open", owner=owner), TOLD)[1]
        assert command.deal_owner == told_ and asked.problem(command) is None
    wrong = replace(asked.lead_command("lead_accepted", CUSTOMER, "ana", TOLD), deal_owner="kim")
    assert "deal_owner go with lead_deal only" in (asked.problem(wrong) or "")
