"""What the CRM's deals say of leads: each stage once, of whom a touch has shown, and nothing of it is a dead letter."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from streams.core.commands import Command
from streams.core.leads import asked, told
from streams.core.leads.deals import Deals
from streams.core.leads.states import LeadDeal
from streams.core.ledger.fact_types import DealFact, ErasedFact, HomeFact, ShownFact
from streams.core.ledger.facts import Facts
from streams.core.ledger.types import Money, Stage
from streams.core.policy import Policy, parse
from streams.core.timeline import EMPTY, Timeline
from tests.core.leads.world import CUSTOMER, TEAM, World, at, said

HOME = HomeFact("c2-b", CUSTOMER, 1)
OPENED, CLOSED, TOLD = at("2026-03-03T10:00"), at("2026-03-20T10:00"), at("2026-03-21T02:00")


def deal(version: int, stage: Stage, **changes: object) -> DealFact:
    """One version of a deal of somebody with a CRM id, which no touch has shown, and a mail address."""
    closed = CLOSED if stage in ("won", "lost") else None
    return replace(DealFact("d1", version, False, ("c1-a", "c2-b"), stage, OPENED, closed, None, None), **changes)


def told_by(deals: Deals, *facts: DealFact | HomeFact | ShownFact) -> list[tuple[str | None, int | None]]:
    """Stage and time of what is told."""
    return [(one.deal_stage, one.deal_at) for fact in facts for one in deals.take(fact, TOLD)[1]]


def test_each_stage_is_told_once() -> None:
    """The first is told with its opening, the end with its closing; a version without news, one read twice or one that comes too late is
    not told; a deal that was a mistake is taken back; what is opened again was so when the CRM said so."""
    deals = Deals(Facts([HOME]))
    assert told_by(deals, deal(1, "open"), deal(1, "open"), deal(2, "open", owner="bo")) == [("open", OPENED)]
    assert told_by(deals, deal(4, "won"), deal(3, "proposal")) == [("won", CLOSED)]
    assert told_by(deals, deal(5, "proposal"), deal(6, "lost")) == [("proposal", None), ("lost", CLOSED)]
    assert told_by(deals, deal(7, "won"), deal(8, "won", deleted=True)) == [("won", None), ("deleted", None)]
    assert told_by(deals, deal(9, "won")) == [("won", CLOSED)]


def test_a_touch_that_shows_the_address_beside_a_stronger_one() -> None:
    """A deal by an address that came only beside another identifier is told of, whichever is first, and once; the command names it."""
    shown = ShownFact("c2-b", CUSTOMER, 1)
    for deals in (Deals(Facts()), Deals(Facts([deal(1, "open")]))):
        assert told_by(deals, deal(1, "open")) == []
        (one,) = deals.take(shown, TOLD)[1]
        assert (one.customer_id, one.identifiers, one.deal_stage) == (CUSTOMER, ("c2-b",), "open")
        assert told_by(deals, HOME, deal(2, "won")) == [("won", CLOSED)]
    assert told_by(Deals(Facts([shown])), deal(1, "open")) == [("open", OPENED)]


def test_what_is_paid_back_is_no_deal_of_a_lead() -> None:
    """A deal of a negative amount says nothing of a lead; one that becomes so is taken back, and one that is so no more is new."""
    refund = Money("-100", "EUR")
    deals = Deals(Facts([HOME]))
    assert told_by(deals, deal(1, "open", amount=refund), deal(2, "won", amount=refund)) == []
    assert told_by(deals, deal(3, "won", amount=Money("100", "EUR"))) == [("won", CLOSED)]
    assert told_by(deals, deal(4, "won", amount=refund), deal(5, "won", amount=refund, deleted=True)) == [
        ("deleted", None)
    ]


def test_the_same_facts_say_the_same() -> None:
    """The command's id is that of the deal, its version, its stage and the identifier that a touch has shown; it goes to whose that is."""
    (one,), (other,) = (Deals(Facts([HOME])).take(deal(1, "open"), when)[1] for when in (TOLD, TOLD + 9))
    assert (one.command_id, one.customer_id, one.requested_by) == (other.command_id, CUSTOMER, asked.LEDGER)
    assert asked.problem(one) is None
    assert Deals(Facts([HOME])).take(deal(2, "open"), TOLD)[1][0].command_id != one.command_id


