"""Hand-offs as sales answered them, beside what became of them; and the funnel."""

from __future__ import annotations

from hypothesis import given, settings
from msgspec.structs import astuple

from streams.core.ledger.policy import LedgerPolicy
from streams.core.ledger.quarrel import STEPS
from streams.core.ledger.result import HandOffs
from streams.core.ledger.types import DAY_MS, UNATTRIBUTED, Deal, LeadEvent
from streams.core.touch import Actor, Customer, Money, Touch
from tests.ledger import strategies
from tests.ledger.books import ledger
from tests.ledger.strategies import START

ANN, BO = Customer(email="ann@example.com"), Customer(email="bo@example.com")


def at(day: float) -> int:
    """A time, in days after the quarter began."""
    return START + int(day * DAY_MS)


def touch(
    day: float, who: Customer, department: str = "marketing", kind: str = "sent", actor: Actor | None = None
) -> Touch:
    """A mail of marketing's campaign, or what sales did."""
    direction = "inbound" if kind == "clicked" else "outbound"
    return Touch(f"{department}-{who.email}-{day}", "email", department, direction, kind, at(day), who, actor=actor,  # type: ignore[arg-type]
                 campaign="spring" if department == "marketing" else None)  # fmt: skip


def won(day: float, who: Customer, opened: float | None = None) -> Deal:
    """A deal of 50 euros."""
    return Deal(f"d-{who.email}", who, "won", at(day if opened is None else opened), at(day), Money("50", "EUR"))


def test_the_quarrel() -> None:
    """Ann is accepted but touched only by a robot; Bo is rejected, not touched, and buys. Both have come by one campaign."""
    leads = [
        LeadEvent(ANN, at(3), "handed_off"), LeadEvent(ANN, at(4), "accepted"),
        LeadEvent(BO, at(3), "handed_off"), LeadEvent(BO, at(4), "rejected", "not_icp"), LeadEvent(BO, at(5), "accepted"),
    ]  # fmt: skip
    touches = [touch(1, ANN), touch(1, BO), touch(5, ANN, "sales", actor=Actor("robot", None, "automation"))]
    found = ledger(touches, [won(20, BO)], leads=leads)
    assert found.handoffs == (
        HandOffs("spring", "accepted", "", 1, 0, 0, 0, ()),
        HandOffs("spring", "rejected", "not_icp", 1, 0, 1, 1, (("EUR", 50_00),)),
    )


def test_a_hand_off_lasts_until_the_next() -> None:
    """Handed off twice, Ann's deal and sales' touch belong to the second time; the first stayed unanswered."""
    leads = [
        LeadEvent(ANN, at(3), "handed_off"),
        LeadEvent(ANN, at(30), "handed_off"),
        LeadEvent(ANN, at(31), "working"),
    ]
    found = ledger([touch(32, ANN, "sales")], [won(40, ANN)], leads=leads)
    assert [(row.answer, row.count, row.touched, row.won) for row in found.handoffs] == [
        ("accepted", 1, 1, 1),
        ("no_answer", 1, 0, 0),
    ]


def test_what_became_of_them_counts_when_it_comes() -> None:
    """A hand-off of September that is won in October counts in September's quarter; one of October does not."""
    leads = [LeadEvent(ANN, at(90), "handed_off"), LeadEvent(BO, at(93), "handed_off")]
    (row,) = ledger([], [won(120, ANN)], leads=leads).handoffs
    assert (row.count, row.won, row.answer) == (1, 1, "no_answer")


def test_the_funnel_goes_by_the_first_contact() -> None:
    """Ann came as far as the deal, by marketing; Bo only reacted, by sales; a deal of somebody never touched stands alone."""
    touches = [touch(1, ANN), touch(2, ANN, "sales"), touch(1, BO, "sales"), touch(2, BO, kind="clicked")]
    nobody = Customer(email="nobody@example.com")
    found = ledger(touches, [won(20, ANN), won(30, nobody, opened=-5)])
    steps = {(step.department, step.step): step.customers for step in found.funnel}
    assert {step for _, step in steps} == {"contacted", "responded", "opportunity", "won"}, (
        "no lead event said anything"
    )
    assert [steps["marketing", step] for step in ("contacted", "responded", "opportunity", "won")] == [1, 1, 1, 1]
    assert [steps["sales", step] for step in ("contacted", "responded", "opportunity", "won")] == [1, 1, 0, 0]
    assert steps[UNATTRIBUTED, "won"] == 1


def test_what_is_paid_back_is_no_sale() -> None:
    """A refund that is a deal of its own lessens the revenue of the hand-off before it; it is no opportunity and no win there, no step of
    the funnel and no deal in a stage."""
    leads = [LeadEvent(ANN, at(3), "handed_off"), LeadEvent(ANN, at(30), "handed_off")]
    refund = Deal("back", ANN, "won", at(40), at(40), Money("-20.00", "EUR"))
    found = ledger([touch(1, ANN)], [won(20, ANN), refund], leads=leads)
    assert [(row.opportunities, row.won, row.revenue) for row in found.handoffs] == [(1, 1, (("EUR", 30_00),))]
    assert [astuple(row) for row in found.stages] == [("marketing", "won", "EUR", 1, 50_00)]
    alone = ledger([touch(1, ANN)], [refund], leads=leads)
    assert {step.step: step.customers for step in alone.funnel}["opportunity"] == 0
    assert alone.stages == ()


@settings(max_examples=40, deadline=None)
@given(strategies.touches(), strategies.deals(), strategies.leads())
def test_no_step_has_more_than_the_one_before(touches, deals, leads) -> None:  # type: ignore[no-untyped-def]
    """In every department each step of the funnel has at most as many customers as the step before; hand-offs sum up."""
    found = ledger(touches, deals, leads=leads)
    for department in {step.department for step in found.funnel}:
        counts = [step.customers for step in found.funnel if step.department == department]
        assert counts == sorted(counts, reverse=True)
    assert {step.step for step in found.funnel} <= set(STEPS)
    distinct = {(lead.customer, lead.at, lead.reason) for lead in leads if lead.state == "handed_off"}
    made = sum(found.period.holds(moment) for _, moment, _ in distinct)
    assert sum(row.count for row in found.handoffs) == made
    assert all(row.touched <= row.count and row.won <= row.opportunities <= row.count for row in found.handoffs)


def test_stages_are_of_the_deals_opened() -> None:
    """Deals opened in the quarter stand in their stage, by the department of the first touch point before; others do not."""
    deals = [
        Deal("a", ANN, "proposal", at(5), None, Money("7", "EUR")),
        Deal("b", BO, "open", at(6)),
        Deal("c", BO, "won", at(-1), at(3), Money("9", "EUR")),
    ]
    found = ledger([touch(1, ANN, "sales"), touch(2, ANN)], deals, policy=LedgerPolicy())
    assert [astuple(row) for row in found.stages] == [
        (UNATTRIBUTED, "open", "", 1, 0),
        ("sales", "proposal", "EUR", 1, 7_00),
    ]
