"""The rules, and how findings follow a timeline that changes.

`RULES` is the ordered list of all rules. `changes` says what a new touch makes true, untrue or different: it runs the affected rules
on the timeline without and with the touch, over the stretch that the touch can affect, and compares; `redecided` does so for a touch
that is corrected or deleted. So nothing but revision numbers has to be remembered, and late touches amend and retract.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from streams.core.detect import contact_after_opt_out, double_contact, governed, handoff, incongruent_message
from streams.core.detect.base import Rule
from streams.core.entry import Entry, key
from streams.core.outcome import Cause, Finding
from streams.core.policy import Policy
from streams.core.timeline import Timeline, bisect, forgotten

RULES: tuple[Rule, ...] = (
    double_contact.RULE,
    contact_after_opt_out.RULE,
    incongruent_message.RULE,
    handoff.RULE,
    governed.RULE,
)


def changes(before: Timeline, after: Timeline, i: int, policy: Policy, customer: str) -> list[Finding]:
    """Findings that differ because `after` has one more entry than `before`, at index i; not yet numbered."""
    changed: list[Finding] = []
    renamed, in_order = _renamed(after.entries, i), i + 1 == len(after.entries)
    for rule in RULES:
        if not rule.enabled(policy):
            continue
        if in_order and rule.newest is not None:
            changed += rule.newest(before, after, policy, customer)
            continue
        span = rule.affected(after.entries, i, policy)
        if span is not None or renamed > i + 1:
            lo, hi = i, max(renamed, span[1] if span is not None else 0)
            new = rule.find(after, lo, hi, policy, customer)
            old = rule.find(before, lo, hi - 1, policy, customer) if hi - 1 > lo else []
            changed += difference(old, new)
    return not_frozen(changed, after, policy, frozenset((after.entries[i].id,)))


def redecided(
    before: Timeline, after: Timeline, gone: Entry, came: Entry | None, policy: Policy, customer: str
) -> list[Finding]:
    """Findings that differ because `after` has `came`, here or at another time, where `before` has `gone`; not yet numbered."""
    changed: list[Finding] = []
    for rule in RULES:
        if not rule.enabled(policy):
            continue
        spans = [_span(rule, before.entries, gone, policy)]
        if came is not None:
            spans.append(_span(rule, after.entries, came, policy))
        held = [span for span in spans if span is not None]
        if held:
            start, end = min(span[0] for span in held), max(span[1] for span in held)
            old, new = (_between(rule, timeline, start, end, policy, customer) for timeline in (before, after))
            changed += difference(old, new)
    touched = frozenset((gone.id, came.id)) if came is not None else frozenset((gone.id,))
    return not_frozen(changed, after, policy, touched)


_END = (1 << 62, "")
"""A sort key behind every entry."""


def _span(
    rule: Rule, entries: Sequence[Entry], entry: Entry, policy: Policy
) -> tuple[tuple[int, str], tuple[int, str]] | None:
    """The sort keys between which the rule's findings may rest on the entry."""
    i = bisect(entries, key(entry))
    affected, renamed = rule.affected(entries, i, policy), _renamed(entries, i)
    if affected is None and renamed == i + 1:
        return None
    end = max(renamed, affected[1] if affected is not None else 0)
    return key(entry), key(entries[end]) if end < len(entries) else _END


def _between(
    rule: Rule, timeline: Timeline, start: tuple[int, str], end: tuple[int, str], policy: Policy, customer: str
) -> list[Finding]:
    lo, hi = bisect(timeline.entries, start), bisect(timeline.entries, end)
    return rule.find(timeline, lo, hi, policy, customer) if lo < hi else []


def difference(old: list[Finding], new: list[Finding]) -> list[Finding]:
    """What turns the old findings into the new ones: retracted, amended and detected findings, retractions first."""
    if not old:
        return new
    was = {finding.finding_id: finding for finding in old}
    now = {finding.finding_id for finding in new}
    gone = [replace(finding, state="retracted") for finding in old if finding.finding_id not in now]
    fresh = [
        finding if finding.finding_id not in was else replace(finding, state="amended")
        for finding in new
        if was.get(finding.finding_id) != finding
    ]
    return gone + fresh


def not_frozen(changed: list[Finding], timeline: Timeline, policy: Policy, touched: frozenset[str]) -> list[Finding]:
    """Without amendments of findings that may be others than were published, since they look back to where touches were pruned. Those of
    the `touched` touches are meant."""
    if not (changed and timeline.floor[1]):
        return changed
    frozen_until = {rule.name: timeline.floor[0] + rule.looks_back(policy) for rule in RULES}
    return [
        finding
        for finding in changed
        if finding.state != "amended"
        or finding.event_time >= frozen_until.get(finding.rule, frozen_until[governed.NAME])
        or not touched.isdisjoint(finding.touch_ids)
    ]


def everything(timeline: Timeline, policy: Policy, customer: str) -> list[Finding]:
    """All findings that hold on a timeline, as first detected."""
    count = len(timeline.entries)
    rules = [rule for rule in RULES if rule.enabled(policy)]
    return [finding for rule in rules for finding in rule.find(timeline, 0, count, policy, customer)] if count else []


def _renamed(entries: Sequence[Entry], i: int) -> int:
    """First index after i where findings do not take the customer's name from the touch at i."""
    j = i + 1
    if entries[i].name:
        while j < len(entries) and not entries[j].name:
            j += 1
    return j


def numbered(
    findings: list[Finding], timeline: Timeline, cause: Cause, new: str | None = None
) -> tuple[tuple[Finding, ...], Timeline]:
    """Gives each changed finding its revision and its cause, and returns the timeline that remembers them.

    The first detection is revision 1 and is not remembered; every later change of the same id counts up from there. Where touches were
    pruned or erased, a finding may have been there before: unless it is of the touch `new`, which came for the first time, it counts up
    from the highest revision that was forgotten. What somebody acts on is not taken from under their hands: instead of being retracted,
    it is amended and withdrawn.
    """
    if not findings:
        return (), timeline
    known, acknowledged = timeline.revisions, timeline.acknowledged
    least = forgotten(timeline)

    def is_first(finding: Finding) -> bool:
        unseen = not least or new in finding.touch_ids
        return finding.state == "detected" and finding.finding_id not in known and unseen

    if all(map(is_first, findings)):
        return tuple([replace(finding, cause=cause) for finding in findings]), timeline
    known, counted = dict(known), []
    for finding in findings:
        first = is_first(finding)
        finding = replace(finding, cause=cause)
        if finding.finding_id in acknowledged:
            by = acknowledged[finding.finding_id][1]
            withdrawn = finding.state == "retracted"
            finding = replace(finding, state="amended", acknowledged_by=by, withdrawn=withdrawn)
        if not first or finding.state != "detected":
            revision = known.get(finding.finding_id, (max(least, 1), 0))[0] + 1
            known[finding.finding_id] = (revision, finding.event_time)
            finding = replace(finding, revision=revision)
        counted.append(finding)
    return tuple(counted), replace(timeline, revisions=known)
