"""The way of one touch, on one screen. All functions are pure; the agents of `streams.edge` and the backtest call them.

receive   Touch                     -> Touch | Rejected     is it a touch we can place in time and in its channel?
identify  Touch, Resolved           -> IdentifiedTouch      whose is it, and what does its message claim?
advance   Timeline, IdentifiedTouch -> Step                 the timeline with it, and what is found because of it
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from streams.core import claims, detect
from streams.core.detect import handoff
from streams.core.outcome import Finding
from streams.core.policy import MINUTE_MS, Policy
from streams.core.timeline import Entry, Timeline, entry_of, is_opt_out, key, place, prunable, too_old, with_opt_out
from streams.core.touch import IdentifiedTouch, Origin, Touch


class Step(Struct, frozen=True, gc=False):
    """What one touch does to its customer. `timeline` is the new state; `late` means a later touch was already there."""

    timeline: Timeline
    outcome: Literal["applied", "duplicate", "too_old", "id_conflict"]
    findings: tuple[Finding, ...] = ()
    late: bool = False


def receive(touch: Touch, now: int, policy: Policy) -> tuple[Literal["occurred_in_future"], str] | None:
    """Why a touch cannot be placed in time, as (reason, detail), or None. `now` is when Kafka received it (UTC ms)."""
    limit = int(policy.touch.max_future_minutes * MINUTE_MS)
    if touch.occurred_at - now > limit:
        ahead = (touch.occurred_at - now) // MINUTE_MS
        return (
            "occurred_in_future",
            f"occurred_at is {ahead} minutes after Kafka received the touch (touch.max_future_minutes allows {limit // MINUTE_MS});"
            " mend the producer's clock or unit, then replay",
        )
    return None


def identify(touch: Touch, customer_id: str, published_at: int, origin: Origin | None = None) -> IdentifiedTouch:
    """The touch with its customer and the claims of its message."""
    return IdentifiedTouch(customer_id, touch, claims.extract(touch.message, touch.occurred_at), published_at, origin)


def advance(timeline: Timeline, identified: IdentifiedTouch, policy: Policy) -> Step:
    """One touch onto its customer's timeline."""
    return add(timeline, entry_of(identified), policy, identified.customer_id)


def add(timeline: Timeline, entry: Entry, policy: Policy, customer: str) -> Step:
    """One entry onto a timeline: placed by event time, rules run where it matters, old entries folded into the standing."""
    same = [known for known in timeline.entries if known.id == entry.id]
    same += [known for known in timeline.opt_outs if known.id == entry.id]
    if same:
        alike = replace(entry, published_at=same[0].published_at) == same[0]
        return Step(timeline, "duplicate" if alike else "id_conflict")
    if too_old(timeline, entry, policy):
        return _add_old_opt_out(timeline, entry, policy, customer) if is_opt_out(entry) else Step(timeline, "too_old")
    i = place(timeline, entry)
    late = i < len(timeline.entries)
    entries = (*timeline.entries[:i], entry, *timeline.entries[i:])
    if late:
        tail = handoff.fold_all(timeline.base, entries, policy.handoff)
    else:
        tail, _ = handoff.fold(timeline.tail, entry, policy.handoff)
    after = replace(timeline, entries=entries, tail=tail)
    findings, revisions = detect.number(detect.changes(timeline, after, i, policy, customer), timeline.revisions)
    return Step(_pruned(replace(after, revisions=revisions), policy), "applied", tuple(findings), late)


def _add_old_opt_out(timeline: Timeline, entry: Entry, policy: Policy, customer: str) -> Step:
    """An opt-out is never too late: it holds for every contact since, however long ago it was made."""
    after = replace(timeline, opt_outs=with_opt_out(timeline.opt_outs, entry))
    if after.opt_outs == timeline.opt_outs:
        return Step(timeline, "too_old")
    changed = detect.difference(
        detect.everything(timeline, policy, customer), detect.everything(after, policy, customer)
    )
    findings, revisions = detect.number(changed, timeline.revisions)
    return Step(replace(after, revisions=revisions), "applied", tuple(findings), late=True)


def _pruned(timeline: Timeline, policy: Policy) -> Timeline:
    cut = prunable(timeline.entries, policy)
    return shorten(timeline, cut, policy) if cut else timeline


def shorten(timeline: Timeline, cut: int, policy: Policy) -> Timeline:
    """The timeline without its oldest `cut` entries, which must leave at least one; they live on in the standing."""
    gone, kept = timeline.entries[:cut], timeline.entries[cut:]
    opt_outs = timeline.opt_outs
    for entry in gone:
        if is_opt_out(entry):
            opt_outs = with_opt_out(opt_outs, entry)
    return replace(
        timeline,
        entries=kept,
        opt_outs=opt_outs,
        name=next((entry.name for entry in reversed(gone) if entry.name), timeline.name),
        base=handoff.fold_all(timeline.base, gone, policy.handoff),
        floor=key(gone[-1]),
        revisions={id_: known for id_, known in timeline.revisions.items() if known[1] >= kept[0].at},
    )


def leave(
    timeline: Timeline, into: str, policy: Policy, customer: str
) -> tuple[Timeline, tuple[Finding, ...], tuple[Entry, ...]]:
    """A customer who goes by another id from now on: the emptied timeline, its findings retracted, the entries to move."""
    gone = [replace(finding, state="retracted") for finding in detect.everything(timeline, policy, customer)]
    findings, _ = detect.number(gone, timeline.revisions)
    return Timeline(merged_into=into), tuple(findings), (*timeline.opt_outs, *timeline.entries)