def test_a_deal_waits_for_its_customer() -> None:
    """A deal of nobody whom a touch has shown is told, as it is by then, when one does: once, and also by a process that was started since.
    It is not told as of before it was closed, though the touch is older. A more trusted identifier of the same customer has the deal go
    where that goes from then on."""
    facts = Facts()
    deals = Deals(facts)
    assert told_by(deals, deal(1, "open"), deal(2, "won")) == []
    again = Deals(Facts(facts.deals.values()))
    for one in (deals, again):
        (command,) = one.take(HOME, OPENED)[1]
        assert (command.deal_stage, command.deal_at, command.issued_at) == ("won", CLOSED, CLOSED)
        assert told_by(one, HomeFact("c3-c", CUSTOMER, 2), HomeFact("c2-b", CUSTOMER, 3)) == []
    (command,) = Deals(facts).take(HomeFact("c1-a", CUSTOMER, 2), OPENED)[1]
    assert (command.deal_stage, command.deal_at, command.identifiers) == ("won", CLOSED, ("c1-a",))
    assert told_by(Deals(facts), HomeFact("c1-a", CUSTOMER, 3)) == []


def say(world: World, command: Command, policy: Policy | None = None) -> told.Told:
    """The timeline is told so."""
    done = told.said(world.timeline, command, policy or world.policy)
    world.timeline = done.timeline
    world.records += done.events
    return done


def by_ledger(stage: Stage, when: int, told_at: int = TOLD, deal_id: str = "d1") -> Command:
    """What the ledger says of a deal."""
    id_ = f"{deal_id} {stage} {when}"
    return Command(
        id_,
        CUSTOMER,
        "lead_deal",
        told_at,
        "",
        requested_by=asked.LEDGER,
        deal_id=deal_id,
        deal_stage=stage,
        deal_at=when,
    )


def test_a_deal_that_is_deleted_or_moves_is_taken_back() -> None:
    """Once, from the customer who was told of it; also when its ids name another one. One that nobody was told of, or whose customer was
    erased, is not taken back."""
    other = HomeFact("c2-z", "c2-other", 2)
    deals = Deals(Facts([HOME, other]))
    told_by(deals, deal(1, "open"))
    moved, deleted = deal(2, "open", ids=("c2-z",)), deal(3, "open", ids=("c2-z",), deleted=True)
    said_of = [
        (one.customer_id, one.deal_stage, one.deal_version)
        for fact in (moved, deleted, deleted)
        for one in deals.take(fact, TOLD)[1]
    ]
    assert said_of == [(CUSTOMER, "deleted", 2), ("c2-other", "open", 2), ("c2-other", "deleted", 3)]
    assert told_by(Deals(Facts([HOME])), deal(1, "open", deleted=True)) == []
    deals = Deals(Facts([HOME]))
    told_by(deals, deal(1, "open"))
    (gone,) = deals.take(deal(2, "open", deleted=True), TOLD)[1]
    assert asked.problem(gone) is None
    assert asked.problem(replace(gone, requested_by="ana")) is not None
    deals = Deals(Facts([HOME]))
    told_by(deals, deal(1, "open"))
    deals.take(ErasedFact("c2-b", (OPENED + 1) * 1000), TOLD)
    assert told_by(deals, deal(2, "open", deleted=True)) == []


def taken_back(world: World, deal_id: str = "d1", when: int = TOLD) -> told.Told:
    """The ledger says that the deal never was."""
    command = replace(by_ledger("lost", when, when, deal_id), command_id="gone", deal_stage="deleted", deal_at=None)
    return say(world, command)


def test_a_deleted_deal_never_was() -> None:
    """A lead that became an opportunity by it is what it was before, and the event is retracted; what is read again after a crash does not
    bring it back. Of two deals the other one holds."""
    world = World()
    world.touch("ask", "lead_form", at("2026-03-03T08:00"))
    world.touch("call", "dialed", at("2026-03-03T09:00"), "sales")
    before, was = world.told(), world.lead
    for command in (by_ledger("open", OPENED), by_ledger("proposal", OPENED + 9)):
        say(world, command)
    assert world.lead is not None and world.lead.state == "opportunity"
    assert [event.status for event in taken_back(world).events] == ["retracted"]
    assert (world.told(), world.lead) == (before, was)
    for again in (say(world, by_ledger("open", OPENED)), taken_back(world)):
        assert (again.events, again.refused) == ((), None)
    say(world, by_ledger("open", OPENED, deal_id="d2"))
    say(world, by_ledger("open", OPENED, deal_id="d3"))
    taken_back(world, "d3")
    assert (world.lead.state, world.lead.deals) == ("opportunity", (LeadDeal("d2", "open"),))


