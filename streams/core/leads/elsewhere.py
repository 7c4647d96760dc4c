"""A lead that goes to another customer id, comes from one or back, or whose customer is erased.

What was told of the time that the timeline holds is retracted then, and told under the other id. What was told of the time before
stands: so an event of its own says that the lead is not this customer's any more. The act in which the lead travels (`acts.carried`) knows
whose it was: when that comes back, the event is retracted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from streams.core.entry import Entry
from streams.core.leads.acts import CARRIED, act_of, derived_id
from streams.core.leads.events import LeadEvent
from streams.core.leads.follow import Followed, numbered
from streams.core.leads.states import ENDED, LeadState
from streams.core.outcome import FindingState
from streams.core.timeline import Timeline


def left(before: Timeline, done: Followed, customer: str, gone: Sequence[Entry], into: str, at: int) -> Followed:
    """What followed when the entries `gone` went from the customer to the customer `into`, at `at` (UTC ms)."""
    has = None if done.timeline.lead is None else done.timeline.lead.id
    events = [
        replace(event, moved_to=into) if event.status == "retracted" and event.lead_id != has else event
        for event in done.events
    ]
    now = before.lead
    leads = [(id_, now if now is not None and now.id == lead.id else lead) for id_, lead in _own(customer, gone)]
    went, after = numbered([_went(customer, id_, lead, at, into) for id_, lead in leads], done.timeline, False)
    return Followed(after, (*events, *went))


def came(before: Timeline, done: Followed, customer: str, entries: Sequence[Entry], source: str, at: int) -> Followed:
    """What followed when the entries came to the customer from the customer `source`, at `at` (UTC ms)."""
    had = None if before.lead is None else before.lead.id
    events = [
        replace(event, moved_from=event.moved_from or source or None)
        if event.status != "retracted" and event.lead_id != had
        else event
        for event in done.events
    ]
    back = [_went(customer, id_, lead, at, None, "retracted") for id_, lead in _own(customer, entries)]
    returned, after = numbered(back, done.timeline, False)
    return Followed(after, (*events, *returned))


def erased(before: Timeline, done: Followed, customer: str, gone: Sequence[Entry], command: str, at: int) -> Followed:
    """What followed when the command erased the entries `gone`, and what was before all entries, at `at` (UTC ms): nobody works on a lead
    of theirs. The event says nothing of anybody."""
    base = before.lead_base
    leads = ([] if base is None or base.state in ENDED else [base]) + [lead for _, lead in _own(customer, gone)]
    events = [
        LeadEvent(
            derived_id("event", customer, lead.id, "erased", lead.cycle, lead.attempt, command), lead.id, customer, "disqualified",
            "disqualified", lead.state, at, "act", command, lead.cycle, lead.attempt, team=lead.team,
        )
        for lead in {lead.id: lead for lead in leads}.values()
    ]  # fmt: skip
    ended, after = numbered(events, done.timeline, False)
    return Followed(after, (*done.events, *ended))


def _own(customer: str, entries: Iterable[Entry]) -> list[tuple[str, LeadState]]:
    """The leads that travel with the entries, began as this customer's before them, and are not over; each with its act's id."""
    acts = [(entry.id, act_of(entry)) for entry in entries if entry.kind == CARRIED]
    return [
        (id_, act.lead)
        for id_, act in acts
        if act.lead is not None and act.source == customer and act.lead.state not in ENDED
    ]


def _went(
    customer: str, act: str, lead: LeadState, at: int, into: str | None, status: FindingState = "detected"
) -> LeadEvent:
    return LeadEvent(
        derived_id("event", customer, lead.id, "went", act), lead.id, customer, "carried", lead.state, lead.state, at, "act", act,
        lead.cycle, lead.attempt, status=status, owner=lead.owner, team=lead.team, due_at=lead.due_at, moved_to=into,
    )  # fmt: skip
