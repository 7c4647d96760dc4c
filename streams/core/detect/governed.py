"""Contacts that broke a rule of the policy's `[[rules]]`, whoever asked before and whoever did not.

One conflict for each contact and each rule it broke, named `<reason>:<name of the rule>` (`streams.core.govern.reasons`). Off unless
`governance.findings`. The rules are those of checks: each contact is judged by what was before it on the timeline, with the time zone,
country and account that the newest touch up to it gave, and by the records of consent that were in force then. Rules that rest on what no
timeline holds (owners, deals, the do-not-contact list, colleagues, consent that must be there) are for checks only.
"""

from __future__ import annotations

from collections.abc import Sequence

from streams.core import wording
from streams.core.consent import Consent, told
from streams.core.detect.base import Rule, build, contacts, evidence, is_contact, name_at, since, until, until_calls_end
from streams.core.entry import Entry, is_opt_out
from streams.core.govern import compiled as ready
from streams.core.govern.compiled import Compiled
from streams.core.govern.evaluate import broken
from streams.core.govern.reasons import rule_of
from streams.core.govern.records import NOTHING, Standing
from streams.core.govern.ruling import Hit, Ruling
from streams.core.govern.scene import DESCRIPTIONS, Scene
from streams.core.outcome import Finding
from streams.core.policy import Policy
from streams.core.timeline import Timeline, past, standing
from streams.core.touch import CALL_KINDS

NAME, VERSION = "governed", 1


def affected(entries: Sequence[Entry], i: int, policy: Policy) -> tuple[int, int] | None:
    compiled = ready.of(policy, "findings")
    entry = entries[i]
    if is_opt_out(entry):
        return i, len(entries)
    if entry.late:
        return None
    end = _described_until(entries, i) if compiled.describes else i
    contact = is_contact(entry)
    if contact or entry.kind in compiled.reacting:
        last = until_calls_end(entries, i, policy) - 1 if contact and entry.kind in CALL_KINDS else i
        end = max(end, until(entries, last, compiled.reach_ms))
    return (i, end) if end > i else None


def _described_until(entries: Sequence[Entry], i: int) -> int:
    """First index after i from which no contact takes a time zone, a country or an account from the touch at i."""
    waiting = [name for name in DESCRIPTIONS if getattr(entries[i], name)]
    j = i
    while waiting:
        j += 1
        if j == len(entries):
            return j
        if not entries[j].late:
            waiting = [name for name in waiting if not getattr(entries[j], name)]
    return j


def find(timeline: Timeline, lo: int, hi: int, policy: Policy, customer: str) -> list[Finding]:
    compiled = ready.of(policy, "findings")
    scene = _scene_before(timeline, lo, compiled)
    reached = dict(contacts(timeline.entries, lo, hi, compiled.reach_ms, policy))
    for j, entry in reached.items():
        if j < lo:
            scene.reach(entry)
    found: list[Finding] = []
    for j, entry in enumerate(timeline.entries[lo:hi], lo):
        scene.see(entry)
        if j in reached:
            hits = broken(compiled, scene, entry, entry.at)
            found += [_finding(ruling, hit, entry, scene, timeline, j, customer) for ruling, hit in hits]
            scene.reach(entry)
    return found


def _scene_before(timeline: Timeline, lo: int, compiled: Compiled) -> Scene:
    """The customer as they were just before the touch at lo, but for contacts."""
    standing_ = Standing(consents=told(timeline.consents)) if timeline.consents is not None else NOTHING
    scene, entries = Scene(compiled, standing_), timeline.entries
    rows, near = past(timeline, lo)
    scene.opt_outs += [*standing(timeline), *(one for row in rows for one in row.opt_outs), *filter(is_opt_out, near)]
    start = since(entries, lo, compiled.reach_ms)
    wanted = list(DESCRIPTIONS) if compiled.describes else []
    for k in range(start - 1, -1, -1):
        if not wanted:
            break
        entry = entries[k]
        for name in () if entry.late else [name for name in wanted if getattr(entry, name)]:
            setattr(scene, name, getattr(entry, name))
            wanted.remove(name)
    for entry in entries[start:lo]:
        scene.see(entry)
    return scene


def _finding(
    ruling: Ruling, hit: Hit, contact: Entry, scene: Scene, timeline: Timeline, j: int, customer: str
) -> Finding:
    name = name_at(timeline, j)
    why = ruling.text(hit, contact, contact.at, scene)
    reason = (
        f"{name or wording.SOMEONE} got {wording.contact(contact)} from {wording.sender(contact)} on {wording.day(contact.at)}"
        f" at {wording.clock(contact.at)}, against the rule '{ruling.rule.name}': {why[0].lower()}{why[1:]}"
    )
    proof = [evidence(_role(one), one) for one in hit.proof if isinstance(one, Entry | Consent)]
    named = (rule_of(ruling.reason, ruling.rule.name), VERSION)
    return build(named, customer, contact, [*proof, evidence("contact", contact)], name, ruling.rule.severity, reason)


def _role(one: Entry | Consent) -> str:
    if isinstance(one, Consent):
        return "consent"
    if is_opt_out(one):
        return "opt_out"
    return "earlier_contact" if is_contact(one) else "reaction"


RULE = Rule(
    NAME,
    VERSION,
    lambda policy: policy.governance.findings,
    affected,
    find,
    lambda policy: ready.of(policy, "findings").reach_ms,
)
