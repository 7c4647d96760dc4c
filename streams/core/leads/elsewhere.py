"""A lead that goes to another customer id, comes from one or back, or whose customer is erased.

What was told of the time that the timeline holds is retracted then, and told under the other id. What was told of the time before
stands: so an event of its own says that the lead is not this customer's any more, and is retracted if it comes back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from streams.core.commands import Command
from streams.core.entry import Entry
from streams.core.leads.acts import CARRIED, act_of, derived_id, moved
from streams.core.leads.events import LeadEvent
from streams.core.leads.follow import Followed, history, numbered
from streams.core.leads.states import ENDED, LeadState, lead_id
from streams.core.outcome import FindingState
from streams.core.policy import Policy
from streams.core.timeline import FORGOTTEN, Timeline, find


def left(before: Timeline, done: Followed, gone: Sequence[Entry], into: str, command: Command) -> Followed:
    """What followed when the command took the entries `gone` to the customer `into`."""
    has, now, customer = lead_id(done.timeline.lead), before.lead, command.customer_id
    events = [
        replace(event, moved_to=into) if event.status == "retracted" and event.lead_id != has else event
        for event in done.events
    ]
    went = []
    for entry, lead in _carried(gone):
        # One that was held is retracted; but after a return there is what was told before.
        if find(before, entry.id) is None or _went_id(customer, lead.id) in before.revisions:
            lead = now if now is not None and now.id == lead.id else lead
            went.append(_went(customer, lead, command, into))
    numbered_, after = numbered(went, done.timeline, False)
    known = {event.event_id: (event.revision, event.at) for event in numbered_}
    return Followed(replace(after, revisions=after.revisions | known), (*events, *numbered_), done.findings)


def sent(
    before: Timeline, entries: Sequence[Entry], customer: str, policy: Policy, gone: frozenset[str] | None = None
) -> tuple[Entry, ...]:
    """The entries that go to another customer id, with an act for each lead that goes along: it says where the lead was. `gone` as in
    `streams.core.pipeline.leave`."""
    if not entries or (before.lead is None and before.lead_base is None):
        return tuple(entries)
    known = [before.lead_base, *(change.after for change in history(before, policy)[1]), before.lead]
    leads = {lead.id: lead.identifier or customer for lead in known if lead is not None}
    at = max(entry.at for entry in entries)
    acts: dict[str, Entry] = {}
    for lead, identifier in leads.items():
        if gone is None or identifier in gone:
            act = replace(moved(customer, lead, at), identifier=identifier)
            earlier = find(before, act.id)
            acts[act.id] = act if earlier is None else replace(act, version=earlier.version + 1)
    return (*acts.values(), *(entry for entry in entries if entry.id not in acts))


def came(before: Timeline, done: Followed, entries: Sequence[Entry], command: Command) -> Followed:
    """What followed when the entries came by the command: that a lead went is retracted when it is here again."""
    customer = command.customer_id
    here = {lead_id(done.timeline.lead), lead_id(done.timeline.lead_base)}
    back = [
        _went(customer, lead, command, None, "retracted")
        for _, lead in _carried(entries)
        if lead.id in here and _may_have_gone(before, customer, lead)
    ]
    returned, after = numbered(back, done.timeline, False)
    return Followed(after, (*done.events, *returned), done.findings)


def erased(before: Timeline, done: Followed, gone: Sequence[Entry], command: Command) -> Followed:
    """What followed when the command erased the entries `gone`, and what was before all entries: nobody works on a lead of theirs. The
    event says nothing of anybody."""
    customer, at, base = command.customer_id, command.decided_at // 1000, before.lead_base
    back = [lead for _, lead in _carried(gone) if _may_have_gone(before, customer, lead)]
    leads = {lead.id: lead for lead in (base, *back) if lead is not None and lead.state not in ENDED}
    events = [
        LeadEvent(
            derived_id("event", customer, lead.id, "erased", command.command_id), lead.id, customer, "disqualified", "disqualified",
            lead.state, at, "act", command.command_id, lead.cycle, lead.attempt, team=lead.team,
        )
        for lead in leads.values()
    ]  # fmt: skip
    ended, after = numbered(events, done.timeline, False)
    return Followed(after, (*done.events, *ended), done.findings)


def _carried(entries: Iterable[Entry]) -> list[tuple[Entry, LeadState]]:
    """The acts in which leads travel that are not over, and the leads."""
    acts = [(entry, act_of(entry).lead) for entry in entries if entry.kind == CARRIED]
    return [(entry, lead) for entry, lead in acts if lead is not None and lead.state not in ENDED]


def _may_have_gone(timeline: Timeline, customer: str, lead: LeadState) -> bool:
    """Whether an event says that the lead went elsewhere; after an erasure nobody knows any more."""
    forgot = timeline.erased_at > 0 and FORGOTTEN in timeline.revisions
    return _went_id(customer, lead.id) in timeline.revisions or forgot


def _went_id(customer: str, lead: str) -> str:
    return derived_id("event", customer, lead, "went")


def _went(
    customer: str, lead: LeadState, command: Command, into: str | None, status: FindingState = "detected"
) -> LeadEvent:
    return LeadEvent(
        _went_id(customer, lead.id), lead.id, customer, "carried", lead.state, lead.state, command.issued_at, "act", command.command_id,
        lead.cycle, lead.attempt, status=status, owner=lead.owner, team=lead.team, due_at=lead.due_at, moved_to=into,
    )  # fmt: skip
