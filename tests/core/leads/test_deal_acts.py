"""What is said of a deal, in whatever order it comes: the versions of the deal decide."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.core.commands import Command
from streams.core.leads import asked, told
from streams.core.leads.acts import Act, act_of, derived_id, entry_of
from streams.core.leads.deal_acts import placed
from streams.core.leads.deals import Deals
from streams.core.ledger.fact_types import DealFact, HomeFact
from streams.core.ledger.facts import Facts
from streams.core.ledger.types import STAGES, Stage
from tests.core.leads.world import CUSTOMER, World, at

HOME = HomeFact("c2-b", CUSTOMER, 1)
DAY, MINUTE = 86_400_000, 60_000
OPENED, TOLD = at("2026-03-03T10:00"), at("2026-03-21T02:00")


def customer_of_sales() -> World:
    """Somebody who asked and was called, before any deal."""
    world = World()
    world.touch("ask", "lead_form", at("2026-03-02T08:00"))
    world.touch("call", "dialed", at("2026-03-02T09:00"), "sales")
    return world


def say(world: World, command: Command) -> told.Told:
    """The timeline is told so."""
    done = told.said(world.timeline, command, world.policy)
    assert done.refused is None
    world.timeline = done.timeline
    world.records += done.events
    return done


def by_ledger(version: int, stage: Stage, when: int, deal_id: str = "d1") -> Command:
    """What the ledger says of a version of a deal."""
    return Command(
        f"{deal_id} {version}", CUSTOMER, "lead_deal", TOLD, "", requested_by=asked.LEDGER, deal_id=deal_id, deal_stage=stage,
        deal_at=when, deal_version=version,
    )  # fmt: skip


def deleted(version: int, deal_id: str = "d1") -> Command:
    """The ledger says that the deal, up to a version, never was the customer's."""
    gone = by_ledger(version, "lost", OPENED, deal_id)
    return replace(gone, command_id=f"gone {deal_id} {version}", deal_stage=asked.DELETED, deal_at=None)


def version_of(version: int, stage: Stage, closed: int | None = None) -> DealFact:
    """One version of the deal, as the CRM sends it."""
    return DealFact("d1", version, False, ("c2-b",), stage, OPENED, closed, None, None)


@pytest.mark.parametrize("closed", ["2026-03-20T00:00", "2026-03-03T00:00"])
def test_what_is_read_again_in_another_order_changes_nothing(closed: str) -> None:
    """The deal waited for its customer, and only that it was won was told; after a crash the touch is read first, and so both versions are
    told: the lead is what it is when they are told in order, also when the CRM dates the end before the beginning."""
    first, second = version_of(1, "open"), version_of(2, "won", at(closed))
    worlds = [customer_of_sales(), customer_of_sales()]
    orders = ([first, second, HOME], [HOME, first, second])
    for world, runs in zip(worlds, (orders, orders[1:]), strict=True):
        for facts in runs:
            deals = Deals(Facts())
            for command in itertools.chain.from_iterable(deals.take(fact, TOLD)[1] for fact in facts):
                say(world, command)
    one, other = worlds
    assert one.lead is not None and one.lead.state == "won"
    assert (one.lead, one.told()) == (other.lead, other.told())
    assert one.told()[-2:] == other.told()[-2:] and one.told()[-1].endswith("won won")


SAID = st.lists(
    st.tuples(st.sampled_from((*STAGES, asked.DELETED)), st.integers(-3, 9), st.sampled_from(["d1", "d2"])),
    min_size=1,
    max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(said=SAID, data=st.data())
def test_any_order_of_versions_ends_in_the_same_lead(said: list[tuple[Any, int, str]], data: st.DataObject) -> None:
    """Whatever days the CRM gives, of two deals at once, with some of it told twice, and with deletions
    that overtake what they are about."""
    commands = [
        by_ledger(n, stage, OPENED + day * DAY, id_) if stage != asked.DELETED else deleted(n, id_)
        for n, (stage, day, id_) in enumerate(said, 1)
    ]
    others = data.draw(st.permutations([*commands, *data.draw(st.lists(st.sampled_from(commands), max_size=2))]))
    worlds = [customer_of_sales(), customer_of_sales()]
    for world, order in zip(worlds, (commands, others), strict=True):
        for command in order:
            say(world, command)
    assert (worlds[0].lead, worlds[0].told()) == (worlds[1].lead, worlds[1].told())


def test_a_deletion_that_overtakes_its_deal() -> None:
    """The deal that comes then stays away; a later version of it counts, also when the deletion is told again after it."""
    world = customer_of_sales()
    before = world.lead
    for command in (deleted(2), by_ledger(1, "open", OPENED), by_ledger(2, "proposal", OPENED)):
        assert say(world, command).events == ()
    assert before is not None and world.lead == replace(before, timers=())
    say(world, by_ledger(3, "open", OPENED))
    say(world, deleted(2))
    assert world.lead is not None and (world.lead.state, world.lead.deal) == ("opportunity", "d1")


def test_who_knows_no_version_comes_last() -> None:
    """What a person says of a deal, or an earlier release of the ledger did, stays behind what was said before it."""
    versions = {"two": 2, "person": 0, "one": 1, "four": 4}
    acts = [entry_of("lead_deal", id_, 9, Act(deal="d1", version=version)) for id_, version in versions.items()]
    assert [(one.id, one.at, one.version) for one in placed(acts)] == [
        ("one", 9, 1), ("two", 10, 2), ("person", 11, 2), ("four", 12, 2),
    ]  # fmt: skip
    world = customer_of_sales()
    old = Command("old", CUSTOMER, "lead_deal", TOLD, "", requested_by=asked.LEDGER, deal_id="d1", deal_stage="open")
    say(world, old)
    say(world, by_ledger(3, "won", OPENED))
    assert world.lead is not None and (world.lead.state, world.lead.since) == ("won", TOLD + 1)
    say(world, asked.lead_command("lead_deal", CUSTOMER, "ana", TOLD + MINUTE, deal_stage="lost"))
    say(world, by_ledger(4, "won", OPENED))
    assert world.lead is not None and (world.lead.state, world.lead.since) == ("won", TOLD + MINUTE + 1)


def test_an_act_of_an_earlier_release_has_no_version() -> None:
    """It is read as version 0; one with a version says so."""
    entry = entry_of("lead_deal", derived_id("act", "x"), OPENED, Act(by="ana", deal="d1", stage="open"))
    assert entry.label == '{"by":"ana","deal":"d1","stage":"open"}'
    assert act_of(entry).version == 0
    (command,) = Deals(Facts([HOME])).take(version_of(7, "open"), TOLD)[1]
    assert act_of(asked.act(command, OPENED)).version == 7


@pytest.mark.parametrize("change", [{"deal_version": 0}, {"deal_id": None}, {"kind": "lead_accepted", "deal_id": None}])
def test_a_version_is_of_a_deal(change: dict[str, object]) -> None:
    """One below 1, without a deal's id, or with another command, is refused."""
    values = {"kind": "lead_deal", "deal_id": "d1", "deal_stage": "open", "deal_version": 1, **change}
    stage = values["deal_stage"] if values["kind"] == "lead_deal" else None
    command = Command("x", CUSTOMER, cause="", issued_at=TOLD, requested_by="ana", **{**values, "deal_stage": stage})  # type: ignore[arg-type]
    assert "deal_version" in (asked.problem(command) or "")
