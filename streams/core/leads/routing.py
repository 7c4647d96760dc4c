"""Who gets a lead: the owner of the account, else a rep of the team whose segment the customer is in, else nobody.

Within a team the reps take turns by weighted rendezvous hashing (Thaler and Ravishankar 1998; weights as in Schindelhauer and Schomaker
2005): each rep draws a number from the hash of their id and the customer's, and the best draw wins. It needs no counter that workers
would share, gives the same answer on a replay, and a rep who comes or goes changes only the leads that are theirs.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct

from streams.core.govern.segments import within
from streams.core.govern.windows import length_ms
from streams.core.leads.calendars import added, next_working
from streams.core.leads.policy import NOBODY, Calendar, Rep, Team
from streams.core.leads.states import Timer, TimerKind
from streams.core.policy import Policy


class Whose(Struct, frozen=True):
    """What routing looks at. `account` is the company's id or domain."""

    customer: str
    country: str | None = None
    time_zone: str | None = None
    account: str | None = None


class Assignment(Struct, frozen=True):
    """Who gets it (None: nobody can), why in a sentence, when the first touch is due, and what happens until then."""

    owner: str | None
    team: str
    why: str
    due_at: int
    timers: tuple[Timer, ...]


def route(
    whose: Whose,
    at: int,
    policy: Policy,
    passed: Collection[str] = (),
    load: Mapping[str, int] | None = None,
    last: bool = False,
) -> Assignment:
    """The assignment of a lead at a moment (UTC ms). `passed` are reps who had it already, `load` open leads by rep where that is known;
    `last`: nobody else gets it after this one."""
    owner = policy.leads.owners.get(whose.account or "")
    if owner and owner not in passed:
        team, rep = _place(owner, policy.teams)
        if next_working(_calendar(team, rep), rep.absent, at) is not None and not _away(team, rep, at):
            return _assigned(team, rep, at, f"{owner} owns the account {whose.account}", last)
    for team in policy.teams:
        if within(team.segment, whose.country, whose.time_zone, whose.account):
            turn, why = _turn(team, whose.customer, at, passed, load or {})
            return _assigned(team, turn, at, why, last)
    return _assigned(NOBODY, None, at, "no team takes this customer", True)


def _turn(
    team: Team, customer: str, at: int, passed: Collection[str], load: Mapping[str, int]
) -> tuple[Rep | None, str]:
    """The rep of the team whose turn it is: of those who are at work now, or of those who are the first to be again."""
    free = [
        (begins, rep)
        for rep in team.reps
        if rep.id not in passed
        and not _away(team, rep, at)
        and (rep.capacity is None or load.get(rep.id, 0) < rep.capacity)
        and (begins := next_working(_calendar(team, rep), rep.absent, at)) is not None
    ]
    if not free:
        return None, f"nobody of team {team.name} is free"
    first = min(begins for begins, _ in free)
    first_free = [rep for begins, rep in free if begins == first]
    rep = max(first_free, key=lambda rep: (_draw(rep, customer), rep.id))
    when = "at work" if first <= at else "next at work"
    return rep, f"turn of {rep.id}, one of {len(first_free)} of team {team.name} who are {when}"


def _draw(rep: Rep, customer: str) -> float:
    digest = hashlib.sha256(f"{rep.id}\x1f{customer}".encode()).digest()
    share = (int.from_bytes(digest[:8], "big") + 0.5) / 2.0**64
    return -rep.weight / math.log(min(share, 1 - 2.0**-53))


def _away(team: Team, rep: Rep, at: int) -> bool:
    """Absent on the next day on which they would work."""
    calendar = _calendar(team, rep)
    return next_working(calendar, rep.absent, at) != next_working(calendar, (), at)


def _place(rep_id: str, teams: Sequence[Team]) -> tuple[Team, Rep]:
    """The owner of an account need not be in any team."""
    for team in teams:
        for rep in team.reps:
            if rep.id == rep_id:
                return team, rep
    return NOBODY, Rep(rep_id)


def _calendar(team: Team, rep: Rep) -> Calendar:
    return rep.calendar or team.calendar


def _assigned(team: Team, rep: Rep | None, at: int, why: str, last: bool) -> Assignment:
    calendar, absent = (_calendar(team, rep), rep.absent) if rep is not None else (team.calendar, ())
    sla = length_ms(team.sla)
    due_at = added(calendar, absent, at, sla)
    timers: list[Timer] = [
        (added(calendar, absent, at, int(sla * team.warn_at)), "sla_near"),
        (due_at, "sla_breached"),
    ]
    for step in team.escalations:
        kind: TimerKind = "reassign" if step.action == "reassign" and not last else "escalated"
        timers.append((added(calendar, absent, due_at, length_ms(step.after)), kind))
    return Assignment(rep.id if rep is not None else None, team.name, why, due_at, tuple(sorted(timers)))


def calendar_of(owner: str | None, team: str, policy: Policy) -> tuple[Calendar, Rep]:
    """Calendar and absences of an owner, or of their team when they left it."""
    for each in policy.teams:
        for rep in each.reps:
            if rep.id == owner:
                return _calendar(each, rep), rep
    rest = next((each.calendar for each in policy.teams if each.name == team), NOBODY.calendar)
    return rest, Rep(owner or "nobody")
