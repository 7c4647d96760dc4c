"""Two policies on the same past: which contacts each would have stopped, and which of those were worth having.

Each policy is enforced as the touches come (`streams.core.govern.enforcing`), of one customer or, for rules about an account, of all its
people. Rules that rest on what no timeline holds take no part, and the replies are those that really came. What was only planned, or
reserved and never made, is no past: a slot that somebody held for an hour and gave back stops nobody here, as a check would have at that
hour.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from msgspec import Struct

from streams.core import wording
from streams.core.detect.base import contacts
from streams.core.govern.enforcing import Stopped, circles, stopped
from streams.core.govern.loading import on_companies, on_timelines
from streams.core.policy import Policy
from streams.core.timeline import Timeline


class Tally(Struct):
    """Stopped contacts counted. Of `by_rule`, a contact that several rules stop is in several; "" is no campaign; a week is its Monday
    (UTC)."""

    contacts: int = 0
    followed: int = 0
    by_rule: dict[str, int] = {}
    by_department: dict[str, int] = {}
    by_campaign: dict[str, int] = {}
    by_week: dict[dt.date, int] = {}

    def add(self, one: Stopped) -> None:
        self.contacts += 1
        self.followed += one.followed
        for rule in one.rules:
            self.by_rule[rule] = self.by_rule.get(rule, 0) + 1
        department, campaign = one.contact.department, one.contact.campaign or ""
        self.by_department[department] = self.by_department.get(department, 0) + 1
        self.by_campaign[campaign] = self.by_campaign.get(campaign, 0) + 1
        week = monday(one.contact.at)
        self.by_week[week] = self.by_week.get(week, 0) + 1


class Difference(Struct):
    """`contacts` were made in all, the first at `first_at`, the last at `last_at` (UTC ms; None: there was none). `newly` are stopped by
    the new policy only, `no_longer` by the current one only, `both` by both (with the new policy's rules). `unjudged` are the enabled rules
    of either that rest on what no timeline holds, so that they stop nobody here; `unjudged_changed` those of them in which both differ."""

    contacts: int
    first_at: int | None
    last_at: int | None
    newly: Tally
    no_longer: Tally
    both: Tally
    unjudged: tuple[str, ...] = ()
    unjudged_changed: tuple[str, ...] = ()


def difference(timelines: Mapping[str, Timeline], new: Policy, current: Policy, since: int = 0) -> Difference:
    """What the new policy would have stopped that the current one lets pass, and the other way round. Contacts before `since` (UTC ms) only
    weigh on later ones. Raises `DamagedError`."""
    made, newly, no_longer, both = 0, Tally(), Tally(), Tally()
    first: int | None = None
    last: int | None = None
    for circle in circles(timelines, new, current):
        for timeline in circle.values():
            entries = tuple(timeline.entries)
            for _, entry in contacts(entries, 0, len(entries), 0, current) if entries else ():
                first = entry.at if first is None else min(first, entry.at)
                last = entry.at if last is None else max(last, entry.at)
                made += entry.at >= since
        now, before = (
            {
                (customer, id_): one
                for customer, theirs in stopped(circle, policy).items()
                for id_, one in theirs.items()
                if one.contact.at >= since
            }
            for policy in (new, current)
        )
        for id_, one in now.items():
            (both if id_ in before else newly).add(one)
        for id_, one in before.items():
            if id_ not in now:
                no_longer.add(one)
    return Difference(made, first, last, newly, no_longer, both, *_unjudged(new, current))


def _unjudged(new: Policy, current: Policy) -> tuple[tuple[str, ...], tuple[str, ...]]:
    after, before = (
        {rule.name: rule for rule in policy.rules if rule.enabled and not (on_timelines(rule) or on_companies(rule))}
        for policy in (new, current)
    )
    names = tuple(dict.fromkeys((*after, *before)))
    return names, tuple(name for name in names if after.get(name) != before.get(name))


def monday(at: int) -> dt.date:
    """The Monday of a time's week (UTC)."""
    day = wording.date(at)
    return day - dt.timedelta(days=day.weekday())


def lines(found: Difference) -> list[str]:
    """The difference in words, one fact a line."""
    told = [f"{found.contacts} contacts"]
    for name, tally in (
        ("stopped by the new policy only", found.newly),
        ("stopped by the current policy only", found.no_longer),
        ("stopped by both", found.both),
    ):
        told.append(f"{tally.contacts} {name}; {tally.followed} of them were followed by a reply or a meeting")
        for what, counts in (
            ("rule", tally.by_rule),
            ("department", tally.by_department),
            ("campaign", tally.by_campaign),
        ):
            told += [
                f"  {what} {name or '(none)'}: {count}"
                for name, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
            ]
    if found.unjudged:
        told.append(f"not judged, since they rest on what no timeline holds: {', '.join(found.unjudged)}")
    if found.unjudged_changed:
        told.append(f"what would change by these is NOT in the numbers: {', '.join(found.unjudged_changed)}")
    return told