def test_a_deleted_deal_whose_beginning_was_pruned_is_lost() -> None:
    """What the timeline does not hold any more cannot be taken back: the lead waits for the deal no longer."""
    world = World(parse(TEAM + "[timeline]\nmax_touches = 10\n"))
    world.touch("ask", "lead_form", at("2026-03-03T08:00"))
    world.touch("call", "dialed", at("2026-03-03T09:00"), "sales")
    say(world, by_ledger("open", OPENED))
    for n in range(12):
        world.touch(f"n{n:02d}", "opened", OPENED + 9 + n)
    assert world.lead is not None and world.lead.state == "opportunity"
    assert [(event.kind, event.status) for event in taken_back(world).events] == [("lost", "detected")]
    assert world.lead.state == "lost" and taken_back(world).events == ()


def test_deals_move_a_lead() -> None:
    """To opportunity, and to won at the closing; told twice it changes nothing. Opened again and lost on the old date, it is lost; that
    another deal is lost says nothing of it."""
    world = World()
    world.touch("ask", "lead_form", at("2026-03-03T08:00"))
    world.touch("call", "dialed", at("2026-03-03T09:00"), "sales")
    for command in (by_ledger("open", OPENED), by_ledger("won", CLOSED), by_ledger("won", CLOSED)):
        assert say(world, command).refused is None
    say(world, by_ledger("lost", CLOSED, deal_id="d2"))
    assert [line.split(" ", 1)[1] for line in world.told()[-2:]] == ["opportunity opportunity", "won won"]
    assert world.lead is not None and (world.lead.state, world.lead.deal, world.lead.since) == ("won", "d1", CLOSED)
    say(world, by_ledger("proposal", TOLD))
    say(world, by_ledger("lost", CLOSED))
    assert world.lead.state == "lost" and said(world.lead.since) == "2026-03-21T02:00"


def test_a_deal_that_began_before_the_assignment_is_of_who_was_given_the_lead() -> None:
    """The request reaches us at noon and a rep gets the lead; then the ledger tells of a deal that began at ten. The hand-off is amended,
    not taken back: the rep has an opportunity, and must get in touch as they were told."""
    world = World()
    world.touch("ask", "lead_form", at("2026-03-03T08:00"), came=at("2026-03-03T12:00"))
    assert world.lead is not None and world.lead.owner is not None
    owner, due_at = world.lead.owner, world.lead.due_at
    say(world, by_ledger("open", OPENED))
    assert (world.lead.state, world.lead.owner, world.lead.due_at) == ("opportunity", owner, due_at)
    assert [(one.kind, one.state, one.owner) for one in world.standing()][-2:] == [
        ("opportunity", "opportunity", None), ("handed_off", "opportunity", owner),
    ]  # fmt: skip
    world.touch("call", "dialed", at("2026-03-03T12:30"), "sales")
    assert world.lead.timers == () and world.standing()[-1].in_time


STORIES = [
    # Two deals at once: the lead is lost when both are, won when one is, and what becomes of the other then changes nothing.
    (["a open", "b open", "a lost"], "opportunity b"),
    (["a open", "b open", "a lost", "b lost"], "lost b"),
    (["a open", "b open", "a lost", "b won"], "won b"),
    (["a open", "b open", "b won", "a lost"], "won b"),
    (["a open", "b open", "b won", "a proposal"], "won b"),
    (["a open", "b open", "b won", "a won"], "won b"),
    # What was won is lost after all: another that is won, or open, holds the lead.
    (["a won", "b won", "a lost"], "won b"),
    (["a open", "b open", "a won", "a lost"], "opportunity b"),
    # First heard of when they are over, in either order.
    (["a lost", "b won"], "won b"),
    (["b won", "a lost"], "won b"),
    # Opened again after it was lost; and said by a person without an id.
    (["a open", "a lost", "a proposal"], "opportunity a"),
    (["a open", "b open", " lost"], "lost a"),
    ([" won", "a won", "a lost"], "lost a"),
    # Sales gave the lead back: only a deal that goes on or is won brings it to life.
    (["a open", "b open", "recycled", "a lost"], "recycled b"),
    (["a open", "b open", "recycled", "b proposal"], "opportunity a"),
    # A deal that begins after the lead was won is another lead, to which the deals of the first mean nothing.
    (["a open", "b won", "c open", "a lost"], "opportunity c"),
    (["a open", "b won", "c open", "a won", "c lost"], "lost c"),
]  # fmt: skip


