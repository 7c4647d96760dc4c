"""Fit: points for what a customer is, beside those for what they did. They do not decay, and change only with what touches say of the
customer: `[[handoff.fit]]` of the policy gives them by segment.
"""

from __future__ import annotations

from collections.abc import Iterable

from streams.core.entry import About, Entry
from streams.core.govern.segments import within
from streams.core.outcome import FitComponent
from streams.core.policy import HandoffPolicy

NOBODY: About = ("", "", "")
"""Of whom no touch has said anything."""


def tells(entry: Entry, policy: HandoffPolicy) -> bool:
    """Whether the touch may change what the customer's fit rests on. One that came too late does not."""
    return bool(policy.fit) and not entry.late and bool(entry.country or entry.time_zone or entry.account)


def told(about: About | None, entry: Entry) -> About | None:
    """What is known of the customer after one more touch; the newest that says something holds."""
    country, time_zone, account = about or NOBODY
    return (entry.country or country, entry.time_zone or time_zone, entry.account or account)


def known(about: About | None, entries: Iterable[Entry]) -> About | None:
    """What is known of the customer after more touches, whatever the policy; None when nothing is."""
    for entry in entries:
        if (entry.country or entry.time_zone or entry.account) and not entry.late:
            about = told(about, entry)
    return about


def components(about: About | None, policy: HandoffPolicy) -> tuple[FitComponent, ...]:
    """The points of a customer of whom this is known, in the order of the policy."""
    if not policy.fit:
        return ()
    known = about or NOBODY
    return tuple([FitComponent(one.name, float(one.points)) for one in policy.fit if within(one.segment, *known)])


def points(about: About | None, policy: HandoffPolicy) -> float:
    """Their sum."""
    return sum([part.points for part in components(about, policy)])
