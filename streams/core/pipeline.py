"""The way of one touch, on one screen. All functions are pure; the agents of `streams.edge` and the backtest call them.

receive   Touch                     -> Touch | Rejected     is it a touch we can place in time and in its channel?
identify  Touch, Resolved           -> IdentifiedTouch      whose is it, and what does its message claim?
advance   Timeline, IdentifiedTouch -> Step                 the timeline with it, and what is found because of it
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from streams.core import claims, consent, detect, keeping
from streams.core.consent import Consent
from streams.core.entry import DELETED, Entry, entry_of, is_opt_out, left_behind
from streams.core.erasure import may_return
from streams.core.leads.acts import CARRIED, act_of, carried
from streams.core.leads.states import lead_id
from streams.core.outcome import Cause, Finding
from streams.core.policy import MINUTE_MS, Policy
from streams.core.timeline import Timeline, find, place, standing, too_old
from streams.core.touch import IdentifiedTouch, Origin, Touch


class Step(Struct, frozen=True, gc=False):
    """What one touch does to its customer. `timeline` is the new state; `late` means a later touch was already there, `too_late`
    that it came too late to re-decide anything."""

    timeline: Timeline
    outcome: Literal["applied", "corrected", "deleted", "duplicate", "outdated", "too_old", "id_conflict"]
    findings: tuple[Finding, ...] = ()
    late: bool = False
    too_late: bool = False


def receive(touch: Touch, now: int, policy: Policy) -> tuple[Literal["occurred_in_future"], str] | None:
    """Why a touch cannot be placed in time, as (reason, detail), or None. `now` is when Kafka received it (UTC ms)."""
    limit = policy.touch.future_ms
    if touch.occurred_at - now > limit:
        ahead = (touch.occurred_at - now) // MINUTE_MS
        return (
            "occurred_in_future",
            f"occurred_at is {ahead} minutes after Kafka received the touch (touch.max_future_minutes allows {limit // MINUTE_MS});"
            " mend the producer's clock or unit, then replay",
        )
    return None


def identify(
    touch: Touch,
    customer_id: str,
    published_at: int,
    origin: Origin | None = None,
    identifier: str = "",
    resolved_at: int = 0,
) -> IdentifiedTouch:
    """The touch with its customer and the claims of its message. `identifier` is its own strongest identifier's id."""
    stated = claims.extract(touch.message, touch.occurred_at)
    own = "" if identifier == customer_id else identifier
    return IdentifiedTouch(customer_id, touch, stated, published_at, origin, own, resolved_at)


def advance(timeline: Timeline, identified: IdentifiedTouch, policy: Policy) -> Step:
    """One touch, as it arrives, onto its customer's timeline."""
    entry = entry_of(identified)
    if too_late(entry, policy):
        entry = replace(entry, late=True)
    return add(timeline, entry, policy, identified.customer_id)


def too_late(entry: Entry, policy: Policy) -> bool:
    """Whether a touch reached Kafka so long after it occurred that nothing is decided by it. An opt-out or a correction never is."""
    return entry.published_at - entry.at > policy.touch.late_ms and entry.version == 1 and not is_opt_out(entry)


def add(timeline: Timeline, entry: Entry, policy: Policy, customer: str, cause: Cause | None = None) -> Step:
    """One entry onto a timeline: placed by event time, rules run where it matters, old entries sealed or left to the standing.

    `cause` is the entry itself unless given: it may also have moved here.
    """
    known = find(timeline, entry.id)
    if known is not None:
        if entry.version > known.version:
            return _correct(timeline, known, entry, policy, customer)
        if entry.version < known.version:
            return Step(timeline, "outdated")
        if known.kind == DELETED and known in timeline.opt_outs:
            return Step(timeline, "duplicate")
        same = replace(entry, published_at=known.published_at, late=known.late, identifier=known.identifier) == known
        return Step(timeline, "duplicate" if same else "id_conflict")
    if entry.kind == CARRIED and too_old(timeline, entry, policy):
        carried_lead = act_of(entry).lead
        if carried_lead is not None and carried_lead.id in (lead_id(timeline.lead), lead_id(timeline.lead_base)):
            return Step(timeline, "duplicate")  # the lead is here; the act was pruned
    entry = keeping.reached(timeline, entry, policy)
    if too_old(timeline, entry, policy):
        return (
            _add_old_opt_out(timeline, entry, policy, customer, cause)
            if is_opt_out(entry)
            else Step(_noted(timeline, entry), "too_old")
        )
    i = place(timeline, entry)
    after = keeping.spliced(timeline, i, 0, (entry,), policy)
    late = i < len(timeline.entries)
    because = cause or Cause("late_touch" if late else "touch", entry.id)
    changed = detect.changes(timeline, after, i, policy, customer)
    new = entry.version == 1 and not may_return(entry, timeline)
    findings, after = detect.numbered(changed, after, because, entry.id if new else None)
    return Step(keeping.trimmed(after, policy), "applied", findings, late, entry.late)


