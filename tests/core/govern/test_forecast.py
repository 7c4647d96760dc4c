"""Plans of many customers: what will collide, in figures that add up and do not depend on order."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.core.entry import Entry
from streams.core.govern.check import check
from streams.core.govern.forecast import forecast, plan_of, sentence
from streams.core.govern.reasons import Reason
from streams.core.govern.records import NOTHING, Contact, Standing
from streams.core.policy import Policy
from tests.core.govern import worlds
from tests.core.govern.worlds import DAY, HOUR

TUESDAY = worlds.START + 5 * DAY + 10 * HOUR
"""2026-03-31T10:00:00Z."""


def test_a_campaign_and_a_call_list() -> None:
    """500 emails; 298 customers are to be called within a day, 14 have opted out, one of them is called too; the calls see it as well."""
    plans = []
    histories: dict[str, tuple[Entry, ...]] = {}
    for n in range(500):
        plans.append((f"c{n}", Contact(TUESDAY, "email", "marketing", campaign="spring", actor_kind="automation")))
        if n < 298:
            plans.append((f"c{n}", Contact(TUESDAY + 5 * HOUR, "calls", "sales")))
        if n >= 297 and n < 311:
            histories[f"c{n}"] = (Entry(TUESDAY - 9 * DAY, f"o{n}", "email", "marketing", "inbound", "unsubscribed"),)
    found = forecast(plans, lambda customer: (histories.get(customer, ()), NOTHING), Policy(), worlds.START)
    assert [sentence(outlook) for outlook in found] == [
        "Tuesday's calls of sales (31 March 2026, sales, 298 calls) collide 298 times: 298 with planned emails of marketing inside 24 h;"
        " 298 of 298 may not be made.",
        "Tuesday's spring campaign (31 March 2026, marketing, 500 emails) collides 312 times: 298 with planned calls of sales inside 24 h,"
        " 14 on opted-out contacts; 311 of 500 may not be made.",
    ]
    spring = found[1]
    assert [(one.reason, one.customers) for one in spring.collisions] == [
        (Reason.DEPARTMENT_OVERLAP, 298),
        (Reason.AFTER_OPT_OUT, 14),
    ]


def test_what_was_sent_before_is_told_apart_from_plans() -> None:
    """A collision with a touch of the past, or with a reservation, is not one with a plan."""
    past = (Entry(TUESDAY - HOUR, "t", "calls", "sales", "outbound", "dialed"),)
    plans = [("c", Contact(TUESDAY, "email", "marketing"))]
    (outlook,) = forecast(plans, lambda _: (past, NOTHING), Policy(), worlds.START)
    assert [one.against for one in outlook.collisions] == ["contacts already made or reserved"]
    held = Standing(held=(Contact(TUESDAY + HOUR, "calls", "sales", id="r"),))
    (outlook,) = forecast(plans, lambda _: ((), held), Policy(), worlds.START)
    assert [one.against for one in outlook.collisions] == ["contacts already made or reserved"]
    (outlook,) = forecast(plans, lambda _: ((), NOTHING), Policy(), worlds.START)
    assert (
        sentence(outlook) == "Tuesday's emails of marketing (31 March 2026, marketing, 1 email) collide with nothing."
    )


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(("a", "b")), worlds.contacts), max_size=6),
    worlds.histories(4),
    worlds.policies(),
    st.data(),
)
def test_the_forecast_is_the_sum_of_the_checks(
    plans: list[tuple[str, Contact]], history: tuple[Entry, ...], policy: Policy, data: st.DataObject
) -> None:
    """In any order of the plans the same; each contact is stopped when a check with all other plans held stops it."""
    named = [(customer, replace(contact, id=f"p{n}")) for n, (customer, contact) in enumerate(plans)]
    found = forecast(named, lambda _: (history, NOTHING), policy, 0)
    assert found == forecast(data.draw(st.permutations(named)), lambda _: (history, NOTHING), policy, 0)
    for outlook in found:
        theirs = [(customer, contact) for customer, contact in named if plan_of(contact) == outlook.plan]
        verdicts = [
            check(history, contact, policy, 0, Standing(held=tuple(o for c, o in named if c == customer)), ())
            for customer, contact in theirs
        ]
        assert (outlook.contacts, outlook.stopped) == (len(theirs), sum(not one.allowed for one in verdicts))
        assert sum(one.contacts for one in outlook.collisions) == sum(len(one.violations) for one in verdicts)
