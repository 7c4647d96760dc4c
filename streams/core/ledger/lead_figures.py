"""How hand-offs go, in figures: what sales answers, how soon it gets in touch, how long leads stay where, and which of them need somebody.

Each hand-off (a cycle of a lead) counts in the quarter in which it was made, each assignment, first touch and change of state in that in
which it happened. A hand-off is contradicted when marketing gets in touch while sales has the customer.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import groupby
from math import ceil
from typing import Literal

from msgspec import Struct, field

from streams.core.govern.clocks import known_zone
from streams.core.leads import problems
from streams.core.leads.contradiction import campaign_contacts, last_after
from streams.core.leads.events import ledger_state, still_here
from streams.core.leads.routing import calendar_of
from streams.core.leads.states import WITH_SALES, State
from streams.core.ledger.facts import LeadFact
from streams.core.ledger.period import quarter_of
from streams.core.ledger.quarrel import ANSWERS, FOREVER, NO_ANSWER
from streams.core.ledger.types import JourneyTouch
from streams.core.policy import Policy

Clock = Literal["elapsed", "business"]
PROBLEMS = ("none", *problems.PROBLEMS)
"""Of leads that are with sales; "none" stands for itself."""


class Open(Struct, frozen=True, gc=False):
    """A lead that is with sales. `due_at` (UTC ms): until when somebody must get in touch, as it was set with the assignment.
    `campaign_at` (UTC ms): when marketing last got in touch since; None: never."""

    team: str
    state: State
    owner: str | None
    due_at: int | None
    campaign_at: int | None

    def problems(self, now: int) -> list[str]:
        """Why somebody must act on it at a moment (UTC ms)."""
        return problems.problems(self, self.campaign_at, now)


class LeadFigures(Struct, frozen=True):
    """Counts and samples (ms), by quarter and more:

    answers       quarter, team, answer: hand-offs
    reasons       quarter, reason: those that sales gave back
    contradicted  quarter, team
    assigned      quarter, team, hour of the owner's day: assignments, of which those in `breached` were not touched in time
    speeds        quarter, team, clock: from the customer's act to the first touch by a person
    stays         quarter, state: time in that state, of leads that left it
    """

    answers: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    contradicted: Counter[tuple[str, str]] = field(default_factory=Counter)
    assigned: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    breached: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    speeds: defaultdict[tuple[str, str, Clock], list[int]] = field(default_factory=lambda: defaultdict(list))
    stays: defaultdict[tuple[str, str], list[int]] = field(default_factory=lambda: defaultdict(list))
    open: list[Open] = field(default_factory=list)


def lead_figures(
    leads: Mapping[str, Sequence[LeadFact]], touches: Mapping[str, Sequence[JourneyTouch]], policy: Policy
) -> LeadFigures:
    """The figures of all leads, by customer and in order, as `books.leads` gives them; `touches` are the customers'."""
    figures = LeadFigures()
    for customer, events in leads.items():
        marketing = campaign_contacts(touches.get(customer, ()), policy)
        for event in events:
            _sample(figures, event)
            if event.kind in ("handed_off", "reassigned"):
                _assignment(figures, event, events, policy)
        for _, of_one in groupby(sorted(events, key=_lead), key=_lead):
            _one_lead(figures, list(of_one), marketing)
    return figures


def percentile(values: Sequence[int], share: float) -> int:
    """The least of the values that at least this share of them does not exceed (nearest rank). At least one value."""
    return sorted(values)[max(1, ceil(share * len(values))) - 1]


def _sample(figures: LeadFigures, event: LeadFact) -> None:
    quarter = quarter_of(event.at)
    if event.speed_ms is not None:
        figures.speeds[quarter, event.team, "elapsed"].append(event.speed_ms)
    if event.speed_business_ms is not None:
        figures.speeds[quarter, event.team, "business"].append(event.speed_business_ms)
    if event.time_in_state_ms is not None and event.previous is not None:
        figures.stays[quarter, event.previous].append(event.time_in_state_ms)


def _assignment(figures: LeadFigures, event: LeadFact, events: Sequence[LeadFact], policy: Policy) -> None:
    calendar, _ = calendar_of(event.owner, event.team, policy)
    hour = dt.datetime.fromtimestamp(event.at / 1000, known_zone(calendar.time_zone) or dt.UTC).hour
    place = (quarter_of(event.at), event.team, hour)
    figures.assigned[place] += 1
    figures.breached[place] += any(one.kind == "sla_breached" and _attempt(one) == _attempt(event) for one in events)


def _one_lead(figures: LeadFigures, events: Sequence[LeadFact], marketing: Sequence[int]) -> None:
    for i, event in enumerate(events):
        if event.kind != "handed_off":
            continue
        cycle = [one for one in events[i:] if one.cycle == event.cycle]
        answer, reason = _answer(cycle)
        quarter = quarter_of(event.at)
        figures.answers[quarter, event.team, answer] += 1
        if reason is not None:
            figures.reasons[quarter, reason] += 1
        given_back = next((one.at for one in cycle if one.state not in WITH_SALES), FOREVER)
        figures.contradicted[quarter, event.team] += _any_between(marketing, event.at, given_back)
    last = next(reversed(still_here(events)), None)
    if last is not None and last.state in WITH_SALES:
        handed_over = next((one.at for one in events if one.cycle == last.cycle and one.kind == "handed_off"), None)
        figures.open.append(Open(last.team, last.state, last.owner, last.due_at, last_after(marketing, handed_over)))


def _answer(cycle: Sequence[LeadFact]) -> tuple[str, str | None]:
    for event in cycle:
        answer = ANSWERS.get(ledger_state(event) or "")
        if answer is not None:
            return answer, None if answer == "accepted" else event.reason
    return NO_ANSWER, None


def _any_between(times: Sequence[int], after: int, before: int) -> bool:
    i = bisect_right(times, after)
    return i < len(times) and times[i] < before


def _attempt(event: LeadFact) -> tuple[str, int, int]:
    return event.lead_id, event.cycle, event.attempt


def _lead(event: LeadFact) -> str:
    return event.lead_id
