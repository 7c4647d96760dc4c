"""Lists of planned touches: which of them hold, whose they are, and what is known of these people."""

from __future__ import annotations

import random
from typing import Any

from msgspec.structs import replace

from streams.core.entry import Entry
from streams.core.govern.awaited import awaited
from streams.core.govern.forecast import forecast
from streams.core.govern.plan_contacts import contact_of
from streams.core.govern.planning import planned
from streams.core.govern.reasons import Reason
from streams.core.policy import Policy
from streams.core.reservation import Reservation
from streams.core.timeline import Timeline
from streams.core.touch import Actor, Customer, Message, Touch
from tests.core.govern.worlds import DAY, HOUR, START

TUESDAY = START + 5 * DAY + 10 * HOUR
MAIL = Touch("mail", "email", "marketing", "outbound", "sent", TUESDAY, Customer(email="c2-a"), campaign="spring")
CALL = Touch("call", "calls", "sales", "outbound", "dialed", TUESDAY + 5 * HOUR, Customer(phone="c3-b"))


def people(touch: Touch) -> tuple[str, ...]:
    """Identifiers stand for customers."""
    return tuple(id_ for id_ in (touch.customer.email, touch.customer.phone) if id_)


def plan(*touches: Touch, timelines: dict[str, Timeline]) -> Any:
    """What is planned in the two weeks from START."""
    return planned(touches, people, timelines, dict, Policy(), START, START + 14 * DAY)


def test_which_plans_hold() -> None:
    """The highest version, of equal ones the later; nothing that was taken back, made, before or after the stretch, or for nobody."""
    moved = replace(MAIL, occurred_at=TUESDAY + HOUR)
    sent = Timeline(entries=(Entry(START - HOUR, "done", "email", "marketing", "outbound", "sent"),))
    found = plan(
        replace(MAIL, version=2, campaign="autumn"),
        replace(MAIL, version=1),
        CALL,
        replace(CALL, occurred_at=TUESDAY),
        replace(MAIL, touch_id="gone"),
        replace(MAIL, touch_id="gone", version=2, deleted=True),
        replace(MAIL, touch_id="done"),
        replace(MAIL, touch_id="past", occurred_at=START - 1),
        replace(MAIL, touch_id="far", occurred_at=START + 14 * DAY),
        replace(moved, touch_id="nobody", customer=Customer(name="N. N.")),
        timelines={"c2-a": sent},
    )
    assert [(who, one.id, one.at, one.campaign) for who, one in found.plans] == [
        ("c2-a", "mail", TUESDAY, "autumn"),
        ("c3-b", "call", TUESDAY, None),
    ]
    assert (found.made, found.elsewhen, found.withdrawn, found.nobody) == (1, 2, 1, 1)


def test_one_person_by_two_identifiers() -> None:
    """Plans that name a person in two ways meet when a third plan names both; and what is known of either holds for all of them."""
    both = replace(CALL, touch_id="both", occurred_at=TUESDAY + 8 * DAY, customer=Customer(email="c2-a", phone="c3-b"))
    opt_out = Entry(START - DAY, "o", "email", "marketing", "inbound", "unsubscribed")
    touches = [MAIL, CALL, both]
    random.Random(1).shuffle(touches)
    found = plan(*touches, timelines={"c3-b": Timeline(merged_into="c1-z"), "c1-z": Timeline(entries=(opt_out,))})
    assert {who for who, _ in found.plans} == {"c2-a"}
    spring = next(one for one in forecast(found.plans, found.known, Policy(), START) if one.plan.label == "spring")
    assert {one.reason for one in spring.collisions} == {Reason.DEPARTMENT_OVERLAP, Reason.AFTER_OPT_OUT}
    apart = plan(MAIL, CALL, timelines={"c1-z": Timeline(entries=(opt_out,))})
    assert all(not one.stopped for one in forecast(apart.plans, apart.known, Policy(), START))


def test_a_contact_is_what_the_touch_says() -> None:
    """Actor, category, sequence, priority, the offer and its last day, as the message states it, are those of the touch."""
    message = Message(text="Until March 31 the Pro plan costs 49 EUR a month.", offer="Spring offer")
    touch = replace(
        MAIL, actor=Actor("mailer", None, "automation"), message=message, category="news", sequence="s", priority=3
    )
    contact = contact_of(touch)
    told = (contact.actor_id, contact.actor_kind, contact.category, contact.sequence, contact.priority, contact.offer)
    assert told == ("mailer", "automation", "news", "s", 3, "Spring offer")
    assert contact.offer_ends is not None and contact.offer_ends.isoformat() == "2026-03-31"


def test_what_others_plan_or_hold_counts() -> None:
    """A call that sales has published for the customer is in the way of a mail, and so is a slot held under an id that was merged since; a
    slot for the published call is the call, and none of them is among what is asked about. What the list has under the same id holds."""
    call = Entry(TUESDAY + HOUR, "call", "calls", "sales", "outbound", "dialed")
    timelines = {
        "c2-a": Timeline(plans=(call, replace(call, id="past", at=START - 1))),
        "c5-x": Timeline(merged_into="c2-a"),
    }

    def slot(touch_id: str, at: int, **values: Any) -> Reservation:
        names = (
            "campaign",
            "category",
            "sequence",
            "actor_id",
            "actor_kind",
            "priority",
            "offer",
            "offer_ends",
            "account",
        )
        nothing: dict[str, Any] = dict.fromkeys(names)
        return Reservation(
            "r", "held", "c5-x", ("c5-x",), touch_id, at, TUESDAY, "calls", "sales", "dialed", **nothing, created_at=1, updated_at=1,
            requested_by="", policy="", **values,
        )  # fmt: skip

    others = awaited(
        [("c2-a", timelines["c2-a"])], [slot("call", TUESDAY + HOUR), slot("slot", TUESDAY - HOUR)], timelines, START
    )

    def told(*touches: Touch) -> Any:
        found = planned(touches, people, timelines, dict, Policy(), START, START + 14 * DAY, None, others)
        seen = forecast(found.plans, found.known, Policy(), START, found.companies, found.published)
        return [(one.plan.department, [each.against for each in one.collisions]) for one in seen]

    both = "contacts already made or reserved and planned calls of sales"
    assert told(MAIL) == [("marketing", [both])]
    moved = replace(CALL, customer=Customer(email="c2-a"), occurred_at=TUESDAY + 5 * DAY)
    assert told(MAIL, moved) == [("marketing", ["contacts already made or reserved"]), ("sales", [])]
