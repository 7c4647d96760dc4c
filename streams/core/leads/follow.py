"""How leads follow a timeline that changes.

The lead after the newest entry stands on the timeline, so a touch that comes in order is one step. One that comes late, is corrected or
moves, means the whole history again, compared with what it was: nothing but revision numbers has to be remembered. Whoever is given a
lead stays that, whatever the policy says later: the assignment is an entry itself.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from streams.core import detect, engagement, keeping
from streams.core.detect import handoff
from streams.core.entry import Entry, key
from streams.core.leads.acts import Act, act_of, derived_id, entry_of, moved_id
from streams.core.leads.brief import note
from streams.core.leads.events import LeadEvent, event_of
from streams.core.leads.fold import Lead, active, concerns, fold, fold_all
from streams.core.leads.routing import Whose, route
from streams.core.leads.states import Change, waits
from streams.core.outcome import Cause, Finding
from streams.core.policy import Policy
from streams.core.timeline import Timeline, find, forgotten


class Followed(Struct, frozen=True):
    """The timeline with its lead, and the events and findings to publish."""

    timeline: Timeline
    events: tuple[LeadEvent, ...] = ()
    findings: tuple[Finding, ...] = ()


def history(timeline: Timeline, policy: Policy) -> tuple[Lead, tuple[Change, ...]]:
    """The lead, and all its changes since what was pruned."""
    lead, _, changes = fold_all(timeline.lead_base, timeline.base, timeline.entries, policy)
    return lead, changes


def followed(
    before: Timeline,
    after: Timeline,
    policy: Policy,
    customer: str,
    now: int,
    in_order: bool = False,
    load: Mapping[str, int] | None = None,
    settle: bool = True,
    came: Sequence[Entry] = (),
    findings: tuple[Finding, ...] = (),
) -> Followed:
    """What a change of the timeline means for its lead. `in_order`: `after` has one more entry than `before`, its newest. `now` is when
    Kafka received what led to it (UTC ms): nobody can be given a lead earlier. `load` as in `routing.route`.
    Without `settle` a lead that waits for a rep waits on: more entries of the same merge may say who has it.
    A lead that is there is followed on when the policy follows no leads any more; it only gets no rep.
    `came` are the entries that are new or others, if they are many: what a full timeline has pruned of them at once is told all the same.
    `findings` are what the change has led to: hand-offs among them, and those told before, are due when their leads are."""
    known = before.lead is not None
    if not known and (not active(policy) or (in_order and not _begins(after, policy))):
        return Followed(after, findings=findings)
    lead = after.lead
    changed: list[LeadEvent] = []
    if after is before:  # a duplicate; but a lead may wait for a rep since the entry before
        pass
    elif in_order and known:
        entry = after.entries[-1]
        crossed = engagement.fold(engagement.after_all(before, policy.handoff), entry, policy.handoff)[1]
        lead, changes = fold(before.lead, entry, crossed, policy)
        changed = [_event(change, after, customer, policy) for change in changes]
    else:
        whole, held = (_with(before, came, policy), before) if came else (after, after)
        # Nothing was told of a lead that is not known: it may have begun before the policy followed leads.
        old: tuple[Change, ...] = ()
        if known:
            lead, old, new = parted(before, whole, policy)
        else:
            lead, new = history(whole, policy)
        if came:
            lead = history(after, policy)[0]
        if lead is None and not known:
            return Followed(after, findings=findings)
        told = (_events(each, held, of, customer, policy) for each, of in ((old, before), (new, whole)))
        changed = difference(*told)
    after = replace(after, lead=lead)
    after, given = _settled(after, policy, customer, now, load) if settle and active(policy) else (after, ())
    for change in given:
        brief = note(after, change.after, policy, change.at)
        changed.append(replace(_event(change, after, customer, policy), brief=brief))
    events, after = numbered(changed, after, in_order)
    given_anew = any(event.kind in ("handed_off", "reassigned") for event in events)
    if not given_anew:
        return Followed(after, events, due(after, findings, policy))
    findings, after = _due_anew(before, after, findings, policy, customer, in_order)
    return Followed(after, events, findings)


def due(timeline: Timeline, findings: tuple[Finding, ...], policy: Policy) -> tuple[Finding, ...]:
    """The findings; hand-offs among them that led to a lead are due when it is, since both tell one person one thing."""
    if timeline.lead is None or not any(one.handoff is not None for one in findings):
        return findings
    crossings = {one.handoff.crossing_touch for one in findings if one.handoff is not None}
    # Nearly always the hand-off is the last one, of which the lead knows without its history.
    last = timeline.lead.due_at is not None and crossings == {timeline.lead.crossing}
    return _as_due(findings, _dues(timeline, policy, last))


def _as_due(findings: tuple[Finding, ...], known: Mapping[str, int]) -> tuple[Finding, ...]:
    ats = [None if one.handoff is None else known.get(one.handoff.crossing_touch) for one in findings]
    return tuple([one if at is None else handoff.due(one, at) for one, at in zip(findings, ats, strict=True)])


def _dues(timeline: Timeline, policy: Policy, last: bool = False) -> dict[str, int]:
    """Until when sales has to be in touch, as whoever last got the lead was told, by the touch that led to the hand-off; of the `last`
    one only."""
    steps: list[Lead] = []
    if not last:
        given = [change.after for change in history(timeline, policy)[1] if change.kind in ("handed_off", "reassigned")]
        steps = [timeline.lead_base, *given]
    held = (*steps, timeline.lead)
    return {lead.crossing: lead.due_at for lead in held if lead is not None and lead.due_at is not None}


def _due_anew(
    before: Timeline,
    after: Timeline,
    findings: tuple[Finding, ...],
    policy: Policy,
    customer: str,
    in_order: bool,
) -> tuple[tuple[Finding, ...], Timeline]:
    """The findings, as `due`, and those hand-offs that were told, and whose lead has another due time now: they are amended."""
    was, now = (_dues(held, policy, in_order) for held in (before, after))
    told = {one.handoff.crossing_touch for one in findings if one.handoff is not None}
    moved = {crossing for crossing, at in now.items() if was.get(crossing) != at} - told
    if moved and policy.handoff.enabled:
        old, new = (_handed_over(held, moved, policy, customer) for held in (before, after))
        changed = [replace(one, state="amended") for id_, one in new.items() if id_ in old]
        given = next((entry.id for entry in reversed(after.entries) if entry.kind == "lead_assigned"), "")
        amended, after = detect.numbered(changed, after, Cause("touch", given))
        findings = (*findings, *amended)
    return _as_due(findings, now), after


def _handed_over(timeline: Timeline, crossings: Container[str], policy: Policy, customer: str) -> dict[str, Finding]:
    """The hand-offs of these touches that the timeline holds, by id; it is folded no further than it must be."""
    places = [n for n, entry in enumerate(timeline.entries) if entry.id in crossings]
    found = handoff.find(timeline, places[0], places[-1] + 1, policy, customer) if places else []
    return {one.finding_id: one for one in found if one.handoff is not None and one.handoff.crossing_touch in crossings}


def parted(before: Timeline, after: Timeline, policy: Policy) -> tuple[Lead, tuple[Change, ...], tuple[Change, ...]]:
    """The lead after all, and the changes of either timeline that may not be the other's. What both begin with is folded once, and what
    they end with from where the lead is the same again: a late touch seldom changes what came after it."""
    old, new = tuple(before.entries), tuple(after.entries)
    same = (before.lead_base, before.base) == (after.lead_base, after.base)
    start = _alike(old, new) if same else 0
    end = _alike(old[start:][::-1], new[start:][::-1])
    lead, score, _ = fold_all(after.lead_base, after.base, new[:start], policy)
    was, had = (lead, score) if same else (before.lead_base, before.base)
    was, had, gone = fold_all(was, had, old[start : len(old) - end], policy)
    lead, score, came = fold_all(lead, score, new[start : len(new) - end], policy)
    for n, entry in enumerate(new[len(new) - end :], len(new) - end):
        if (was, had) == (lead, score):
            return fold_all(lead, score, new[n:], policy)[0], gone, came
        was, had, more = fold_all(was, had, (entry,), policy)
        gone += more
        lead, score, more = fold_all(lead, score, (entry,), policy)
        came += more
    return lead, gone, came


def _with(timeline: Timeline, came: Sequence[Entry], policy: Policy) -> Timeline:
    """The timeline with more entries, or others in the place of those that it has, and none of them pruned."""
    placed = [keeping.reached(timeline, entry, policy) for entry in came]
    ids = {entry.id for entry in placed}
    held = [entry for entry in timeline.entries if entry.id not in ids]
    return replace(timeline, entries=tuple(sorted((*held, *placed), key=key)))


def _alike(one: Sequence[Entry], other: Sequence[Entry]) -> int:
    """How many entries both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((n for n, (a, b) in pairs if a is not b and a != b), min(len(one), len(other)))


