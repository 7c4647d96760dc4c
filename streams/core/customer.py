"""What reaches one customer and what follows from it: touches, and commands that merge, split, move or erase. Pure; the agents perform
the effects.

Whose a touch is, the identity index decides (`streams.core.identity_graph`), and its decisions carry its clock: touches the moment they
were looked up, commands the moment of the decision. Kafka may bring them in any order. So a timeline believes the later one, for each
identifier by itself: what was looked up before its identifier left is sent on, what was looked up after that is taken. Each sending-on
moves the moment forward, so no touch can go round in a circle, and whatever the order, all end where the index has them. That rests on
the index: whenever an identifier gets another customer, it tells each timeline that may hold touches of it. (A merge that does not name
its identifiers, as releases before 2026-11-24 wrote them, is taken for all that is there.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from streams.core import consent, consent_keeping, detect, keeping, moving, pipeline, plans
from streams.core.commands import LEAD_KINDS, Command
from streams.core.consent import Consent, decode_consent
from streams.core.entry import DELETED, Entry, decode_entry
from streams.core.erasure import blank, happened_at, is_erased
from streams.core.leads import asked, elsewhere, told
from streams.core.leads.deal_acts import taken_in
from streams.core.leads.events import LeadEvent
from streams.core.leads.events import blank as blank_lead
from streams.core.leads.follow import due, followed, unfolded
from streams.core.leads.told import Load
from streams.core.outcome import Cause, CauseKind, Finding, RejectReason
from streams.core.plans import cause_of
from streams.core.policy import Policy
from streams.core.timeline import EMPTY, Timeline
from streams.core.touch import IdentifiedTouch
from streams.core.touch_check import EARLIEST_MS, LATEST_MS

NOWHERE = ("", -1)
"""Where identifiers are that have not left."""


K = TypeVar("K", Entry, Consent)
Taken = tuple[Timeline, list[K], tuple[Command, ...]]
"""Of a command with entries, or records of consent: the timeline, those that belong to it, and the commands that send the others on."""


class Effect(Struct, frozen=True, gc=False):
    """All that one input leads to. `timeline` is the customer's new state; `findings`, `leads` and `commands` are to be published;
    `forward` is the touch under the id that its customer goes by now; `refused` is a dead letter's reason and detail."""

    timeline: Timeline
    outcome: Literal["applied", "corrected", "deleted", "duplicate", "outdated", "forwarded", "erased", "refused"]
    findings: tuple[Finding, ...] = ()
    commands: tuple[Command, ...] = ()
    forward: IdentifiedTouch | None = None
    refused: tuple[RejectReason, str] | None = None
    late: bool = False
    too_late: bool = False
    leads: tuple[LeadEvent, ...] = ()


def on_touch(timeline: Timeline, identified: IdentifiedTouch, policy: Policy, load: Load = None) -> Effect:
    """A touch for this customer. `load`: open leads by rep, where reps have a capacity."""
    effect = _on_touch(timeline, identified, policy, load)
    if effect.timeline is timeline or not effect.timeline.plans:
        return effect
    id_ = identified.touch.touch_id
    changed: dict[str, CauseKind] = {"corrected": "correction", "deleted": "deletion"}
    cause = Cause(changed.get(effect.outcome) or ("late_touch" if effect.late else "touch"), id_)
    return _with_plans(timeline, effect, policy, identified.customer_id, cause, (id_,))


