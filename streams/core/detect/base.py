"""What a rule is, and what rules share: contacts with calls joined, evidence, the building of a finding."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from msgspec import Struct

from streams.core.consent import Consent
from streams.core.entry import Entry, newest_name
from streams.core.ids import finding_id
from streams.core.outcome import Contradiction, Evidence, Finding, Handoff, Severity
from streams.core.policy import DAY_MS, Policy
from streams.core.timeline import Timeline, bisect, past
from streams.core.touch import CALL_KINDS, CONTACT_KINDS

ALL = "all"
"""The channel of a record of consent that is for every one."""

CALL_SPAN_MS = DAY_MS
"""Phases with one interaction id that are further apart than this are two calls: ids get reused by broken sources."""


class Rule(Struct, frozen=True):
    """A rule as two pure functions over a sorted timeline.

    `enabled(policy)` says whether it runs at all. `affected(entries, i, policy)` is the half-open range of indexes, starting
    at i, whose findings may change because the touch at i came in, or None. `find(timeline, lo, hi, policy, customer)`
    are the findings *anchored* at the touches in [lo, hi): each belongs to one touch, the one that made it true. `looks_back(policy)`:
    how long before its anchor a finding depends on each touch by itself (ms), and not only on what pruned touches leave behind.
    `newest(before, after, policy, customer)`, if a rule has it, are the findings anchored at the last entry of `after`, which `before` has
    not: for rules whose state after all entries stands on the timeline.
    """

    name: str
    version: int
    enabled: Callable[[Policy], bool]
    affected: Callable[[Sequence[Entry], int, Policy], tuple[int, int] | None]
    find: Callable[[Timeline, int, int, Policy, str], list[Finding]]
    looks_back: Callable[[Policy], int] = lambda policy: 0
    newest: Callable[[Timeline, Timeline, Policy, str], list[Finding]] | None = None


def until(entries: Sequence[Entry], i: int, reach_ms: int) -> int:
    """First index at or after i whose touch is `reach_ms` or more later than the touch at i."""
    if i + 1 == len(entries):
        return i + 1
    return max(i + 1, bisect(entries, (entries[i].at + reach_ms, "")))


def is_contact(entry: Entry) -> bool:
    """Whether the touch reaches the customer from our side."""
    return entry.direction == "outbound" and entry.kind in CONTACT_KINDS and not entry.late


def _caller(entry: Entry) -> tuple[str, str | None, str | None]:
    """What the phases of one call have in common."""
    return (entry.department, entry.interaction_id, None if entry.interaction_id else entry.actor_id)


def _call_ms(entry: Entry, policy: Policy) -> int:
    """Phases of one caller that are this far apart, or further, are two calls."""
    return CALL_SPAN_MS if entry.interaction_id else policy.calls.join_ms


def contacts(entries: Sequence[Entry], lo: int, hi: int, reach_ms: int, policy: Policy) -> Iterator[tuple[int, Entry]]:
    """Contacts at indexes below hi that lie at or after `reach_ms` before the touch at lo, each call once, by its first phase.

    Phases are one call when they share an interaction id within a day, or, without one, when the same actor of the same
    department makes them within `calls.join_minutes` of the first, and no phase comes twice.
    """
    calls: dict[tuple[str, str | None, str | None], tuple[int, set[str]]] = {}
    first = since(entries, lo, reach_ms)
    start = _calls_start(entries, first, hi, policy)
    for j, entry in enumerate(entries[start:hi], start):
        if entry.kind not in CONTACT_KINDS or entry.direction != "outbound" or entry.late:
            continue
        if entry.kind in CALL_KINDS:
            caller = _caller(entry)
            first_at, phases = calls.get(caller, (0, set()))
            again = entry.kind in phases and not entry.interaction_id
            if phases and not again and entry.at - first_at < _call_ms(entry, policy):
                phases.add(entry.kind)
                continue
            calls[caller] = (entry.at, {entry.kind})
        if j >= first:
            yield j, entry


def since(entries: Sequence[Entry], lo: int, reach_ms: int) -> int:
    """First index whose touch is at most `reach_ms` earlier than the touch at lo."""
    return bisect(entries, (entries[lo].at - reach_ms, ""))


def _calls_start(entries: Sequence[Entry], first: int, hi: int, policy: Policy) -> int:
    """Where to begin so that every call in [first, hi) is joined the same way as from the very beginning.

    A caller's earlier phases matter only while each is near the next; further back a new call began in any case.
    """
    reaches: dict[tuple[str, str | None, str | None], int] = {}
    for entry in reversed(entries[first:hi]):
        if entry.kind in CALL_KINDS:
            reaches[_caller(entry)] = entry.at - _call_ms(entry, policy)
    start, k = first, first - 1
    earliest = min(reaches.values(), default=0)
    while reaches and k >= 0 and entries[k].at >= earliest:
        entry = entries[k]
        if entry.kind in CALL_KINDS and entry.at >= reaches.get(_caller(entry), entry.at + 1):
            start, reaches[_caller(entry)] = k, entry.at - _call_ms(entry, policy)
            earliest = min(reaches.values())
        k -= 1
    return start


def until_calls_end(entries: Sequence[Entry], i: int, policy: Policy) -> int:
    """First index behind the phase at i from which on no call can join otherwise because of it."""
    caller, call_ms = _caller(entries[i]), _call_ms(entries[i], policy)
    since, end, k = entries[i].at, i + 1, i + 1
    while k < len(entries) and entries[k].at - since <= call_ms:
        if entries[k].kind in CALL_KINDS and _caller(entries[k]) == caller:
            since, end = entries[k].at, k + 1
        k += 1
    return end


def evidence(role: str, entry: Entry | Consent, quote: str | None = None) -> Evidence:
    """The touch, or the record of consent, as a finding shows it."""
    if isinstance(entry, Consent):
        return Evidence(
            role, entry.id, entry.at, entry.channel or ALL, "", f"consent_{entry.status}", entry.recorded_by or entry.source or None,
            None, entry.form or None, quote,
        )  # fmt: skip
    actor = entry.actor_name or entry.actor_id
    return Evidence(
        role, entry.id, entry.at, entry.channel, entry.department, entry.kind, actor, entry.campaign, entry.label, quote
    )


def build(
    rule: tuple[str, int],
    customer: str,
    anchor: Entry,
    proof: Sequence[Evidence],
    name: str | None,
    severity: Severity,
    reason: str,
    touch_ids: Sequence[str] | None = None,
    finding: Literal["conflict", "handoff"] = "conflict",
    contradictions: tuple[Contradiction, ...] = (),
    handoff: Handoff | None = None,
) -> Finding:
    """A finding as first detected."""
    ids = tuple(sorted(touch_ids if touch_ids is not None else [item.touch_id for item in proof]))
    return Finding(
        finding=finding,
        rule=rule[0],
        rule_version=rule[1],
        finding_id=finding_id(rule[0], rule[1], customer, ids),
        revision=1,
        state="detected",
        customer=customer,
        customer_name=name,
        touch_ids=ids,
        event_time=anchor.at,
        severity=severity,
        reason=reason,
        evidence=tuple(proof),
        contradictions=contradictions,
        handoff=handoff,
    )


def name_at(timeline: Timeline, j: int) -> str | None:
    """The customer's name as of the touch at j: the one that the newest touch up to there with a name gave."""
    rows, near = past(timeline, j + 1)
    return newest_name(near) or next((row.name for row in reversed(rows) if row.name), timeline.name)