def _correct(timeline: Timeline, known: Entry, entry: Entry, policy: Policy, customer: str) -> Step:
    """A higher version takes the place of what is known of a touch, at its own time."""
    outcome: Literal["corrected", "deleted"] = "deleted" if entry.kind == DELETED else "corrected"
    others = tuple(one for one in timeline.opt_outs if one.id != known.id)
    if len(others) < len(timeline.opt_outs):  # its touch was pruned
        after = replace(timeline, opt_outs=others)
        if too_old(after, entry, policy):
            after = replace(after, opt_outs=left_behind(others, (entry,), 0))
        else:
            after = keeping.spliced(after, place(after, entry), 0, (entry,), policy)
        changed = _difference(timeline, after, policy, customer, frozenset((entry.id,)))
    else:
        after = keeping.spliced(timeline, place(timeline, known), 1, (), policy)
        if too_old(after, entry, policy):
            after = replace(after, opt_outs=left_behind(others, (entry,), 0))
            changed = _difference(timeline, after, policy, customer, frozenset((entry.id,)))
        else:
            after = keeping.spliced(after, place(after, entry), 0, (entry,), policy)
            changed = detect.redecided(timeline, after, known, entry, policy, customer)
    findings, after = detect.numbered(
        changed, after, Cause("deletion" if outcome == "deleted" else "correction", entry.id)
    )
    return Step(keeping.trimmed(after, policy), outcome, findings, late=True)


def _noted(timeline: Timeline, entry: Entry) -> Timeline:
    """The timeline that knows of the version of a touch that is too old for it, so that no earlier one counts."""
    if entry.version == 1:
        return timeline
    return replace(timeline, opt_outs=left_behind(timeline.opt_outs, (entry,), 0))


def _add_old_opt_out(timeline: Timeline, entry: Entry, policy: Policy, customer: str, cause: Cause | None) -> Step:
    """An opt-out is never too late: it holds for every contact since, however long ago it was made."""
    after = replace(timeline, opt_outs=left_behind(timeline.opt_outs, (entry,), 0))
    if standing(after) == standing(timeline):
        return Step(after, "too_old")
    changed = _difference(timeline, after, policy, customer, frozenset((entry.id,)))
    findings, after = detect.numbered(changed, after, cause or Cause("late_touch", entry.id))
    return Step(after, "applied", findings, late=True)


def _difference(
    before: Timeline, after: Timeline, policy: Policy, customer: str, touched: frozenset[str]
) -> list[Finding]:
    """All that differs between two timelines, whatever changed of these touches."""
    old, new = (detect.everything(timeline, policy, customer) for timeline in (before, after))
    return detect.not_frozen(detect.difference(old, new), after, policy, touched)


def reconsented(
    timeline: Timeline,
    consents: tuple[Consent, ...] | None,
    policy: Policy,
    customer: str,
    cause: Cause,
    new: str | None = None,
) -> tuple[Timeline, tuple[Finding, ...]]:
    """The timeline with these records of consent in place of its own, and the findings that follow; `new` is a record that came for the
    first time. A record may be of any time, so all touches are looked at."""
    if consents == timeline.consents:
        return timeline, ()
    after = replace(timeline, consents=consents)
    findings, after = detect.numbered(_difference(timeline, after, policy, customer, frozenset()), after, cause, new)
    return after, findings


def leave(
    timeline: Timeline, policy: Policy, customer: str, cause: Cause, gone: frozenset[str] | None = None
) -> tuple[Timeline, tuple[Finding, ...], tuple[Entry, ...]]:
    """Touches go to another customer, and records of consent: those of the identifiers `gone`, or all. The timeline without them, the
    findings that follow, and the entries, which say whose they are."""
    consents = consent.leave(timeline.consents, customer, gone)[0]
    owned = [
        replace(entry, identifier=entry.identifier or customer) for entry in (*timeline.opt_outs, *timeline.entries)
    ]
    moved = tuple(entry for entry in owned if gone is None or entry.identifier in gone)
    if not moved:
        return *reconsented(timeline, consents, policy, customer, cause), ()
    base = timeline.lead_base
    theirs = None if base is None else base.identifier or customer
    base_goes = base is not None and (gone is None or theirs in gone)
    stays = None if base_goes else base
    if len(moved) == len(owned):
        t = timeline
        rest = Timeline(
            revisions=t.revisions,
            acknowledged=t.acknowledged,
            left=t.left,
            identity_at=t.identity_at,
            erased_at=t.erased_at,
            floor=t.floor,
            lead_base=stays,
            consents=consents,
        )
    else:
        ids = {entry.id for entry in moved}
        kept = [entry for entry in timeline.entries if entry.id not in ids]
        opt_outs = tuple(o for o in timeline.opt_outs if o.id not in ids)
        rest = keeping.remade(replace(timeline, lead_base=stays, consents=consents), kept, opt_outs, policy)
    touched = frozenset([entry.id for entry in moved])
    findings, rest = detect.numbered(_difference(timeline, rest, policy, customer, touched), rest, cause)
    if base is not None and base_goes:
        before = timeline.entries[0].at - 1 if timeline.entries else timeline.floor[0] + 1
        moved = (replace(carried(customer, base, before), identifier=theirs), *moved)
    return rest, findings, moved
