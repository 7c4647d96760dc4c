"""Which contacts contradict a hand-off, and for how long."""

from __future__ import annotations

from streams.core.entry import Entry
from streams.core.leads.contradiction import LATELY_DAYS, campaign_contacts, contradicts, last_after
from streams.core.policy import DAY_MS, Policy


def test_only_what_marketing_sends_contradicts() -> None:
    """A campaign's mail does; an open, a call of sales and an unsubscribe do not."""
    touches = [
        Entry(1, "a", "email", "marketing", "outbound", "sent"),
        Entry(2, "b", "email", "marketing", "inbound", "opened"),
        Entry(3, "c", "calls", "sales", "outbound", "dialed"),
        Entry(4, "d", "email", "marketing", "inbound", "unsubscribed"),
    ]
    assert campaign_contacts(touches, Policy()) == [1]


def test_the_last_contact_counts_for_a_week() -> None:
    """What came before the hand-off, or with it, does not count; nor does anything without one. Exactly seven days later it is over."""
    assert last_after([5, 9], 4) == 9
    assert last_after([5, 9], 9) is last_after([5, 9], None) is last_after([], 4) is None
    week = LATELY_DAYS * DAY_MS
    assert contradicts(9, 8 + week) and not contradicts(9, 9 + week) and not contradicts(None, 0)
