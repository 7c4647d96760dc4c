"""What is published of a lead: one event for each change, the shape of `schemas/lead_event`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, Protocol, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from streams.core.govern.records import Agreed
from streams.core.leads.acts import derived_id
from streams.core.leads.calendars import between
from streams.core.leads.routing import calendar_of
from streams.core.leads.states import STATES, Change, ChangeKind, State
from streams.core.ledger.types import LeadReason
from streams.core.ledger.types import LeadState as LedgerState
from streams.core.outcome import Evidence, FindingState, FitComponent, ScoreComponent
from streams.core.policy import Policy

_ORDER = {state: i for i, state in enumerate(STATES)}


class Ordered(Protocol):
    """What `order` looks at."""

    @property
    def event_id(self) -> str: ...
    @property
    def state(self) -> State: ...
    @property
    def at(self) -> int: ...
    @property
    def cycle(self) -> int: ...
    @property
    def attempt(self) -> int: ...


class Slot(Struct, frozen=True, gc=False):
    """The earliest instant (UTC ms) at which the owner may use a channel; None: none within the policy's horizon."""

    channel: str
    at: int | None = None


class Note(Struct, frozen=True, gc=False, omit_defaults=True):
    """What sales is told with a lead, as it was then; see `streams.core.leads.brief.Brief`."""

    asked: bool
    score: float
    threshold: float
    components: tuple[ScoreComponent, ...]
    crossing: Evidence | None
    messages: tuple[Evidence, ...]
    campaigns: tuple[str, ...]
    sequences: tuple[str, ...]
    refused: tuple[str, ...]
    slots: tuple[Slot, ...]
    fit: tuple[FitComponent, ...] = ()
    consents: tuple[Agreed, ...] = ()


class LeadEvent(Struct, frozen=True, gc=False, omit_defaults=True):
    """One change of a customer's lead. Times in UTC ms. Fold by `event_id`, the highest `revision` is the truth; `status` `retracted`: it
    did not happen, as a late touch or a merge showed.

    `state` is the lead's after the change. `speed_ms` is speed to lead, from the customer's act to the first touch by a person;
    `speed_business_ms` and `sla_business_ms` are business time of the owner, from the customer's act and from the assignment.
    `brief` comes with a hand-off when it is first told: what is counted again later does not tell it again.
    `moved_from` and `moved_to` are the customer ids between which a merge or split moved the lead. An event `carried` with `moved_to` says
    that the lead is this customer's no more, though what was told of it before what the timeline holds is not retracted.
    """

    event_id: str
    lead_id: str
    customer: str
    kind: ChangeKind
    state: State
    previous: State | None
    at: int
    cause_kind: Literal["touch", "act", "timer"]
    cause: str
    cycle: int
    attempt: int
    revision: int = 1
    status: FindingState = "detected"
    owner: str | None = None
    team: str = ""
    due_at: int | None = None
    reason: LeadReason | None = None
    recycle_at: int | None = None
    nurture_with: str | None = None
    deal: str = ""
    why: str = ""
    time_in_state_ms: int | None = None
    speed_ms: int | None = None
    speed_business_ms: int | None = None
    sla_business_ms: int | None = None
    in_time: bool | None = None
    brief: Note | None = None
    moved_from: str | None = None
    moved_to: str | None = None


def event_of(change: Change, customer: str, policy: Policy) -> LeadEvent:
    """The change as it is published."""
    lead, before = change.after, change.before
    same = before is not None and before.id == lead.id
    id_ = derived_id("event", customer, lead.id, change.kind, lead.cycle, lead.attempt, change.cause)
    event = LeadEvent(
        id_, lead.id, customer, change.kind, lead.state, before.state if same and before else None, change.at,
        change.cause_kind, change.cause, lead.cycle, lead.attempt, owner=lead.owner, team=lead.team, due_at=lead.due_at,
        reason=lead.reason, recycle_at=lead.recycle_at, nurture_with=lead.nurture_with, deal=lead.deal, why=change.why,
        time_in_state_ms=change.at - before.since if same and before and before.state != lead.state else None,
        # What comes back to whom it was carried from comes from whoever had it meanwhile.
        moved_from=change.moved_from if change.moved_from not in ("", customer) else None,
    )  # fmt: skip
    return _measured(event, change, policy) if change.kind in ("working", "first_touch") else event


def _measured(event: LeadEvent, change: Change, policy: Policy) -> LeadEvent:
    lead, at = change.after, change.at
    calendar, rep = calendar_of(lead.owner, lead.team, policy)
    if lead.asked_at:
        speed = between(calendar, rep.absent, lead.asked_at, at)
        event = replace(event, speed_ms=at - lead.asked_at, speed_business_ms=speed)
    if lead.assigned_at:
        used = between(calendar, rep.absent, lead.assigned_at, at)
        event = replace(event, sla_business_ms=used, in_time=lead.due_at is None or at <= lead.due_at)
    return event


def blank(event: LeadEvent) -> LeadEvent:
    """An event that says nothing of anybody any more."""
    return replace(event, why="", nurture_with=None, deal="")


def order(event: Ordered) -> tuple[int, int, int, int, str]:
    """Sort key: by time, several at one moment as they follow from each other."""
    return event.at, event.cycle, event.attempt, _ORDER[event.state], event.event_id


def standing(events: Iterable[LeadEvent]) -> list[LeadEvent]:
    """The events that hold after all of these, in order: what every reader of the topic does."""
    last: dict[str, LeadEvent] = {}
    for event in events:
        known = last.get(event.event_id)
        if known is None or known.revision <= event.revision:
            last[event.event_id] = event
    return sorted((event for event in last.values() if event.status != "retracted"), key=order)


class Whose(Protocol):
    """What `still_here` looks at."""

    @property
    def lead_id(self) -> str: ...
    @property
    def customer(self) -> str: ...
    @property
    def moved_to(self) -> str | None: ...


W = TypeVar("W", bound=Whose)


def still_here(events: Iterable[W]) -> list[W]:
    """Of events that hold, those of leads that did not go to another customer id."""
    events = list(events)
    gone = {(event.customer, event.lead_id) for event in events if event.moved_to}
    return [event for event in events if (event.customer, event.lead_id) not in gone]


class Stepped(Protocol):
    """What `ledger_state` looks at."""

    @property
    def kind(self) -> ChangeKind: ...
    @property
    def state(self) -> State: ...
    @property
    def previous(self) -> State | None: ...


def ledger_state(event: Stepped) -> LedgerState | None:
    """The state as the ledger's files name it (`streams.core.ledger.types`); None for an event that changes no state. Another rep, or
    another customer id, is no second hand-off."""
    if event.kind == "rejected":
        return "rejected"
    if event.kind in ("reassigned", "carried"):
        return None
    if event.previous == event.state:
        return "accepted" if event.kind == "accepted" else None
    return event.state