def _on_touch(timeline: Timeline, identified: IdentifiedTouch, policy: Policy, load: Load) -> Effect:
    at, customer = identified.resolved_at, identified.customer_id
    into, since = timeline.left.get(identified.identifier or customer, NOWHERE)
    happened = happened_at(identified.touch.occurred_at, identified.published_at)
    if is_erased(timeline, at, since, happened, policy.erasure):
        return Effect(timeline, "erased")
    if _has_left(customer, at, into, since):
        return Effect(timeline, "forwarded", forward=_sent_on(identified, into, since))
    if timeline.merged_into is not None:
        if at <= timeline.identity_at:
            into, since = timeline.merged_into, timeline.identity_at
            return Effect(timeline, "forwarded", forward=_sent_on(identified, into, since))
        timeline = replace(timeline, merged_into=None, identity_at=at)  # a split gave the id back
    step = pipeline.advance(timeline, identified, policy)
    if step.outcome == "too_old":
        days = policy.timeline.retention_days
        detail = f"occurred_at is before what the customer's timeline still holds (timeline.retention_days = {days:g})"
        return Effect(step.timeline, "refused", refused=("too_old", detail))
    if step.outcome == "id_conflict":
        detail = (
            f"touch_id {identified.touch.touch_id} was used before with other content; ids must be unique for each event,"
            " and a correction needs a higher version"
        )
        return Effect(timeline, "refused", refused=("id_conflict", detail))
    in_order = step.outcome == "applied" and not step.late
    done = followed(
        timeline, step.timeline, policy, customer, identified.published_at, in_order, load, findings=step.findings
    )
    return Effect(done.timeline, step.outcome, done.findings, late=step.late, too_late=step.too_late, leads=done.events)


def _has_left(customer: str, at: int, into: str, since: int) -> bool:
    """Whether what was looked up at a moment belongs elsewhere since. One call of the index may look up a touch, then merge."""
    return at < since or (at == since and into < customer)


def _sent_on(identified: IdentifiedTouch, into: str, at: int) -> IdentifiedTouch:
    """The touch under another customer's id, which the index knew at the moment `at`."""
    own = identified.identifier or identified.customer_id
    return replace(identified, customer_id=into, identifier="" if own == into else own, resolved_at=at)


def on_command(timeline: Timeline, command: Command, policy: Policy, load: Load = None) -> Effect:
    """A command for this customer; `load` as in `on_touch`."""
    if command.kind == plans.PLANNED:
        return _planned(timeline, command, policy)
    if command.kind == asked.TICK:
        return _ticked(timeline, command, policy, load)
    effect = _on_command(timeline, command, policy, load)
    if effect.timeline is timeline or effect.outcome == "erased" or not (timeline.plans or effect.timeline.plans):
        return effect
    return _with_plans(timeline, effect, policy, command.customer_id, cause_of(command))


def _on_command(timeline: Timeline, command: Command, policy: Policy, load: Load) -> Effect:
    if command.kind == "customer_merged" and command.into and command.into < command.customer_id:
        return _merged(timeline, command, command.into, policy, load)
    if command.kind == "customer_split" and command.into and command.into != command.customer_id:
        return _left(timeline, command, command.into, policy, "split", load)
    if command.kind == "timeline_moved":
        return _moved(timeline, command, policy, load)
    if command.kind == consent.CHANGED:
        return _consented(timeline, command, policy)
    if command.kind == "finding_acknowledged" and command.finding_id:
        return _acknowledged(timeline, command, command.finding_id, policy)
    if command.kind in LEAD_KINDS:
        return _lead_told(timeline, command, policy, load)
    if command.kind == "customer_erased":
        return _erased(timeline, command, policy, load)
    if command.kind == "customer_forgotten":
        spent = timeline.erased_at <= command.decided_at and replace(timeline, erased_at=0) == EMPTY
        return Effect(EMPTY if spent else timeline, "applied")
    detail = f"command {command.kind!r} is unknown to this release, or its ids are out of order; a newer worker may take it on replay"
    return Effect(timeline, "refused", refused=("unroutable", detail))


def _with_plans(
    before: Timeline, effect: Effect, policy: Policy, customer: str, cause: Cause, came: Iterable[str] | None = None
) -> Effect:
    """The effect with what it means for the customer's plans."""
    ids = None if came is None else frozenset(came)
    findings, timeline = plans.follow(before, effect.timeline, policy, customer, cause, ids)
    return replace(effect, timeline=timeline, findings=(*effect.findings, *findings))


def _ticked(timeline: Timeline, command: Command, policy: Policy, load: Load) -> Effect:
    """A moment has come at which something of the customer's lead or plans was due."""
    done = told.ticked(timeline, command, policy, load)
    after = plans.ticked(done.timeline, command.issued_at, policy)
    if after is timeline:
        return Effect(timeline, "duplicate")
    effect = Effect(after, "applied", done.findings, leads=done.events)
    return _with_plans(timeline, effect, policy, command.customer_id, cause_of(command)) if after.plans else effect


