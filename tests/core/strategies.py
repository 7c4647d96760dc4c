"""Histories for hypothesis, in so small a world that everything collides: times, departments, calls, identifiers, names."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from msgspec.structs import replace

from streams.core.claims import extract
from streams.core.govern.policy import Segment
from streams.core.leads.policy import Team
from streams.core.policy import (
    CallsPolicy,
    CampaignFacts,
    DoubleContactPolicy,
    Fit,
    HandoffPolicy,
    IncongruencePolicy,
    OptOutPolicy,
    Policy,
    TimelinePolicy,
)
from streams.core.touch import Account, Actor, Customer, IdentifiedTouch, Message, Touch

ID_KEY, REGION = "a key", "US"
START = 1_772_409_600_000
"""2026-03-02T00:00:00Z."""
HOUR = 3_600_000
NOW = START + 400 * 24 * HOUR

# (channel, direction, kind): contacts often, each other kind that a rule looks at, and some that none does.
_WHAT: tuple[tuple[Any, Any, Any], ...] = (
    ("email", "outbound", "sent"),
    ("email", "outbound", "sent"),
    ("calls", "outbound", "dialed"),
    ("calls", "outbound", "dialed"),
    ("calls", "outbound", "answered"),
    ("calls", "outbound", "voicemail"),
    ("calls", "inbound", "dialed"),
    ("linkedin", "outbound", "message_sent"),
    ("linkedin", "outbound", "connection_request"),
    ("email", "inbound", "unsubscribed"),
    ("calls", "inbound", "complained"),
    ("email", "inbound", "clicked"),
    ("email", "inbound", "opened"),
    ("email", "inbound", "replied"),
    ("ads", "inbound", "lead_form"),
    ("ads", "outbound", "impression"),
    ("email", "outbound", "meeting"),
    ("email", "outbound", "delivered"),
    ("email", "outbound", "bounced"),
)

# Multiples of eight hours meet the 24 h of two windows; a millisecond more or less stands on either side of a border.
times = st.builds(
    lambda step, extra: START + step * 8 * HOUR + extra,
    st.integers(0, 12),
    st.sampled_from((0, 0, 0, -1, 1, HOUR - 1, HOUR, HOUR + 1, 20_000)),
)
messages = st.sampled_from(
    (
        None,
        Message(subject="Spring offer", text="The Pro plan is €49 per month."),
        Message(subject="Pro", text="The Pro plan is €59 per month."),
        Message(text="Get 20% off the Team plan.", offer="Spring offer"),
    )
)
_details = st.fixed_dictionaries(
    {
        "department": st.sampled_from(("marketing", "marketing", "sales", "sales", "service")),
        "occurred_at": times,
        "actor": st.sampled_from(
            (None, Actor("jo", "J. Okafor"), Actor("kim", "Kim Lee"), Actor("mailer", None, "automation"))
        ),
        "campaign": st.sampled_from((None, None, "spring", "autumn")),
        "interaction_id": st.sampled_from((None, None, "i1", "i2")),
        "message": messages,
        "account": st.sampled_from((None, None, None, Account("a1"), Account(None, "b.example"))),
    }
)
_names = st.sampled_from((None, None, None, "Dana Reyes", "D. Reyes"))
_countries = st.sampled_from((None, None, None, "ES", "FR", "es"))
one_customer = st.builds(Customer, crm_id=st.just("C-1"), name=_names, country=_countries)
"""One person, always known by the same identifier."""

_identifiers = st.sampled_from(
    (
        {"email": "dana@example.com"},
        {"email": "Dana@Example.com"},
        {"phone": "+1 415 555 0100"},
        {"phone": "(415) 555-0100"},
        {"email": "lee@example.com"},
        {"phone": "+14155550101"},
        {"crm_id": "C-1"},
        {"linkedin_url": "https://de.linkedin.com/in/Dana-Reyes/?trk=x"},
        {"email": "dana@example.com", "phone": "4155550100"},
        {"email": "lee@example.com", "phone": "+14155550101"},
        {"phone": "+14155550101", "crm_id": "C-1"},
        {"crm_id": "C-1", "linkedin_url": "linkedin.com/in/dana-reyes"},
    )
)
some_customers = st.builds(
    lambda ids, name, country: Customer(**ids, name=name, country=country), _identifiers, _names, _countries
)
"""Up to six persons who turn out to be fewer as their identifiers meet."""


@st.composite
def histories(
    draw: st.DrawFn, customers: st.SearchStrategy[Customer], max_size: int = 14, what: tuple[Any, ...] = _WHAT
) -> list[Touch]:
    """Distinct touches in random order; ids are ordered neither by time nor by place in the list."""
    rows = draw(st.lists(st.tuples(st.sampled_from(what), _details, customers), min_size=1, max_size=max_size))
    ids = draw(st.permutations(range(len(rows))))
    return [
        Touch(touch_id=f"t{n:02d}", channel=channel, direction=direction, kind=kind, customer=customer, **details)
        for n, ((channel, direction, kind), details, customer) in zip(ids, rows, strict=True)
    ]


CALLS: tuple[tuple[Any, Any, Any], ...] = (
    *[("calls", "outbound", kind) for kind in ("dialed", "answered", "voicemail") for _ in range(3)],
    ("email", "outbound", "sent"),
    ("calls", "inbound", "unsubscribed"),
)
"""Mostly phases of calls, for how they join."""

call_policies = st.builds(
    lambda join, window: Policy(
        calls=CallsPolicy(join_minutes=join * 60),
        double_contact=DoubleContactPolicy(window_hours=window),
        contact_after_opt_out=OptOutPolicy(scope="all"),
    ),
    st.sampled_from((1, 8, 16, 36)),
    st.sampled_from((1, 8, 24)),
)
"""Calls that last longer than the window looks back, and shorter."""

_FIT = (
    Fit("home", 15, Segment(country=("ES",))),
    Fit("key-accounts", 10, Segment(account=("a1", "b.example"))),
    Fit("not-served", -20, Segment(country=("FR",))),
)

policies = st.sampled_from(
    (
        Policy(),
        Policy(handoff=HandoffPolicy(threshold=30, half_life_days=1, cool_down_days=0, request_kinds=(), fit=_FIT)),
        Policy(handoff=HandoffPolicy(threshold=25, cool_down_days=1, fit=_FIT)),
        Policy(contact_after_opt_out=OptOutPolicy(scope="all"), handoff=HandoffPolicy(threshold=20, cool_down_days=1)),
        Policy(
            handoff=HandoffPolicy(threshold=20, half_life_days=1, cool_down_days=0, departments=("marketing", "sales"))
        ),
        Policy(
            handoff=HandoffPolicy(threshold=10, half_life_days=0.5, cool_down_days=1, request_kinds=(), rearm_below=1)
        ),
        Policy(calls=CallsPolicy(join_minutes=36 * 60), double_contact=DoubleContactPolicy(window_hours=8)),
        Policy(calls=CallsPolicy(join_minutes=1 / 3), double_contact=DoubleContactPolicy(window_hours=48)),
        Policy(
            handoff=HandoffPolicy(weights={"clicked": 60, "opened": 0}),
            incongruent_message=IncongruencePolicy(window_days=1),
        ),
        Policy(
            double_contact=DoubleContactPolicy(enabled=False),
            campaigns={"spring": CampaignFacts(product="Pro", price="49 EUR/month", offer="Spring offer")},
        ),
    )
)


with_leads = st.sampled_from(
    (
        Policy(teams=(Team("sales"),), handoff=HandoffPolicy(threshold=20, cool_down_days=1)),
        Policy(
            teams=(Team("sales"),), handoff=HandoffPolicy(threshold=25, half_life_days=1, cool_down_days=0, fit=_FIT)
        ),
    )
)
"""Where a hand-off's due time is that of its lead, and changes as time goes on."""


def with_timeline(policy: Policy, **limits: Any) -> Policy:
    """The policy with other bounds of a timeline."""
    return replace(policy, timeline=TimelinePolicy(**limits))


def identified(touch: Touch, customer: str = "c1-x") -> IdentifiedTouch:
    """The touch as the timeline stage gets it."""
    return IdentifiedTouch(customer, touch, extract(touch.message, touch.occurred_at), touch.occurred_at + 5)
