"""Plans of many customers: what will collide, in figures that add up and do not depend on order."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.core.entry import Entry
from streams.core.govern.check import check, known
from streams.core.govern.compiled import KINDS
from streams.core.govern.defaults import RULES
from streams.core.govern.forecast import forecast, plan_of, sentence
from streams.core.govern.policy import Action
from streams.core.govern.reasons import Reason
from streams.core.govern.records import NOTHING, Contact, Deal, LeadHeld, Standing, Suppression
from streams.core.leads.states import LeadState
from streams.core.policy import Policy, parse
from streams.core.timeline import Timeline
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


def _entry(kind: str, direction: str = "outbound", hours: int = 1, **values: Any) -> Entry:
    values = {"channel": "calls", "department": "sales"} | values
    return Entry(TUESDAY - hours * HOUR, f"e{hours}", direction=direction, kind=kind, **values)


MAIL = Contact(
    TUESDAY, "email", "marketing", id="m", campaign="spring", sequence="s1", actor_id="kim", actor_kind="person",
    offer="Launch offer", offer_ends=dt.date(2026, 3, 30),
)  # fmt: skip
CAUSES: dict[str, tuple[str, Sequence[Entry], Standing, str]] = {
    "frequency_cap": ('window = "7d"\nlimit = 1', (_entry("dialed"),), NOTHING, "over the cap 'r' with contacts already made"),
    "account_cap": (
        'window = "7d"\nlimit = 1', (), Standing(account_contacts=(replace(MAIL, at=TUESDAY - HOUR, id="x", customer="lee"),)),
        "over the company's cap 'r' with contacts already made",
    ),
    "department_overlap": ('window = "24h"', (_entry("dialed"),), NOTHING, "with contacts already made or reserved inside 24 h"),
    "minimum_gap": ('window = "2h"', (_entry("dialed"),), NOTHING, "too near, by 'r'"),
    "duplicate_campaign": (
        "", (_entry("sent", channel="email", campaign="spring"),), NOTHING, "of a campaign that reaches the customer twice"
    ),
    "duplicate_sequence": ("", (_entry("dialed", sequence="s2"),), NOTHING, "in two sequences at once"),
    "never_with": (
        'a = [{offer = ["Launch offer"]}]\nb = [{campaign = ["autumn"]}]', (_entry("dialed", campaign="autumn"),), NOTHING,
        "with offers that do not go together",
    ),
    "quiet_hours": ('start = "09:00"\nend = "11:00"', (), NOTHING, "in quiet hours"),
    "holidays": ("", (), Standing(country="DE"), "on a public holiday"),
    "opt_out": ("", (_entry("unsubscribed", "inbound", channel="email"),), NOTHING, "on opted-out contacts"),
    "consent": ('unknown = "deny"', (), NOTHING, "without consent"),
    "do_not_contact": ("", (), Standing(do_not_contact=(Suppression("person", 0),)), "on the do-not-contact list"),
    "owner_collision": ("", (), Standing(owner="jo"), "on customers whom somebody else owns"),
    "open_deal": ("", (), Standing(open_deals=(Deal("d", 0),)), "on customers with an open deal"),
    "sales_lead": ("", (), Standing(with_sales=LeadHeld("l", 0, "kim")), "on customers whose lead sales has"),
    "after_reply": ("", (_entry("replied", "inbound"),), NOTHING, "on customers who just replied"),
    "rejection_cool_down": (
        'limit = 1\nwindow = "7d"\npause = "7d"', (_entry("no_answer"),), NOTHING, "on customers who rejected us"
    ),
    "stale_offer": ("", (), NOTHING, "with an offer that has ended"),
}  # fmt: skip
"""For each kind of rule its knobs, what is known of a customer whose mail breaks it, and what the forecast says."""
ACTIONS = get_args(Action)


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_each_rule_can_be_told(kind: str, action: str) -> None:
    """A plan that breaks it is forecast and told in words, whatever the rule says to do."""
    knobs, history, standing, words = CAUSES[kind]
    only = "".join(f'[[rules]]\nname = "{rule.name}"\nenabled = false\n' for rule in RULES)
    policy = parse(f'{only}[[rules]]\nname = "r"\nkind = "{kind}"\naction = "{action}"\n{knobs}\n')
    at = worlds.START + 8 * DAY + 10 * HOUR if kind == "holidays" else TUESDAY  # Good Friday
    (outlook,) = forecast([("c", replace(MAIL, at=at))], lambda _: (history, standing), policy, worlds.START)
    assert f": 1 {words}" in sentence(outlook)
    assert sentence(outlook).endswith(f"; {int(action != 'alert')} of 1 may not be made.")


def test_all_kinds_of_rules_are_tried() -> None:
    """The list above has each kind once."""
    assert list(CAUSES) == list(KINDS)


def test_marketing_for_a_lead_that_sales_has() -> None:
    """By the shipped policy a campaign may not go to a customer whose lead sales holds, and the forecast says so."""
    lead = LeadState("l", "accepted", TUESDAY - DAY, assigned_at=TUESDAY - DAY, owner="ana")
    history, standing = known(Timeline(lead=lead), Policy(), TUESDAY)
    (outlook,) = forecast([("c", MAIL_ONLY)], lambda _: (history, standing), Policy(), worlds.START)
    assert sentence(outlook) == (
        "Tuesday's spring campaign (31 March 2026, marketing, 1 email) collides once: 1 on customers whose lead sales has;"
        " 1 of 1 may not be made."
    )


MAIL_ONLY = Contact(TUESDAY, "email", "marketing", campaign="spring", actor_kind="automation")


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(("a", "b")), worlds.contacts), max_size=6),
    worlds.histories(4),
    worlds.standings,
    worlds.policies(),
    st.data(),
)
def test_the_forecast_is_the_sum_of_the_checks(
    plans: list[tuple[str, Contact]],
    history: tuple[Entry, ...],
    standing: Standing,
    policy: Policy,
    data: st.DataObject,
) -> None:
    """In any order of the plans the same; each contact is stopped when a check with all other plans held stops it; all can be told."""
    named = [(customer, replace(contact, id=f"p{n}")) for n, (customer, contact) in enumerate(plans)]
    found = forecast(named, lambda _: (history, standing), policy, 0)
    assert found == forecast(data.draw(st.permutations(named)), lambda _: (history, standing), policy, 0)
    assert all(map(sentence, found))
    for outlook in found:
        theirs = [(customer, contact) for customer, contact in named if plan_of(contact) == outlook.plan]
        verdicts = [
            check(
                history,
                contact,
                policy,
                0,
                replace(standing, held=(*standing.held, *(o for c, o in named if c == customer))),
                (),
            )
            for customer, contact in theirs
        ]
        assert (outlook.contacts, outlook.stopped) == (len(theirs), sum(not one.allowed for one in verdicts))
        assert sum(one.contacts for one in outlook.collisions) == sum(len(one.violations) for one in verdicts)