def _merged(timeline: Timeline, command: Command, into: str, policy: Policy, load: Load) -> Effect:
    if command.identifiers:
        return _left(timeline, command, into, policy, "merge", load)
    at, known = command.decided_at, timeline.merged_into
    if at < max(timeline.identity_at, timeline.erased_at):
        return Effect(timeline, "duplicate")
    if known is None:
        cause = Cause("merge", command.cause)
        rest, findings, entries = pipeline.leave(timeline, policy, command.customer_id, cause)
        done = followed(timeline, rest, policy, command.customer_id, command.issued_at, load=load, findings=findings)
        done = elsewhere.left(timeline, done, entries, into, command)
        emptied = replace(done.timeline, merged_into=into, identity_at=at, plans=(), judged=None, consents=None)
        entries = elsewhere.sent(timeline, entries, command.customer_id, policy)
        moves = tuple(moving.all_moves(timeline, into, entries, command))
        return Effect(emptied, "applied", done.findings, moves, leads=done.events)
    if at == timeline.identity_at and into >= known:
        return Effect(timeline, "duplicate")
    return Effect(replace(timeline, merged_into=into, identity_at=at), "applied")


def _left(
    timeline: Timeline, command: Command, into: str, policy: Policy, kind: Literal["merge", "split"], load: Load
) -> Effect:
    """The touches of some identifiers belong elsewhere."""
    at, customer = command.decided_at, command.customer_id
    newer = frozenset(id_ for id_ in command.identifiers if timeline.left.get(id_, NOWHERE)[1] < at)
    if not newer or at < timeline.erased_at:
        return Effect(timeline, "duplicate")
    timeline = replace(timeline, left=timeline.left | dict.fromkeys(sorted(newer), (into, at)))
    known = timeline.merged_into
    if known not in (None, into) and timeline.identity_at:  # it took all along, these too
        return Effect(timeline, "forwarded", commands=(replace(command, customer_id=known),))
    rest, findings, entries = pipeline.leave(
        timeline, policy, customer, Cause(kind, command.cause, command.reason), newer
    )
    done = followed(timeline, rest, policy, customer, command.issued_at, load=load, findings=findings)
    done = elsewhere.left(timeline, done, entries, into, command)
    rest = replace(done.timeline, plans=plans.leave(timeline.plans, customer, newer)[0])
    if customer in newer and not (rest.entries or rest.opt_outs or rest.plans or rest.consents):
        rest = replace(rest, merged_into=into, identity_at=0)
    entries = elsewhere.sent(timeline, entries, customer, policy, newer)
    moves = tuple(moving.all_moves(timeline, into, entries, command, newer))
    return Effect(rest, "applied", done.findings, moves, leads=done.events)


def _moved(timeline: Timeline, command: Command, policy: Policy, load: Load) -> Effect:
    taken = _taken(timeline, command, policy, decode_entry)
    if isinstance(taken, Effect):
        return taken
    timeline, here, commands = taken
    before, customer = timeline, command.customer_id
    findings: list[Finding] = []
    new: list[Entry] = []
    for entry in taken_in(timeline, here):
        step = pipeline.add(timeline, entry, policy, customer, cause_of(command))
        timeline = timeline if step.timeline is timeline else unfolded(step.timeline, policy)
        findings += step.findings
        new += (entry,) if step.outcome in ("applied", "corrected", "deleted") else ()
    # Once for all of them: more entries of the same merge may say who has a lead that waits for a rep.
    done = followed(
        before, timeline, policy, customer, command.issued_at, load=load, came=new, findings=tuple(findings)
    )
    done = elsewhere.came(before, done, new, command)
    lost = told.overtaken(done.timeline, new, command, policy, load)
    events, found = (*done.events, *lost.events), (*done.findings, *lost.findings)
    return Effect(lost.timeline, "applied", found, commands, leads=events)