@pytest.mark.parametrize(("said_of_deals", "wanted"), STORIES)
def test_several_deals_of_one_lead(said_of_deals: list[str], wanted: str) -> None:
    """A lead is won when a deal that came from it is, and lost only when none that did is open."""
    world = World()
    world.touch("ask", "lead_form", at("2026-03-03T08:00"))
    world.touch("call", "dialed", at("2026-03-03T09:00"), "sales")
    for day, text in enumerate(said_of_deals):
        when = OPENED + day * 86_400_000
        if text == "recycled":
            world.act("lead_recycled", when, reason="no_budget")
            continue
        id_, stage = text.split(" ")
        world.act("lead_deal", when, deal=id_, stage=stage)
    assert world.lead is not None and f"{world.lead.state} {world.lead.deal}" == wanted


def test_a_second_deal_that_is_closed_on_an_earlier_day() -> None:
    """The CRM gives days: a deal that was opened at ten and lost on that day is lost all the same, though the lead follows another one."""
    world = World()
    world.touch("ask", "lead_form", at("2026-03-02T08:00"))
    for command in (by_ledger("open", OPENED), by_ledger("open", OPENED + 5, deal_id="d2"),
                    by_ledger("lost", at("2026-03-03T00:00"), deal_id="d2")):  # fmt: skip
        assert say(world, command).refused is None
    assert world.lead is not None and world.lead.deals == (LeadDeal("d1", "open"),)
    say(world, by_ledger("lost", CLOSED))
    assert world.lead.state == "lost"


def test_a_person_hears_that_another_deal_is_open() -> None:
    """Ana says that one of two deals is lost: the lead goes on, and she is told with which."""
    world = World()
    world.touch("ask", "lead_form", at("2026-03-03T08:00"))
    for deal_id in ("d1", "d2"):
        say(world, by_ledger("open", OPENED, deal_id=deal_id))
    command = asked.lead_command("lead_deal", CUSTOMER, "ana", CLOSED, deal_id="d1", deal_stage="lost")
    refused = say(world, command).refused
    assert refused is not None and "goes on with d2; lost without a deal's id ends it all the same" in refused[1]


def test_a_deal_without_a_lead_is_nothing() -> None:
    """A customer who has no lead gets none by a deal, nor does one of a company without teams or one who was erased since; a lead that
    begins before the deal by a touch that comes late is moved by it all the same."""
    for erased_at in ((OPENED - 9) * 1000, OPENED * 1000):
        gone = Timeline(erased_at=erased_at)
        assert told.said(gone, by_ledger("open", OPENED), World().policy) == told.Told(gone)
    world = World()
    world.touch("mail", "sent", at("2026-03-02T08:00"))
    assert say(world, by_ledger("open", OPENED), Policy()).timeline.entries == world.timeline.entries[:1]
    erased = replace(world.timeline, erased_at=OPENED * 1000)
    assert told.said(erased, by_ledger("open", OPENED), world.policy).timeline is erased
    done = say(world, by_ledger("open", OPENED))
    assert (done.events, done.refused, world.lead) == ((), None, None)
    world.touch("ask", "lead_form", at("2026-03-03T08:00"), came=TOLD)
    assert world.told()[-2:] == ["2026-03-03T10:00 opportunity opportunity", "2026-03-21T02:00 handed_off opportunity"]


def test_a_deal_that_comes_before_the_first_touch_counts() -> None:
    """A merge brings the touch after the ledger has told of the deal: the lead that begins by it goes on to the deal. Of a company that
    follows no leads nothing is kept."""
    world = World()
    done = say(world, by_ledger("open", OPENED))
    assert (done.events, done.refused, world.lead) == ((), None, None)
    world.touch("ask", "lead_form", at("2026-03-03T08:00"), came=TOLD)
    assert world.told()[-2:] == ["2026-03-03T10:00 opportunity opportunity", "2026-03-21T02:00 handed_off opportunity"]
    assert told.said(EMPTY, by_ledger("open", OPENED), Policy()).timeline is EMPTY


@pytest.mark.parametrize("stage", ["won", "lost"])
def test_what_people_say_of_a_deal_is_answered(stage: Stage) -> None:
    """Said by a person, it moves the lead, without a deal's id too; of nobody's lead, or said twice, it is refused in plain words."""
    world = World()
    command = asked.lead_command("lead_deal", CUSTOMER, "ana", OPENED, deal_stage=stage)
    refused = say(world, command).refused
    assert refused is not None and "has no lead; lead_deal is about one" in refused[1]
    world.touch("ask", "lead_form", at("2026-03-03T08:00"))
    assert [event.kind for event in say(world, command).events] == [stage]
    refused = say(world, replace(command, command_id="again", issued_at=OPENED + 9)).refused
    assert refused is not None and f"is {stage}; lead_deal ({stage}) is not possible then" in refused[1]
