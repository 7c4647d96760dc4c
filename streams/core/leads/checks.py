"""What no type can say about `[leads]` and `[[teams]]` of a policy file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from streams.core.govern import segments
from streams.core.govern.clocks import holidays_of, known_zone
from streams.core.govern.mistakes import Problem
from streams.core.govern.policy import Segment
from streams.core.govern.positions import Path
from streams.core.leads.policy import Calendar, LeadsPolicy, Team


def disagreements(leads: LeadsPolicy, teams: tuple[Team, ...]) -> list[Problem]:
    """Names used twice, unknown time zones and countries, and absences that end before they begin."""
    return [*_teams(teams), *_owners(leads)]


def of_fit(given: Sequence[tuple[str, Segment]]) -> Iterator[Problem]:
    """Of `[[handoff.fit]]`, as names and segments: names used twice, and segments that nobody is in, or everybody."""
    names: set[str] = set()
    for i, (name, segment) in enumerate(given):
        at: Path = ("handoff", "fit", i)
        if name in names:
            yield Problem(f"handoff.fit[{i}].name", (*at, "name"), f"two have the name `{name}`")
        names.add(name)
        if segment == Segment():
            what = "everybody is in an empty segment; give country, time_zone or account, or lower handoff.threshold"
            yield Problem(f"handoff.fit[{i}].segment", (*at, "segment"), what)
        yield from _segment(segment, f"handoff.fit[{i}].segment", (*at, "segment"), "fit can be by")


def _segment(segment: Segment, where: str, at: Path, may: str) -> Iterator[Problem]:
    """Of a segment that timelines alone must tell."""
    yield from segments.mistakes(segment, where, at)
    if segments.needs_attributes(segment):
        which = "attributes" if segment.attributes else "where"
        what = f"attributes are known only to whoever asks for a check: {may} country, time_zone and account"
        yield Problem(f"{where}.{which}", (*at, which), what)


def _owners(leads: LeadsPolicy) -> Iterator[Problem]:
    for account, owner in leads.owners.items():
        if not owner.strip():
            where = f"leads.owners.{account}"
            yield Problem(where, ("leads", "owners", account), "an account needs the id of its owner")


def _teams(teams: tuple[Team, ...]) -> Iterator[Problem]:
    names: set[str] = set()
    reps: dict[str, str] = {}
    for i, team in enumerate(teams):
        at: Path = ("teams", i)
        if team.name in names:
            yield Problem(f"teams[{i}].name", (*at, "name"), f"two teams have the name `{team.name}`")
        names.add(team.name)
        yield from _segment(team.segment, f"teams[{i}].segment", (*at, "segment"), "a team can have")
        yield from _calendar(team.calendar, f"teams[{i}].calendar", (*at, "calendar"))
        yield from _escalation(team, i)
        for n, rep in enumerate(team.reps):
            where, path = f"teams[{i}].reps[{n}]", (*at, "reps", n)
            if rep.id in reps:
                what = f"`{rep.id}` is in team {reps[rep.id]} already; a rep has one calendar, so one team"
                yield Problem(f"{where}.id", (*path, "id"), what)
            reps[rep.id] = team.name
            if rep.calendar is not None:
                yield from _calendar(rep.calendar, f"{where}.calendar", (*path, "calendar"))
            for k, away in enumerate(rep.absent):
                if away.last < away.first:
                    what = f"the absence ends on {away.last}, before it begins on {away.first}"
                    yield Problem(f"{where}.absent[{k}]", (*path, "absent", k), what)


def _escalation(team: Team, i: int) -> Iterator[Problem]:
    known: set[object] = set()
    for n, step in enumerate(team.escalations):
        if step.after in known:
            what = f"another step comes after `{step.after}`, too; of two at one time only one would be told"
            yield Problem(f"teams[{i}].escalations[{n}].after", ("teams", i, "escalations", n, "after"), what)
        known.add(step.after)


def _calendar(calendar: Calendar, where: str, path: Path) -> Iterator[Problem]:
    if known_zone(calendar.time_zone) is None:
        yield Problem(f"{where}.time_zone", (*path, "time_zone"), f"`{calendar.time_zone}` is no IANA time zone")
    if calendar.country and holidays_of(calendar.country, 2026) is None:
        what = f"no holidays are known of `{calendar.country}`; give an ISO 3166 code of two letters"
        yield Problem(f"{where}.country", (*path, "country"), what)
