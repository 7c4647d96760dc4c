"""Small worlds for hypothesis: rules of every kind, customers and contacts in which all of them collide."""

from __future__ import annotations

import datetime as dt
from typing import Any

from hypothesis import strategies as st
from msgspec.structs import replace

from streams.core.consent import Consent
from streams.core.entry import Entry, key
from streams.core.govern import policy as p
from streams.core.govern.records import Contact, Deal, LeadHeld, Standing, Suppression
from streams.core.leads.policy import LeadsPolicy
from streams.core.policy import CampaignFacts, Policy
from streams.core.touch import Claim
from tests.core.govern.oracle import WHERE

HOUR = 3_600_000
DAY = 24 * HOUR
START = 1_774_483_200_000
"""2026-03-26T00:00:00Z, three days before the clocks go forward in Europe."""

KINDS = {"email": "sent", "linkedin": "message_sent", "calls": "dialed"}
# Mostly each sixth hour, so that windows and midnights are met exactly; a millisecond on either side of them.
times = st.builds(
    lambda half, extra: START + half * HOUR // 2 + extra,
    st.one_of(
        st.integers(0, 24).map(lambda n: 12 * n), st.integers(0, 24).map(lambda n: 12 * n), st.integers(0, 6 * 48)
    ),
    st.sampled_from((0, 0, 0, 0, -1, 1)),
)
channels = st.sampled_from(("email", "email", "calls", "linkedin"))
departments = st.sampled_from(("marketing", "marketing", "sales", "service"))
_sent = {
    "department": departments,
    "campaign": st.sampled_from((None, "spring", "autumn")),
    "category": st.sampled_from((None, "promo", "transactional")),
    "sequence": st.sampled_from((None, None, "s1", "s2")),
    "actor_id": st.sampled_from((None, "jo", "kim")),
    "actor_kind": st.sampled_from((None, "person", "automation")),
    "priority": st.sampled_from((None, 10, 90)),
}
contacts = st.builds(
    Contact, at=times, channel=channels, kind=st.just(""), id=st.just(""), offer=st.sampled_from((None, "Launch offer", "Old offer")),
    offer_ends=st.sampled_from((None, None, dt.date(2026, 3, 29))), approved_by=st.sampled_from((None, "boss")), **_sent,
)  # fmt: skip


@st.composite
def _entries(draw: st.DrawFn) -> Entry:
    channel = draw(channels)
    inbound = draw(st.sampled_from((None, None, None, "replied", "opened", "unsubscribed", "no_answer", "complained")))
    sent = {name: draw(each) for name, each in _sent.items()}
    offer = draw(st.sampled_from((None, None, "launch offer", "old offer")))
    return Entry(
        at=draw(times), id="", channel=channel, direction="inbound" if inbound not in (None, "no_answer") else "outbound",
        kind=inbound or KINDS[channel], late=draw(st.sampled_from((False, False, False, True))),
        claims=(Claim("offer", "", offer, offer),) if offer else (),
        time_zone=draw(st.sampled_from((None, None, None, "Europe/Berlin", "America/New_York"))),
        country=draw(st.sampled_from((None, None, "DE", "US"))), account=draw(st.sampled_from((None, None, "acme"))), **sent,
    )  # fmt: skip


@st.composite
def histories(draw: st.DrawFn, max_size: int = 10) -> tuple[Entry, ...]:
    """A timeline's entries in order; each call is a call of its own."""
    found: list[Entry] = draw(st.lists(_entries(), max_size=max_size))
    named = [_named(entry, n) for n, entry in enumerate(found)]
    return tuple(sorted(named, key=key))


def _named(entry: Entry, n: int) -> Entry:
    own = f"i{n}" if entry.channel == "calls" and entry.kind == "dialed" else None
    return replace(entry, id=f"t{n:02d}", interaction_id=own)


standings = st.builds(
    Standing,
    consents=st.lists(
        st.builds(
            Consent, status=st.sampled_from(("granted", "denied", "withdrawn")), at=times,
            channel=st.sampled_from(("", "email", "calls")), purpose=st.sampled_from(("", "promo")),
            until=st.one_of(st.none(), times),
        ), max_size=3,
    ).map(tuple),
    do_not_contact=st.lists(
        st.builds(Suppression, scope=st.just("person"), at=times, until=st.one_of(st.none(), times)), max_size=1
    ).map(tuple),
    owner=st.sampled_from((None, "jo")),
    open_deals=st.lists(st.builds(Deal, id=st.just("d"), at=times, until=st.one_of(st.none(), times)), max_size=1).map(tuple),
    with_sales=st.one_of(st.none(), st.builds(LeadHeld, id=st.just("l"), at=times, owner=st.sampled_from(("", "kim")))),
    account_contacts=st.lists(
        st.builds(lambda c, who: _of(c, who), contacts, st.sampled_from(("lee", "ann", "bo"))), max_size=4
    ).map(tuple),
    held=st.lists(contacts, max_size=3).map(tuple),
    time_zone=st.sampled_from((None, "Europe/Berlin")),
    country=st.sampled_from((None, "DE")),
    attributes=st.sampled_from(({}, {"tier": "gold"})),
)  # fmt: skip


