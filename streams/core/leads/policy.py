"""The policy's `[leads]` and `[[teams]]`: who gets a lead that marketing hands over, by when, and what happens when nobody acts."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from streams.core.govern.policy import NAME, Clock, Length, Segment, Weekday
from streams.core.ledger.types import LeadReason

Consequence = Literal["recycle", "disqualify", "reroute"]
"""What a rejection leads to: back to marketing; nobody works on it any more; another rep gets it."""

WEEK: tuple[Weekday, ...] = ("monday", "tuesday", "wednesday", "thursday", "friday")


class Absence(Struct, frozen=True, forbid_unknown_fields=True):
    """Days on which a rep is away, both included."""

    first: dt.date
    last: dt.date


class Calendar(Struct, frozen=True, forbid_unknown_fields=True):
    """When somebody works, in local time of an IANA zone. `end` not after `start` is past midnight. On public holidays of `country` (ISO
    3166, two letters) nobody works; "" has none."""

    time_zone: str = "UTC"
    days: Annotated[tuple[Weekday, ...], Meta(min_length=1)] = WEEK
    start: Clock = "09:00"
    end: Clock = "17:00"
    country: str = ""


class Rep(Struct, frozen=True, forbid_unknown_fields=True):
    """`id` as in the `actor` of touches. `weight`: the rep's share of the leads, beside those of the team. `capacity`: leads with
    sales at which no more come but those of accounts that the rep owns. `calendar` is the team's unless given."""

    id: Annotated[str, Meta(min_length=1, max_length=200)]
    weight: Annotated[float, Meta(gt=0, le=1000)] = 1
    capacity: Annotated[int, Meta(ge=1)] | None = None
    calendar: Calendar | None = None
    absent: tuple[Absence, ...] = ()


class Escalation(Struct, frozen=True, forbid_unknown_fields=True):
    """What happens `after` more business time without a touch since the breach: the manager hears of it, or another rep gets the lead."""

    after: Length
    action: Literal["manager", "reassign"]


class Team(Struct, frozen=True, forbid_unknown_fields=True):
    """Reps who share their leads: those of customers in the `segment`. `sla` is the business time from the assignment to the first touch,
    `warn_at` the part of it after which the rep is reminded."""

    name: Annotated[str, Meta(pattern=NAME, max_length=60)]
    segment: Segment = Segment()
    reps: tuple[Rep, ...] = ()
    calendar: Calendar = Calendar()
    sla: Length = "4h"
    warn_at: Annotated[float, Meta(gt=0, lt=1)] = 0.75
    escalations: tuple[Escalation, ...] = (Escalation("1h", "manager"), Escalation("4h", "reassign"))


def consequences() -> dict[LeadReason, Consequence]:
    """Where a rejected lead goes, by default."""
    return {
        "bad_data": "disqualify",
        "duplicate": "disqualify",
        "not_icp": "disqualify",
        "no_authority": "recycle",
        "no_budget": "recycle",
        "no_need": "recycle",
        "bad_timing": "recycle",
        "unresponsive": "recycle",
        "competitor": "disqualify",
        "student_or_vendor": "disqualify",
        "existing_customer": "disqualify",
        "in_open_opportunity": "disqualify",
        "wrong_territory": "reroute",
        "opted_out": "disqualify",
    }


class LeadsPolicy(Struct, frozen=True, forbid_unknown_fields=True):
    """`recycle_days`: when a recycled lead is looked at again, unless sales gave a date. `reassignments`: how often a lead goes to another
    rep because nobody touched it. `owners`: rep by account, as touches give its id or domain. `on_reject`: what a rejection leads to."""

    enabled: bool = True
    recycle_days: Annotated[float, Meta(gt=0, le=36_500)] = 90
    reassignments: Annotated[int, Meta(ge=0, le=20)] = 2
    owners: dict[str, str] = field(default_factory=dict)
    on_reject: dict[LeadReason, Consequence] = field(default_factory=consequences)


NOBODY = Team("unassigned")
"""Stands in where no team takes a customer: the clock runs, and the lead shows as an orphan."""
