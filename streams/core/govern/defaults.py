"""The shipped rules; their reasons stand in `streams/policy.toml`, and a test compares the two."""

from __future__ import annotations

from streams.core.govern.policy import (
    AccountCap,
    AfterReply,
    ConsentRule,
    DepartmentOverlap,
    DoNotContact,
    DuplicateCampaign,
    DuplicateSequence,
    Filter,
    FrequencyCap,
    Holidays,
    MinimumGap,
    OpenDeal,
    OptOut,
    OwnerCollision,
    QuietHours,
    RejectionCoolDown,
    Rule,
    SalesLead,
    StaleOffer,
)

_TRANSACTIONAL = (Filter(category=("transactional",)), Filter(department=("service",)))

RULES: tuple[Rule, ...] = (
    OptOut(name="opted-out", find=False, severity="high", priority=100),
    DoNotContact(name="do-not-contact", severity="high", priority=100),
    ConsentRule(name="consent", find=False, severity="high", priority=90),
    ConsentRule(
        name="consent-needed",
        enabled=False,
        unknown="deny",
        applies_to=(Filter(department=("marketing",), channel=("email",)),),
        severity="high",
        priority=90,
    ),
    StaleOffer(name="offer-ended", priority=80),
    OwnerCollision(
        name="owner-first", applies_to=(Filter(department=("sales",)),), action="reroute", severity="low", priority=60
    ),
    AfterReply(
        name="silent-after-reply", exempt=(Filter(actor_kind=("person",)), *_TRANSACTIONAL), window="3d", priority=60
    ),
    DepartmentOverlap(
        name="departments-apart", find=False, exempt=_TRANSACTIONAL, action="delay_until", severity="high", priority=50
    ),
    DuplicateCampaign(name="campaign-once", priority=50),
    DuplicateSequence(name="one-sequence", enabled=False, priority=50),
    QuietHours(
        name="quiet-hours",
        start="21:00",
        end="08:00",
        applies_to=(Filter(channel=("calls", "linkedin")),),
        action="delay_until",
        priority=40,
    ),
    Holidays(name="holidays", enabled=False, action="delay_until", priority=40),
    OpenDeal(
        name="hands-off-open-deals",
        enabled=False,
        applies_to=(Filter(department=("marketing",)),),
        exempt=(Filter(category=("transactional",)),),
        priority=60,
    ),
    SalesLead(
        name="sales-has-the-lead",
        applies_to=(Filter(department=("marketing",)),),
        exempt=(Filter(category=("transactional",)),),
        priority=60,
    ),
    RejectionCoolDown(
        name="rest-after-unanswered-calls",
        enabled=False,
        applies_to=(Filter(channel=("calls",)),),
        limit=4,
        window="14d",
        pause="30d",
        priority=40,
    ),
    FrequencyCap(
        name="contacts-a-week",
        enabled=False,
        window="7d",
        limit=4,
        exempt=_TRANSACTIONAL,
        ignores=_TRANSACTIONAL,
        action="delay_until",
        priority=30,
    ),
    FrequencyCap(
        name="marketing-emails-a-day",
        enabled=False,
        window="day",
        limit=1,
        applies_to=(Filter(department=("marketing",), channel=("email",)),),
        counts=(Filter(department=("marketing",), channel=("email",)),),
        exempt=_TRANSACTIONAL,
        ignores=_TRANSACTIONAL,
        action="delay_until",
        priority=30,
    ),
    MinimumGap(
        name="breathing-space", enabled=False, window="2h", exempt=_TRANSACTIONAL, action="delay_until", priority=30
    ),
    AccountCap(
        name="people-of-a-company-a-week",
        enabled=False,
        window="7d",
        limit=5,
        applies_to=(Filter(department=("sales",)),),
        counts=(Filter(department=("sales",)),),
        action="require_approval",
        priority=20,
    ),
)
