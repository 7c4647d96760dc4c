"""`check` says what a second reading of the policy says, and its slots are the earliest there are."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.core.entry import DELETED, Entry, key
from streams.core.govern.check import check
from streams.core.govern.policy import OpenDeal
from streams.core.govern.records import USUAL_KIND, Contact, Deal, Standing, Verdict
from streams.core.leads.policy import LeadsPolicy
from streams.core.policy import PlannedPolicy, Policy
from streams.core.touch import CHANNELS
from tests.core.govern import oracle, worlds
from tests.core.govern.worlds import DAY, HOUR


def _stops(policy: Policy, broken: set[str], contact: Contact) -> bool:
    actions = [rule.action for rule in policy.rules if rule.name in broken]
    return any(a != "alert" and not (a == "require_approval" and contact.approved_by) for a in actions)


SETS = [*((kind,) for kind in worlds.rules), tuple(worlds.rules)]
"""Each kind of rule by itself, and all together."""


@pytest.mark.parametrize("kinds", SETS, ids=lambda kinds: kinds[0] if len(kinds) == 1 else "all")
@settings(max_examples=30, deadline=None)
@given(worlds.histories(), worlds.contacts, worlds.standings, st.data())
def test_the_violations_are_the_oracles(
    kinds: tuple[str, ...], history: tuple[Entry, ...], contact: Contact, standing: Standing, data: st.DataObject
) -> None:
    """All rules broken are told, no other one; the contact is allowed when each of them lets it pass; and one of them that routes names
    the customer's owner."""
    policy = data.draw(worlds.policies(kinds))
    verdict = check(history, contact, policy, 0, standing)
    wanted = oracle.broken(history, contact, policy, contact.at, standing)
    assert {one.rule for one in verdict.violations} == wanted
    assert verdict.allowed is not _stops(policy, wanted, contact)
    routes = any(rule.action == "reroute" for rule in policy.rules if rule.name in wanted)
    assert verdict.route_to == (oracle.owned_by(history, policy, standing) if routes else None)
    assert len(verdict.violations) == len(wanted)