def _of(contact: Contact, who: str) -> Contact:
    return replace(contact, customer=who)


_F = p.Filter
_filters = st.sampled_from(
    (
        (),
        (),
        (_F(channel=("email",)),),
        (_F(department=("marketing",)), _F(channel=("calls",))),
        (_F(category=("promo", "")),),
    )
)
_not = st.sampled_from(((), (), (_F(category=("transactional",)),), (_F(actor_kind=("person",)),)))
_common = {
    "applies_to": _filters,
    "exempt": _not,
    "exempt_from_priority": st.sampled_from((None, None, 50)),
    "segment": st.sampled_from(
        (
            p.Segment(),
            p.Segment(),
            p.Segment(),
            p.Segment(country=("DE",)),
            p.Segment(attributes={"tier": ("gold",)}),
            *(p.Segment(country=("DE", ""), where=where) for where in WHERE),
        )
    ),
    "action": st.sampled_from(("alert", "suppress", "delay_until", "require_approval", "reroute")),
    "name": st.just("x"),
}
_counting = {**_common, "counts": _filters, "ignores": _not, "scope": st.sampled_from(("person", "person", "account"))}
_lengths = st.sampled_from(("1h", "12h", "24h", "3d"))
_pers = st.sampled_from(("all", "channel", "department", "category"))
_b = st.builds
rules: dict[str, st.SearchStrategy[Any]] = {
    "frequency_cap": _b(
        p.FrequencyCap, window=st.sampled_from(("12h", "24h", "3d", "day", "week", "month")), limit=st.integers(1, 3), per=_pers,
        **_counting,
    ),
    "account_cap": _b(p.AccountCap, window=st.sampled_from(("24h", "week")), limit=st.integers(1, 2), **_counting),
    "department_overlap": _b(
        p.DepartmentOverlap, window=_lengths,
        pairs=st.sampled_from(((), (p.Pair(("sales", "marketing"), "48h"),), (p.Pair(("marketing", "sales"), "0m"),))), **_counting,
    ),
    "minimum_gap": _b(p.MinimumGap, window=_lengths, per=_pers, **_counting),
    "duplicate_campaign": _b(p.DuplicateCampaign, window=_lengths, per=st.sampled_from(("all", "channel")), **_counting),
    "duplicate_sequence": _b(p.DuplicateSequence, window=_lengths, **_counting),
    "never_with": _b(
        p.NeverWith, a=st.just((_F(offer=("Launch offer",)),)), b=st.just((_F(offer=("old Offer",)), _F(campaign=("autumn",)))),
        window=_lengths, ordered=st.booleans(), **_common,
    ),
    "quiet_hours": _b(
        p.QuietHours, start=st.sampled_from(("20:00", "00:00", "02:30")), end=st.sampled_from(("08:00", "02:30", "24:00")),
        days=st.sampled_from((("monday", "sunday"), p.QuietHours(name="x", start="00:00", end="00:00").days)), **_common,
    ).filter(lambda rule: rule.start != rule.end),
    "holidays": _b(p.Holidays, **_common),
    "opt_out": _b(p.OptOut, reach=st.sampled_from(("channel", "all", "category")), **_common),
    "consent": _b(p.ConsentRule, unknown=st.sampled_from(("allow", "deny")), **_common),
    "do_not_contact": _b(p.DoNotContact, **_common),
    "owner_collision": _b(p.OwnerCollision, **_common),
    "open_deal": _b(p.OpenDeal, **_common),
    "sales_lead": _b(p.SalesLead, **_common),
    "after_reply": _b(p.AfterReply, window=_lengths, **_common),
    "rejection_cool_down": _b(
        p.RejectionCoolDown, limit=st.integers(1, 2), window=_lengths, pause=st.sampled_from(("6h", "2d")),
        per=st.sampled_from(("all", "channel")), **_common,
    ),
    "stale_offer": _b(p.StaleOffer, **_common),
}  # fmt: skip

FACTS = {"spring": CampaignFacts(deadline=dt.date(2026, 4, 1))}


@st.composite
def policies(draw: st.DrawFn, names: tuple[str, ...] = tuple(rules), most: int = 5, **changes: Any) -> Policy:
    """Some rules of some kinds, named r0, r1, ..."""
    kinds = draw(st.lists(st.sampled_from(names), min_size=1, max_size=most))
    some = [replace(draw(rules[kind]), name=f"r{n}", **changes) for n, kind in enumerate(kinds)]
    owners = LeadsPolicy(owners=draw(st.sampled_from(({}, {"acme": "kim"}))))
    governance = p.Governance(findings=True, horizon_days=20)
    return Policy(rules=tuple(some), campaigns=FACTS, governance=governance, leads=owners)
