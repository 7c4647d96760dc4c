"""Made-up histories of touches with a fixed seed: many customers, all channels, linked identifiers, opt-outs, messages."""

from __future__ import annotations

import random
from collections import deque
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


def touches(seed: int, customers: int, count: int, days: float = 6.0) -> Iterator[Touch]:
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


_LETTERS = (
    "Hi {name},\n\nour {plan} plan now costs €{price} per month until {day} March 2026. It has everything your team had in the"
    " trial: unlimited boards, guests and the audit log.\n\nBest regards\nThe Northwind team",
    "Hello {name},\n\nonly this week: {off}% off the {plan} plan for new customers. Reply to this mail and we set it up for you,"
    " or book a call at a time that suits you.\n\nKind regards",
    "Dear {name},\n\nthank you for coming to our webinar. The recording and the slides are ready. If you want to try what you"
    " have seen, the {plan} plan is €{price} per month, cancel any time.\n\nSee you soon",
    "Hi {name}, could we talk on Thursday? I would like to understand how your team plans its work, and show you what others"
    " in your field do. It takes fifteen minutes.",
    "Hi {name},\n\nfollowing up on my call: I can offer {off}% on the {plan} plan if we start before {day} March 2026.\n\nBest",
)


_FIRST = (
    "Ana",
    "Bela",
    "Chen",
    "Dora",
    "Emil",
    "Fatima",
    "Goran",
    "Hana",
    "Ines",
    "Jonas",
    "Kofi",
    "Lena",
    "Mara",
    "Nils",
)
_LAST = (
    "Abara",
    "Beck",
    "Costa",
    "Diaz",
    "Ek",
    "Fischer",
    "Gupta",
    "Horvat",
    "Ito",
    "Jensen",
    "Kaya",
    "Lindt",
    "Moreau",
)


def _name(number: int) -> str:
    """A name as mail merges write it: without figures, which would have the greeting read for prices."""
    return f"{_FIRST[number % 14]} {_LAST[number // 14 % 13]}"


def _known_as(number: int, channel: Channel, rng: random.Random) -> Customer:
    """What a channel knows of a customer. One customer in five is linked late: mail knows the address, calls and LinkedIn know
    the CRM id, and one mail in ten brings the two together."""
    email, name = f"person{number}@example.com", _name(number) if rng.random() < 0.3 else None
    phone = f"+1415{2_000_000 + number:07d}" if channel == "calls" else None
    url = f"https://www.linkedin.com/in/person-{number}" if channel == "linkedin" else None
    if number % 5:
        return Customer(email=email, phone=phone, linkedin_url=url, name=name)
    crm_id = f"003{number:09d}"
    if channel in ("calls", "linkedin"):
        return Customer(crm_id=crm_id, phone=phone, linkedin_url=url, name=name)
    return Customer(email=email, crm_id=crm_id if rng.random() < 0.1 else None, name=name)


def _letter(number: int, rng: random.Random) -> Message:
    plan, price, off = rng.choice(("Pro", "Team", "Business")), rng.choice((39, 49, 59)), rng.choice((10, 15, 20))
    text = rng.choice(_LETTERS).format(name=_name(number), plan=plan, price=price, off=off, day=rng.randint(10, 31))
    return Message(subject=f"{plan} plan for your team", text=text)


def stream(seed: int, customers: int, count: int, days: float = 14.0) -> Iterator[Touch]:
    """`count` touches as a load arrives: in order of event time but for 3 % that are late by up to two days, and 1 % that repeat
    one of the last thousand."""
    rng = random.Random(seed)
    recent: deque[Touch] = deque(maxlen=1000)
    for n in range(count):
        if recent and rng.random() < 0.01:
            yield rng.choice(recent)
            continue
        channel, department, direction, kind, _ = rng.choices(_MIX, _WEIGHTS)[0]
        number = rng.randrange(customers)
        late = rng.randrange(48 * HOUR) if rng.random() < 0.03 else 0
        touch = Touch(
            touch_id=f"s{seed}-{n}",
            channel=channel,
            department=department,
            direction=direction,
            kind=kind,
            occurred_at=START + int(n * days * 24 * HOUR / count) - late,
            customer=_known_as(number, channel, rng),
            actor=rng.choice(_REPS) if direction == "outbound" else None,
            campaign=rng.choice(("spring", "webinar", "onboarding")) if department == "marketing" else None,
            message=_letter(number, rng) if kind in ("sent", "message_sent") else None,
            source="history",
        )
        recent.append(touch)
        yield touch
