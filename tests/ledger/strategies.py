"""Small books for hypothesis: few customers, few days, so that journeys overlap, cents remain and customers turn out to be one."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from streams.core.ledger.types import DAY_MS, Cost, Deal, LeadEvent
from streams.core.touch import Actor, Customer, Money, Touch

START = 1_782_864_000_000
"""2026-07-01T00:00:00Z, the first millisecond of 2026-Q3."""

CURRENCIES = ("EUR", "USD", "JPY", "KWD")
_DECIMALS = {"EUR": 2, "USD": 2, "JPY": 0, "KWD": 3}
_KINDS = (
    ("email", "marketing", "outbound", "sent"),
    ("email", "marketing", "inbound", "clicked"),
    ("email", "marketing", "inbound", "opened"),
    ("ads", "marketing", "inbound", "lead_form"),
    ("calls", "sales", "outbound", "dialed"),
    ("calls", "sales", "outbound", "answered"),
    ("calls", "sales", "inbound", "answered"),
    ("linkedin", "sales", "outbound", "message_sent"),
    ("calls", "service", "outbound", "voicemail"),
)

times = st.integers(-30 * 24, 100 * 24).map(lambda hours: START + hours * DAY_MS // 24)
customers = st.sampled_from(
    [Customer(email=f"p{n}@example.com") for n in range(3)]
    + [Customer(phone=f"+1415200000{n}") for n in range(3)]
    + [Customer(email="p0@example.com", phone="+14152000001"), Customer(crm_id="003-1", email="p2@example.com")]
)


@st.composite
def money(draw: Any, least: int = -5_000_000) -> Money:
    """An amount of up to nine digits in one of four currencies, with its decimals."""
    currency, value = draw(st.sampled_from(CURRENCIES)), draw(st.integers(least, 500_000_000))
    unit = 10 ** _DECIMALS[currency]
    sign, whole, part = "-" if value < 0 else "", *divmod(abs(value), unit)
    return Money(f"{sign}{whole}.{part:0{_DECIMALS[currency]}d}" if unit > 1 else f"{sign}{whole}", currency)


@st.composite
def touches(draw: Any) -> list[Touch]:
    """Up to 25 touches with ids of their own; some have a cost of fractions of a cent."""
    found = []
    for n in range(draw(st.integers(0, 25))):
        channel, department, direction, kind = draw(st.sampled_from(_KINDS))
        found.append(
            Touch(
                f"t{n}",
                channel,
                department,
                direction,
                kind,
                draw(times),
                draw(customers),  # type: ignore[arg-type]
                actor=draw(
                    st.sampled_from([None, Actor("ann"), Actor("bo", "Bo"), Actor("robot", None, "automation")])
                ),
                campaign=draw(st.sampled_from([None, "spring", "summer"])),
                cost=draw(st.sampled_from([None, None, Money("0.0079", "EUR"), Money("1.115", "USD")])),
            )
        )
    return found


@st.composite
def deals(draw: Any) -> list[Deal]:
    """Up to six deals with ids of their own, most of them won."""
    found = []
    for n in range(draw(st.integers(0, 6))):
        stage, opened = draw(st.sampled_from(["won", "won", "won", "lost", "open"])), draw(times)
        closed = None if stage == "open" else opened + draw(st.integers(0, 60)) * DAY_MS
        found.append(
            Deal(
                f"d{n}",
                draw(customers),
                stage,
                opened,
                closed,
                draw(money()),
                draw(st.sampled_from([None, "ann", "bo"])),
            )
        )
    return found


@st.composite
def costs(draw: Any) -> list[Cost]:
    """Up to five costs with ids of their own, over days of which some lie outside of the quarter."""
    found = []
    for n in range(draw(st.integers(0, 5))):
        first = START // DAY_MS + draw(st.integers(-40, 100))
        found.append(
            Cost(
                f"c{n}",
                draw(st.sampled_from(["marketing", "sales"])),
                draw(st.sampled_from(["ad_spend", "salary", "tool"])),
                first,
                first + draw(st.integers(0, 80)),
                draw(money()),
                draw(st.sampled_from([None, "ads", "email"])),
                draw(st.sampled_from([None, "spring"])),
                draw(st.sampled_from([None, "ann"])),
            )
        )
    return found


@st.composite
def leads(draw: Any) -> list[LeadEvent]:
    """Up to ten changes of leads' states."""
    states = st.sampled_from(["handed_off", "accepted", "rejected", "recycled", "working"])
    return [
        LeadEvent(draw(customers), draw(times), draw(states), draw(st.sampled_from([None, "not_icp", "no_budget"])))
        for _ in range(draw(st.integers(0, 10)))
    ]