def _begins(timeline: Timeline, policy: Policy) -> bool:
    """Whether the newest entry can begin a lead; one that says only what the customer is does when the score passed by it."""
    newest = timeline.entries[-1]
    return concerns(newest, policy) or timeline.tail.handed_off_at == newest.at


def _events(changes: Sequence[Change], held: Timeline, of: Timeline, customer: str, policy: Policy) -> list[LeadEvent]:
    """Events of the time that the timeline `held` still holds; older ones are as they were. `of` is the timeline that made the changes."""
    floor = held.floor
    return [_event(change, of, customer, policy) for change in changes if change.at > floor[0] or not floor[1]]


def _event(change: Change, timeline: Timeline, customer: str, policy: Policy) -> LeadEvent:
    """The change as it is published, with whose the lead was before."""
    event = event_of(change, customer, policy)
    known = find(timeline, moved_id(event.lead_id))
    source = act_of(known).source if known is not None else ""
    return event if source in ("", customer) else replace(event, moved_from=source)


def unfolded(timeline: Timeline, policy: Policy) -> Timeline:
    """A timeline that has other entries than its lead knows of, on its way to `followed`: nothing may rest on the lead before that."""
    return timeline if timeline.lead is None or not active(policy) else replace(timeline, lead=None)


def _settled(
    timeline: Timeline, policy: Policy, customer: str, now: int, load: Mapping[str, int] | None
) -> tuple[Timeline, tuple[Change, ...]]:
    """A lead that waits for a rep is given to one."""
    lead = timeline.lead
    if lead is None or not waits(lead) or not timeline.entries:
        return timeline, ()
    at = max(now, timeline.entries[-1].at + 1)
    last = lead.attempt >= policy.leads.reassignments
    given = route(_whose(timeline, customer), max(now, lead.since), policy, lead.passed, load, last)
    act = Act(owner=given.owner, team=given.team, why=given.why, due_at=given.due_at, timers=given.timers)
    id_ = derived_id("assigned", lead.id, lead.cycle, lead.attempt, at)
    entry = entry_of("lead_assigned", id_, at, act)
    after = keeping.spliced(timeline, len(timeline.entries), 0, (entry,), policy)
    assigned, changes = fold(lead, entry, False, policy)
    return keeping.trimmed(replace(after, lead=assigned), policy), changes


