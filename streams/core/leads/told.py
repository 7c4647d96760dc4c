"""A customer's timeline is told something of its lead: what sales says, or that a moment has come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from streams.core import pipeline
from streams.core.commands import Command
from streams.core.entry import Entry
from streams.core.leads import acts, asked
from streams.core.leads.came_of import open_besides, remembered
from streams.core.leads.deal_acts import buried, counts_from, mark, of_deal, placed, waits_for
from streams.core.leads.events import LeadEvent
from streams.core.leads.fold import active
from streams.core.leads.follow import followed
from streams.core.leads.states import WITH_SALES, LeadState, next_due
from streams.core.outcome import Cause, Finding, RejectReason
from streams.core.policy import MINUTE_MS, Policy
from streams.core.timeline import Timeline, find

Load = Mapping[str, int] | None
"""Open leads by rep, as in `routing.route`."""


class Told(Struct, frozen=True, gc=False):
    """The timeline afterwards, and what is to be published; `refused` is a dead letter's reason and detail, and then nothing changed."""

    timeline: Timeline
    events: tuple[LeadEvent, ...] = ()
    findings: tuple[Finding, ...] = ()
    refused: tuple[RejectReason, str] | None = None


def ticked(timeline: Timeline, command: Command, policy: Policy, load: Load = None) -> Told:
    """The moment `issued_at` has come. Nothing follows unless something was due by then: so a tick that comes twice, or from a worker
    whose clock is ahead of the record's, changes nothing."""
    due = next_due(timeline.lead)
    if due is None or command.issued_at < due:
        return Told(timeline)
    return _added(timeline, acts.tick(command.customer_id, command.issued_at), command, policy, load)


def said(timeline: Timeline, command: Command, policy: Policy, load: Load = None) -> Told:
    """What sales says. Whether it can be, the lead's machine knows: what changes nothing there is refused."""
    wrong = asked.problem(command)
    if wrong is not None:
        return Told(timeline, refused=("unroutable", wrong))
    # Read twice: what was said then would be placed otherwise now.
    if find(timeline, asked.act_id(command.command_id)) is not None:
        return Told(timeline)
    if command.deal_stage == asked.DELETED:
        return _deleted(timeline, command, policy, load)
    entry = asked.act(command, _when(timeline, command, policy))
    if command.kind == asked.DEAL and command.requested_by == asked.LEDGER:
        return _deal(timeline, entry, command, policy, load)
    done = _added(timeline, entry, command, policy, load)
    if done.timeline is timeline or done.refused is not None:
        return done
    mine = [event for event in done.events if event.cause == entry.id and event.status != "retracted"]
    if not mine:
        return Told(timeline, refused=("unroutable", _impossible(timeline.lead, command)))
    if command.lead_id not in (None, mine[0].lead_id):
        detail = f"{command.kind} is about the lead {command.lead_id}, but customer {command.customer_id} has {mine[0].lead_id}"
        return Told(timeline, refused=("unroutable", detail))
    return done


def _deal(timeline: Timeline, entry: Entry, command: Command, policy: Policy, load: Load) -> Told:
    """What the ledger tells of a deal, which most customers have without a lead. It stays on the timeline then: a touch may come later, and
    begin the lead before the deal. The first one, too: a merge may bring it. Of a customer who was erased since, nothing is kept."""
    gone = acts.act_of(entry).place < counts_from(timeline, command.deal_id or "")
    if gone or _is_nothing(timeline, entry.at, policy):
        return Told(timeline)
    done = _added(timeline, entry, command, policy, load)
    return Told(timeline) if done.refused is not None else done


def _is_nothing(timeline: Timeline, at: int, policy: Policy) -> bool:
    """Whether what the ledger tells of that time has nobody's lead to mean anything to, now or later."""
    nobody = not active(policy) or (timeline.erased_at > 0 and not timeline.entries)
    return (timeline.lead is None and nobody) or at * 1000 <= timeline.erased_at > 0


def _deleted(timeline: Timeline, command: Command, policy: Policy, load: Load) -> Told:
    """A deal that never was this customer's, up to some place: what was said of it is deleted, and so what followed is retracted. What it
    led to before what the timeline holds stays as it was told; the deal is lost then, so that no lead waits for it. A mark stays, for
    what comes only now."""
    customer, deal, first = command.customer_id, command.deal_id or "", asked.counts_from(command)
    if max(first, 1) <= counts_from(timeline, deal) or _is_nothing(timeline, command.issued_at, policy):
        return Told(timeline)
    acts_ = [(entry, acts.act_of(entry)) for entry in timeline.entries if entry.kind == asked.DEAL]
    theirs = [(entry, act.place) for entry, act in acts_ if act.deal == deal]
    gone = [buried(entry) for entry, its in theirs if its < first or not first]
    stay = [entry for entry, its in theirs if its >= first > 0]
    moved = [one for one in placed(stay) if one not in stay]
    said_so = replace(mark(deal, first, command.issued_at), identifier=asked.identifier_of(command))
    marks = [said_so] if first else []
    after, findings = _corrected(timeline, [*gone, *moved, *marks], policy, customer)
    done = followed(timeline, after, policy, customer, command.issued_at, load=load, findings=tuple(findings))
    told = Told(done.timeline, done.events, done.findings)
    known = remembered(told.timeline.lead).get(deal)
    if known is None or stay or known >= first > 0:
        return told
    more = _lost(told.timeline, deal, command, policy, load)
    return Told(more.timeline, (*told.events, *more.events), (*told.findings, *more.findings), more.refused)