@pytest.mark.parametrize("kinds", SETS, ids=lambda kinds: kinds[0] if len(kinds) == 1 else "all")
@settings(max_examples=20, deadline=None)
@given(worlds.histories(), worlds.contacts, worlds.standings, st.data())
def test_a_slot_is_the_first_free_instant(
    kinds: tuple[str, ...], history: tuple[Entry, ...], contact: Contact, standing: Standing, data: st.DataObject
) -> None:
    """At each channel's slot nothing stops the contact; a millisecond before it, and at every sixth hour before, something does."""
    policy = data.draw(worlds.policies(kinds, action="delay_until"))
    verdict = check(history, contact, policy, 0, standing)

    def stopped(channel: str, t: int) -> bool:
        moved = contact if channel == contact.channel else replace(contact, channel=channel)
        return _stops(policy, oracle.broken(history, moved, policy, t, standing), contact)

    assert set(verdict.slots) == set(CHANNELS)
    for channel, slot in verdict.slots.items():
        end = contact.at + 20 * DAY if slot is None else slot
        before = [*range(contact.at, end, 6 * HOUR), *(t for t in (end - 1, end - HOUR // 2) if t >= contact.at)]
        if slot is not None:
            assert not stopped(channel, slot)
        assert all(stopped(channel, t) for t in before if t < end), (channel, slot)


def _plan(n: int, contact: Contact) -> Entry:
    """The contact as a tool has published it."""
    values = {
        name: getattr(contact, name)
        for name in ("campaign", "category", "priority", "sequence", "actor_id", "actor_kind")
    }
    return Entry(
        contact.at, f"p{n}", contact.channel, contact.department, "outbound", USUAL_KIND[contact.channel], **values
    )


@settings(max_examples=60, deadline=None)
@given(
    worlds.histories(5),
    worlds.contacts,
    worlds.policies(),
    worlds.standings,
    st.lists(worlds.contacts, max_size=3),
    st.lists(worlds.contacts, max_size=2),
)
def test_plans_are_told_or_hold(
    history: tuple[Entry, ...],
    contact: Contact,
    policy: Policy,
    standing: Standing,
    planned: list[Contact],
    mates: list[Contact],
) -> None:
    """As slots, others' plans do what reservations of them would, those for colleagues what contacts with them would. Else the answer is
    the one without them, and besides it has as alerts the rules that only they break; ignored, nothing of them. What is made, reserved,
    withdrawn, or the contact's own plan, is none."""
    plain = [replace(one, id=f"p{n}", offer=None, offer_ends=None) for n, one in enumerate(planned)]
    plans = tuple(sorted((_plan(n, one) for n, one in enumerate(plain)), key=key))
    none = (
        replace(plans[0], id=contact.id), replace(plans[0], id="gone", kind=DELETED), *history[:1],
        *(replace(plans[0], id=one.id) for one in standing.held),
    ) if plans else ()  # fmt: skip
    theirs = tuple(replace(one, id=f"c{n}", customer="zoe") for n, one in enumerate(mates))
    with_plans = replace(standing, planned=tuple(sorted((*plans, *none), key=key)), account_planned=theirs)

    def judged(checks: Literal["tell", "hold", "ignore"], known: Standing) -> Verdict:
        return replace(
            check(history, contact, replace(policy, planned=PlannedPolicy(checks=checks)), 0, known), policy=""
        )

    alone = judged("tell", standing)
    reserved = judged(
        "tell",
        replace(standing, held=(*standing.held, *plain), account_contacts=(*standing.account_contacts, *theirs)),
    )
    held, told = judged("hold", with_plans), judged("tell", with_plans)
    assert {one.rule for one in held.violations} == {one.rule for one in reserved.violations}
    assert (held.allowed, held.slots) == (reserved.allowed, reserved.slots)
    assert judged("ignore", with_plans) == alone
    assert (told.allowed, told.slots, told.route_to) == (alone.allowed, alone.slots, alone.route_to)
    more = {one.rule: one for one in told.violations}.keys() - {one.rule for one in alone.violations}
    assert more == {one.rule for one in reserved.violations} - {one.rule for one in alone.violations}
    assert [one for one in told.violations if one.rule not in more] == list(alone.violations)
    for one in told.violations:
        if one.rule in more:
            assert one.action == "alert" and one.text.endswith("It rests on what is only planned.")
            assert not one.evidence or any(proof.planned for proof in one.evidence)


@settings(max_examples=60, deadline=None)
@given(worlds.histories(), worlds.contacts, worlds.policies(), worlds.standings, st.randoms())
def test_the_order_of_the_rules_does_not_matter(
    history: tuple[Entry, ...], contact: Contact, policy: Policy, standing: Standing, random: st.random.Random
) -> None:
    """The same rules in another order give the same verdict, but for the policy's fingerprint."""
    shuffled = list(policy.rules)
    random.shuffle(shuffled)
    one = check(history, contact, policy, 0, standing)
    other = check(history, contact, replace(policy, rules=tuple(shuffled)), 0, standing)
    assert replace(one, policy="") == replace(other, policy="")


COUNTING = (
    "frequency_cap",
    "department_overlap",
    "minimum_gap",
    "duplicate_campaign",
    "duplicate_sequence",
    "never_with",
)


@settings(max_examples=60, deadline=None)
@given(worlds.histories(), worlds.contacts, worlds.policies(COUNTING), worlds.contacts, st.integers(1, 3))
def test_more_contacts_and_more_rules_never_allow_more(
    history: tuple[Entry, ...], contact: Contact, policy: Policy, held: Contact, limit: int
) -> None:
    """A contact more, a rule more or a lower cap only adds violations; a higher cap only takes some away; slots move later."""

    def broken(policy: Policy, *more: Contact) -> tuple[set[str], int]:
        verdict = check(history, contact, policy, 0, Standing(held=more), ())
        slot = verdict.slots[contact.channel]
        return {one.rule for one in verdict.violations}, HOUR * 10**9 if slot is None else slot

    usual, slot = broken(policy)
    with_held, later = broken(policy, held)
    assert usual <= with_held
    assert slot <= later
    fewer, sooner = broken(replace(policy, rules=policy.rules[1:]))
    assert fewer == usual - {policy.rules[0].name}
    assert sooner <= slot
    raised = tuple(replace(rule, limit=rule.limit + limit) if hasattr(rule, "limit") else rule for rule in policy.rules)
    relaxed, soonest = broken(replace(policy, rules=raised))
    assert relaxed <= usual
    assert soonest <= slot


def test_a_reroute_names_the_accounts_owner() -> None:
    """Whatever rule sends a contact to the owner, the account that only a touch tells of says who that is."""
    seen = (Entry(worlds.START, "t", "email", "marketing", "inbound", "opened", account="acme"),)
    policy = Policy(rules=(OpenDeal(name="deal", action="reroute"),), leads=LeadsPolicy(owners={"acme": "kim"}))
    mail = Contact(worlds.START + HOUR, "email", "marketing")
    assert check(seen, mail, policy, 0, Standing(open_deals=(Deal("d", 0),))).route_to == "kim"