def _whose(timeline: Timeline, customer: str) -> Whose:
    """Where the customer is, as the newest touches that say so."""
    known: dict[str, str] = {}
    for entry in reversed(timeline.entries):
        for name in ("country", "time_zone", "account"):
            value = getattr(entry, name)
            if value and name not in known:
                known[name] = value
        if len(known) == 3:
            break
    return Whose(customer, **known)


def difference(old: Sequence[LeadEvent], new: Sequence[LeadEvent]) -> list[LeadEvent]:
    """What turns the old events into the new ones, retractions first."""
    was, now = {event.event_id: event for event in old}, {event.event_id for event in new}
    gone = [replace(event, status="retracted") for event in old if event.event_id not in now]
    fresh = [
        event if event.event_id not in was else replace(event, status="amended")
        for event in new
        if was.get(event.event_id) != event
    ]
    return gone + fresh


def numbered(events: Sequence[LeadEvent], timeline: Timeline, in_order: bool) -> tuple[tuple[LeadEvent, ...], Timeline]:
    """Gives each event its revision, as `streams.core.detect.numbered` does for findings; the timeline remembers those above 1."""
    if not events:
        return (), timeline
    known = dict(timeline.revisions)
    least = forgotten(timeline)
    counted = []
    for event in events:
        # What comes in order is new; but a timer may have fired before the erasure, for a lead that had left and came back.
        new = not least or (in_order and event.at * 1000 > timeline.erased_at)
        if not new or event.status != "detected" or event.event_id in known:
            revision = known.get(event.event_id, (max(least, 1), 0))[0] + 1
            known[event.event_id] = (revision, event.at)
            event = replace(event, revision=revision)
        counted.append(event)
    same = known == timeline.revisions
    return tuple(counted), timeline if same else replace(timeline, revisions=known)
