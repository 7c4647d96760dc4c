"""Made-up histories of touches with a fixed seed: many customers, all channels, linked identifiers, opt-outs, messages."""

from __future__ import annotations

import random
from collections.abc import Iterator

from streams.core.touch import Actor, Channel, Customer, Department, Direction, Kind, Message, Touch

START = 1_772_409_600_000
"""2026-03-02T00:00:00Z."""

HOUR = 3_600_000

# (channel, department, direction, kind, weight): roughly what a B2B company sends and gets back.
_MIX: tuple[tuple[Channel, Department, Direction, Kind, int], ...] = (
    ("email", "marketing", "outbound", "sent", 20),
    ("email", "marketing", "outbound", "delivered", 15),
    ("email", "marketing", "inbound", "opened", 15),
    ("email", "marketing", "inbound", "clicked", 12),
    ("email", "sales", "outbound", "sent", 6),
    ("email", "marketing", "inbound", "unsubscribed", 1),
    ("email", "marketing", "outbound", "bounced", 1),
    ("ads", "marketing", "outbound", "impression", 8),
    ("ads", "marketing", "inbound", "ad_click", 4),
    ("ads", "marketing", "inbound", "lead_form", 1),
    ("linkedin", "sales", "outbound", "message_sent", 4),
    ("linkedin", "sales", "outbound", "connection_request", 2),
    ("calls", "sales", "outbound", "dialed", 5),
    ("calls", "sales", "outbound", "answered", 3),
    ("calls", "sales", "outbound", "voicemail", 2),
    ("calls", "service", "outbound", "dialed", 2),
)
_WEIGHTS = [row[4] for row in _MIX]
_TEXTS = (
    "The Pro plan is €49 per month until 31 March 2026.",
    "The Pro plan is €59 per month.",
    "Get 20% off the Team plan this spring.",
    "A fifth off the Team plan, only for you.",
    "Could we talk on Thursday?",
    None,
)
_REPS = (Actor("jokafor", "J. Okafor"), Actor("rlindqvist", "R. Lindqvist"), Actor("mailer", None, "automation"))


def customer(number: int, rng: random.Random) -> Customer:
    """One source's view of a customer: one or two of their identifiers, so that some touches link what others know."""
    email, phone = f"person{number}@example.com", f"+1415555{number % 10_000:04d}"
    crm_id, name = f"003{number:09d}", f"Person {number}" if rng.random() < 0.3 else None
    view = rng.randrange(10)
    if view < 5:
        return Customer(email=email, name=name)
    if view < 7:
        return Customer(phone=phone, name=name)
    if view < 8:
        return Customer(email=email, phone=phone, name=name)
    return Customer(crm_id=crm_id, email=email if view == 8 else None, phone=phone, name=name)


def touches(seed: int, customers: int, count: int, days: float = 14.0) -> Iterator[Touch]:
    """`count` distinct touches of `customers` customers within `days`, in random order of event time."""
    rng = random.Random(seed)
    for n in range(count):
        channel, department, direction, kind, _ = rng.choices(_MIX, _WEIGHTS)[0]
        text = rng.choice(_TEXTS) if kind in ("sent", "message_sent") else None
        campaign = rng.choice(("spring", "webinar", None)) if department == "marketing" else None
        yield Touch(
            touch_id=f"t{seed}-{n}",
            channel=channel,
            department=department,
            direction=direction,
            kind=kind,
            # A coarse clock, so that equal times and gaps of exactly 24 hours happen.
            occurred_at=START + rng.randrange(int(days * 24 * 12)) * (HOUR // 12),
            customer=customer(rng.randrange(customers), rng),
            actor=rng.choice(_REPS) if direction == "outbound" else None,
            campaign=campaign,
            message=Message(subject="Spring offer", text=text) if text else None,
            source="history",
        )