def overtaken(timeline: Timeline, came: Sequence[Entry], command: Command, policy: Policy, load: Load = None) -> Told:
    """A lead that came by the command goes on without deals that were deleted, or went elsewhere, before."""
    told = Told(timeline)
    for deal, first in waits_for(timeline, came):
        lost = replace(command, command_id=f"{command.command_id} {deal} {first}", kind=asked.DEAL, deal_id=deal)
        more = _lost(told.timeline, deal, replace(lost, requested_by=asked.LEDGER), policy, load)
        told = Told(more.timeline, (*told.events, *more.events), (*told.findings, *more.findings))
    return told


def _lost(timeline: Timeline, deal: str, command: Command, policy: Policy, load: Load) -> Told:
    """A deal that is no more, and of which what it led to was pruned, as a lost one. No version says so, so no mark takes it away."""
    lost = replace(command, deal_id=deal, deal_stage="lost", deal_version=None)
    return _added(timeline, asked.act(lost, _when(timeline, lost, policy)), lost, policy, load)


def _when(timeline: Timeline, command: Command, policy: Policy) -> int:
    """Who answers has got the lead before, even if their clock is behind ours by a little. What is said of a deal counts from the day that
    the CRM gives: see `_placed`."""
    lead, issued_at = timeline.lead, command.issued_at
    if command.kind == asked.DEAL:
        return min(issued_at if command.deal_at is None else command.deal_at, issued_at)
    slack = int(policy.touch.max_future_minutes * MINUTE_MS)
    if lead is not None and lead.state in WITH_SALES and 0 <= lead.assigned_at - issued_at <= slack:
        return lead.assigned_at + 1
    return issued_at


def _placed(timeline: Timeline, entry: Entry) -> tuple[Entry, list[Entry]]:
    """What is said of a deal, in its place among all that was said of it, and those that go on behind it."""
    deal, lead = acts.act_of(entry).deal, timeline.lead
    if not deal:
        return entry, []
    before = of_deal(timeline.entries, deal)
    if not before and lead is not None and lead.deal == deal:  # it was pruned
        at = max(entry.at, lead.since + 1)
        return replace(entry, at=at, published_at=at), []
    known = {one.id: one for one in before}
    moved = [one for one in placed([*before, entry]) if known.get(one.id) is not one]
    mine = next(one for one in moved if one.id == entry.id)
    return replace(mine, version=1), [one for one in moved if one is not mine]


def _impossible(lead: LeadState | None, command: Command) -> str:
    customer, kind = command.customer_id, command.kind
    if lead is None:
        return f"customer {customer} has no lead; {kind} is about one"
    state = f"{lead.state} and accepted" if lead.accepted and lead.state != "accepted" else lead.state
    if command.deal_stage == "lost" and command.deal_id and (others := open_besides(lead, command.deal_id)):
        return f"the lead {lead.id} of customer {customer} goes on with {', '.join(others)}; lost without a deal's id ends it all the same"
    kind = kind if command.deal_stage is None else f"{kind} ({command.deal_stage})"
    return f"the lead {lead.id} of customer {customer} is {state}; {kind} is not possible then"


def _added(timeline: Timeline, entry: Entry, command: Command, policy: Policy, load: Load) -> Told:
    customer = command.customer_id
    entry, behind = _placed(timeline, entry) if entry.kind == asked.DEAL else (entry, [])
    step = pipeline.add(timeline, entry, policy, customer, Cause("touch", entry.id))
    if step.outcome == "duplicate":
        return Told(timeline)
    if step.outcome != "applied":
        detail = f"{command.kind} of {command.issued_at} cannot be placed on the timeline of {customer}: {step.outcome}"
        return Told(timeline, refused=("too_old" if step.outcome == "too_old" else "id_conflict", detail))
    after, findings = _corrected(step.timeline, behind, policy, customer)
    found, in_order = (*step.findings, *findings), not (step.late or behind)
    done = followed(timeline, after, policy, customer, command.issued_at, in_order, load, findings=found)
    return Told(done.timeline, done.events, done.findings)


def _corrected(
    timeline: Timeline, entries: Sequence[Entry], policy: Policy, customer: str
) -> tuple[Timeline, list[Finding]]:
    """The timeline with what takes the place of entries that it holds."""
    findings: list[Finding] = []
    for entry in entries:
        step = pipeline.add(timeline, entry, policy, customer)
        timeline = step.timeline
        findings += step.findings
    return timeline, findings
