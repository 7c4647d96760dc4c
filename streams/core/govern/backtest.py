"""Two policies on the same past: which contacts each would have stopped, and which of those were worth having.

Each policy is enforced as the touches come: a contact that it stops does not count towards later ones, as it would not have been made.
Only rules that a timeline can tell take part, and the replies are those that really came. What was only planned, or reserved and never
made, is no past: a slot that somebody held for an hour and gave back stops nobody here, as a check would have at that hour.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

from msgspec import Struct

from streams.core import wording
from streams.core.consent import told
from streams.core.detect.base import contacts
from streams.core.entry import DamagedError, Entry
from streams.core.govern import compiled as ready
from streams.core.govern.evaluate import broken
from streams.core.govern.loading import on_timelines
from streams.core.govern.records import NOTHING, Standing
from streams.core.govern.scene import Scene
from streams.core.policy import DAY_MS, Policy
from streams.core.timeline import Timeline, standing

FOLLOWED_MS = 7 * DAY_MS
"""A reply or a meeting this long after a contact, with no other contact between, is taken as its success."""

_SUCCESS = frozenset({"replied", "meeting"})


class Stopped(Struct, frozen=True):
    """A contact that a policy would have stopped, by which rules; `followed`: the customer replied or met us after it."""

    contact: Entry
    rules: tuple[str, ...]
    followed: bool


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


def stopped(timeline: Timeline, policy: Policy) -> dict[str, Stopped]:
    """The contacts of a customer that the policy would have stopped, by touch id."""
    compiled = ready.of(policy, "past")
    scene = Scene(compiled, NOTHING if timeline.consents is None else Standing(consents=told(timeline.consents)))
    scene.opt_outs.extend(standing(timeline))
    entries = tuple(timeline.entries)
    reached = dict(contacts(entries, 0, len(entries), 0, policy)) if entries else {}
    found: dict[str, Stopped] = {}
    for j, entry in enumerate(entries):
        scene.see(entry)
        if j not in reached:
            continue
        rules = [r.rule.name for r, _ in broken(compiled, scene, entry, entry.at) if r.rule.action != "alert"]
        if rules:
            found[entry.id] = Stopped(entry, tuple(rules), _followed(entries, j, reached))
        else:
            scene.reach(entry)
    return found


def _followed(entries: Sequence[Entry], j: int, reached: dict[int, Entry]) -> bool:
    for k in range(j + 1, len(entries)):
        if k in reached or entries[k].at - entries[j].at > FOLLOWED_MS:
            return False
        if entries[k].kind in _SUCCESS:
            return True
    return False


def difference(timelines: Mapping[str, Timeline], new: Policy, current: Policy, since: int = 0) -> Difference:
    """What the new policy would have stopped that the current one lets pass, and the other way round. Contacts before `since` (UTC ms) only
    weigh on later ones. Raises `DamagedError`."""
    made, newly, no_longer, both = 0, Tally(), Tally(), Tally()
    first: int | None = None
    last: int | None = None
    for customer in timelines:
        timeline = timelines[customer]
        try:
            entries = tuple(timeline.entries)
        except DamagedError as error:
            raise error.of(customer) from None
        for _, entry in contacts(entries, 0, len(entries), 0, current) if entries else ():
            first = entry.at if first is None else min(first, entry.at)
            last = entry.at if last is None else max(last, entry.at)
            made += entry.at >= since
        now, before = (
            {id_: one for id_, one in stopped(timeline, policy).items() if one.contact.at >= since}
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
        {rule.name: rule for rule in policy.rules if rule.enabled and not on_timelines(rule)}
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