def _planned(timeline: Timeline, command: Command, policy: Policy) -> Effect:
    """Plans come, from a tool or from another customer id."""
    taken = _taken(timeline, command, policy, decode_entry)
    if isinstance(taken, Effect):
        return taken
    before = timeline
    timeline, here, commands = taken
    after = plans.put(timeline, here)
    if after is timeline and timeline is before:
        return Effect(timeline, "duplicate", commands=commands)
    full = plans.too_many(timeline, after, policy)
    if full is not None:
        return Effect(timeline, "refused", commands=commands, refused=("unroutable", full))
    cause, new = _told_by(command, here[0], here[0].kind == DELETED, timeline.plans)
    findings, after = plans.follow(before, after, policy, command.customer_id, cause, new=new)
    return Effect(after, "applied", findings, commands)


def _consented(timeline: Timeline, command: Command, policy: Policy) -> Effect:
    """Records of consent come, from another system or from another customer id."""
    taken = _taken(timeline, command, policy, decode_consent)
    if isinstance(taken, Effect):
        return taken
    before = timeline
    timeline, here, commands = taken
    held = consent_keeping.put(timeline.consents, here)
    if held is timeline.consents and timeline is before:
        return Effect(timeline, "duplicate", commands=commands)
    full = None if command.source_customer_id else consent_keeping.too_many(timeline.consents, held, here)
    if full is not None:
        return Effect(timeline, "refused", commands=commands, refused=("unroutable", full))
    held, gone = consent_keeping.fitted(held)
    refused: tuple[RejectReason, str] | None = ("unroutable", consent_keeping.left_out(gone)) if gone else None
    cause, new = _told_by(command, here[0], here[0].deleted, timeline.consents or ())
    after, findings = pipeline.reconsented(timeline, held, policy, command.customer_id, cause, new)
    return Effect(after, "applied", findings, commands, refused=refused)


def _told_by(command: Command, one: K, deleted: bool, held: Iterable[K]) -> tuple[Cause, str | None]:
    """What findings change for when a plan or a record of consent comes, and its id if it came for the first time; of those that move from
    another customer id, only why they do."""
    if command.source_customer_id:
        return cause_of(command), None
    known = any(each.id == one.id for each in held)
    return Cause("deletion" if deleted else ("correction" if known else "touch"), one.id), None if known else one.id


def _taken(timeline: Timeline, command: Command, policy: Policy, decode: Callable[[bytes], K]) -> Effect | Taken[K]:
    """Of what a command brings: the timeline, which may get its id back by it, the entries that belong here, and the commands that send
    the others on. An effect when nothing belongs here."""
    try:
        decoded = [decode(data) for data in command.entries]
    except ValueError as error:
        return Effect(timeline, "refused", refused=("undecodable", str(error)))
    at, customer = command.decided_at, command.customer_id
    source = command.source_customer_id or customer
    entries = [replace(entry, identifier=entry.identifier or source) for entry in decoded]
    absurd = next((entry for entry in entries if not EARLIEST_MS <= entry.at <= LATEST_MS), None)
    if absurd is not None:
        detail = f"entry {absurd.id} lies outside the years 2000 to 9999"
        return Effect(timeline, "refused", refused=("not_a_touch", detail))
    commands: list[Command] = []
    here: list[K] = []
    elsewhere: dict[tuple[str, int], list[K]] = {}
    for entry in entries:
        place = timeline.left.get(entry.identifier, NOWHERE)
        if is_erased(timeline, at, place[1], happened_at(entry.at, entry.published_at), policy.erasure):
            continue
        (elsewhere.setdefault(place, []) if _has_left(customer, at, *place) else here).append(entry)
    for (into, since), theirs in elsewhere.items():
        commands += moving.moves(customer, into, theirs, command, since, command.kind)
    if not here:
        return Effect(timeline, "forwarded" if commands else "erased", commands=tuple(commands))
    if timeline.merged_into is not None:
        if at <= timeline.identity_at:
            commands += moving.moves(customer, timeline.merged_into, here, command, timeline.identity_at, command.kind)
            return Effect(timeline, "forwarded", commands=tuple(commands))
        timeline = replace(timeline, merged_into=None, identity_at=at)  # a split gave the id back
    own = [replace(entry, identifier="" if entry.identifier == customer else entry.identifier) for entry in here]
    return timeline, own, tuple(commands)


