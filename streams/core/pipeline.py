"""The way of one touch, on one screen. All functions are pure; the agents of `streams.edge` and the backtest call them.

receive   Touch                     -> Touch | Rejected     is it a touch we can place in time and in its channel?
identify  Touch, Resolved           -> IdentifiedTouch      whose is it, and what does its message claim?
advance   Timeline, IdentifiedTouch -> Step                 the timeline with it, and what is found because of it
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from streams.core import claims, detect, keeping
from streams.core.entry import Entry, entry_of, is_opt_out, with_opt_outs
from streams.core.outcome import Finding
from streams.core.policy import MINUTE_MS, Policy
from streams.core.timeline import Timeline, find, place, too_old
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
    """One entry onto a timeline: placed by event time, rules run where it matters, old entries sealed or left to the standing."""
    known = find(timeline, entry.id)
    if known is not None:
        alike = replace(entry, published_at=known.published_at) == known
        return Step(timeline, "duplicate" if alike else "id_conflict")
    if too_old(timeline, entry, policy):
        return _add_old_opt_out(timeline, entry, policy, customer) if is_opt_out(entry) else Step(timeline, "too_old")
    i = place(timeline, entry)
    after = keeping.spliced(timeline, i, 0, (entry,), policy)
    findings, after = detect.numbered(detect.changes(timeline, after, i, policy, customer), after)
    return Step(keeping.trimmed(after, policy), "applied", findings, late=i < len(timeline.entries))


def _add_old_opt_out(timeline: Timeline, entry: Entry, policy: Policy, customer: str) -> Step:
    """An opt-out is never too late: it holds for every contact since, however long ago it was made."""
    after = replace(timeline, opt_outs=with_opt_outs(timeline.opt_outs, (entry,)))
    if after.opt_outs == timeline.opt_outs:
        return Step(timeline, "too_old")
    changed = detect.difference(
        detect.everything(timeline, policy, customer), detect.everything(after, policy, customer)
    )
    findings, after = detect.numbered(changed, after)
    return Step(after, "applied", findings, late=True)


def leave(
    timeline: Timeline, into: str, policy: Policy, customer: str
) -> tuple[Timeline, tuple[Finding, ...], tuple[Entry, ...]]:
    """A customer who goes by another id from now on: the emptied timeline, its findings retracted, the entries to move."""
    gone = [replace(finding, state="retracted") for finding in detect.everything(timeline, policy, customer)]
    findings, _ = detect.numbered(gone, timeline)
    return Timeline(merged_into=into), findings, (*timeline.opt_outs, *timeline.entries)