def _lead_told(timeline: Timeline, command: Command, policy: Policy, load: Load) -> Effect:
    """What sales says goes where the customer went."""
    customer, at = command.customer_id, command.decided_at
    own = asked.identifier_of(command)
    into, since = timeline.left.get(own or customer, (timeline.merged_into or "", timeline.identity_at))
    # After a split that gave the id back its lead is here again. What is said by an identifier finds the way by the moments of decisions.
    here = not own and timeline.lead is not None and command.lead_id in (None, timeline.lead.id)
    if into and at < since and not here:
        onward = replace(command, customer_id=into, decided_at=since)
        return Effect(timeline, "forwarded", commands=(onward,))
    done = told.said(timeline, command, policy, load)
    outcome: Literal["applied", "duplicate", "refused"] = "applied" if done.events else "duplicate"
    if done.refused is not None:
        outcome = "refused"
    return Effect(done.timeline, outcome, done.findings, refused=done.refused, leads=done.events)


def _acknowledged(timeline: Timeline, command: Command, finding_id: str, policy: Policy) -> Effect:
    customer = command.customer_id
    if finding_id in timeline.acknowledged:
        return Effect(timeline, "duplicate")
    everything = detect.everything(timeline, policy, customer) + plans.told(timeline, policy, customer)
    finding = next((one for one in everything if one.finding_id == finding_id), None)
    if finding is None:
        detail = f"finding {finding_id} does not hold for customer {customer}, or not any more: there is nothing to acknowledge"
        return Effect(timeline, "refused", refused=("unroutable", detail))
    known = timeline.acknowledged | {finding_id: (command.issued_at, command.requested_by or "somebody")}
    cause, changed = Cause("acknowledgement", command.command_id), [replace(finding, state="amended")]
    findings, timeline = detect.numbered(changed, replace(timeline, acknowledged=known), cause)
    return Effect(timeline, "applied", due(timeline, findings, policy))


def _erased(timeline: Timeline, command: Command, policy: Policy, load: Load) -> Effect:
    """Everything of the identifiers goes but the moment of the erasure, so that what is still on its way from before it is known as such;
    and but for what happened since, should the command be slow and the policy let later touches start afresh."""
    at, customer, ids = command.decided_at, command.customer_id, command.identifiers
    if at <= timeline.erased_at:
        return Effect(timeline, "duplicate")

    def stays(entry: Entry | Consent) -> bool:
        others = bool(ids) and (entry.identifier or customer) not in ids
        return others or happened_at(entry.at, entry.published_at) > at

    left = {id_: to for id_, to in timeline.left.items() if to[1] > at or (ids and id_ not in ids)}
    consents = tuple(filter(stays, timeline.consents or ())) or None
    rest = Timeline(timeline.merged_into if customer in left else None, left=left, erased_at=at, consents=consents)
    all_held = (timeline.entries, timeline.opt_outs, timeline.plans)
    entries, opt_outs, left_plans = (tuple(filter(stays, held)) for held in all_held)
    if entries or opt_outs:
        rest = keeping.remade(replace(rest, revisions=timeline.revisions), entries, opt_outs, policy)
    about_plans, rest = plans.telling(replace(rest, plans=left_plans), policy, customer)
    differ = detect.difference(*(detect.everything(one, policy, customer) for one in (timeline, rest)))
    differ += plans.changed(timeline, about_plans, policy, customer)
    changed = [blank(f) if f.state == "retracted" else f for f in differ]
    findings, numbered = detect.numbered(
        changed, replace(timeline, acknowledged={}), Cause("erasure", command.command_id)
    )
    rest = replace(rest, revisions=numbered.revisions)
    done = followed(timeline, rest, policy, customer, command.issued_at, load=load, findings=findings)
    gone = [entry for entry in timeline.entries if not stays(entry)]
    done = elsewhere.erased(timeline, done, gone, command)
    # What had left before may come back, and be told again.
    kept = done.timeline.revisions if entries or opt_outs or left_plans else keeping.all_forgotten(done.timeline)
    leads = tuple([blank_lead(event) if event.status == "retracted" else event for event in done.events])
    return Effect(replace(done.timeline, revisions=kept), "erased", done.findings, leads=leads)
