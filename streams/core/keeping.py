"""How a timeline is kept: an entry put in or taken out, old entries sealed into segments, the oldest left to the standing."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from streams.core import engagement as scores
from streams.core import fit, segments
from streams.core.entry import Entry, key, left_behind, newest_name
from streams.core.leads.acts import CARRIED, MOVED
from streams.core.leads.fold import active
from streams.core.leads.fold import fold_all as lead_after
from streams.core.leads.states import LeadState
from streams.core.policy import DAY_MS, Policy
from streams.core.segments import Entries, Segment
from streams.core.timeline import FORGOTTEN, NEVER, Timeline, encode_head, prunable, too_old

VERSIONS_MS = 30 * DAY_MS
"""How much longer than its touches a timeline remembers that one was corrected: as long as topics keep what was published."""


def spliced(timeline: Timeline, i: int, removed: int, added: tuple[Entry, ...], policy: Policy) -> Timeline:
    """The timeline with `removed` of its entries at index i taken out, all of one segment or recent, and others, which belong there,
    put in."""
    old, rules = timeline.entries, policy.handoff
    gone = old[i : i + removed]
    new = (*old[:i], *added, *old[i + removed :]) if isinstance(old, tuple) else old.splice(i, removed, *added)
    if i == len(old):
        return replace(timeline, entries=new, tail=scores.fold_all(scores.after_all(timeline, rules), added, rules))
    after = replace(timeline, entries=new)
    unsealed = not isinstance(old, tuple) and (isinstance(new, tuple) or len(new.segments) < len(old.segments))
    if unsealed or any(scores.matters(entry, rules) for entry in (*gone, *added)):
        return _refolded(after, unsealed or (not isinstance(old, tuple) and i < old.sealed), policy)
    return after if rules.fit else _without_fit(after, policy)


def _without_fit(timeline: Timeline, policy: Policy) -> Timeline:
    """The timeline without what an earlier policy's fit rested on: another one must not find it where touches have come since."""
    entries, rules = timeline.entries, policy.handoff
    if not isinstance(entries, tuple) and entries.engagement.about is not None:
        entries = Entries(entries.segments, entries.recent, scores.fold_all(entries.engagement, (), rules))
        timeline = replace(timeline, entries=entries)
    return (
        timeline if timeline.tail.about is None else replace(timeline, tail=scores.fold_all(timeline.tail, (), rules))
    )


def reached(timeline: Timeline, entry: Entry, policy: Policy) -> Entry:
    """The entry; the act in which a lead travels, and the one that says from where, at a time that the timeline reaches: what became of a
    lead before touches that were pruned does not end with them."""
    if entry.kind not in (CARRIED, MOVED) or not too_old(timeline, entry, policy):
        return entry
    newest = timeline.entries[-1].at - policy.timeline.retention_ms if timeline.entries else 0
    return replace(entry, at=max(entry.at, timeline.floor[0] + 1, newest))


def remade(timeline: Timeline, entries: Sequence[Entry], opt_outs: tuple[Entry, ...], policy: Policy) -> Timeline:
    """The timeline with only these entries, in order, and these standing opt-outs. What pruned touches left of engagement stays."""
    tail = scores.fold_all(timeline.base, entries, policy.handoff)
    return trimmed(replace(timeline, entries=tuple(entries), opt_outs=opt_outs, tail=tail), policy)


def _refolded(timeline: Timeline, segments_too: bool, policy: Policy) -> Timeline:
    """The timeline with its engagement counted anew, since an entry came, changed or went."""
    entries, rules = timeline.entries, policy.handoff
    if isinstance(entries, tuple):
        return replace(timeline, tail=scores.fold_all(timeline.base, entries, rules))
    if segments_too:
        engagement = scores.fold_all(timeline.base, entries[: entries.sealed], rules)
    else:
        engagement = scores.sealed(timeline, entries, rules)
    entries = Entries(entries.segments, entries.recent, engagement)
    return replace(timeline, entries=entries, tail=scores.fold_all(engagement, entries.recent, rules))


def trimmed(timeline: Timeline, policy: Policy) -> Timeline:
    """The timeline without what is past its retention, and with no more recent entries than one touch should read and write."""
    while timeline.entries and (cut := prunable(timeline.entries, policy)):
        timeline = shorten(timeline, cut, policy)
    while recent(timeline) > 2 * segments.LENGTH:
        timeline = sealed(timeline, segments.LENGTH, policy)
    return timeline


def recent(timeline: Timeline) -> int:
    """How many entries are in no segment."""
    entries = timeline.entries
    return len(entries if isinstance(entries, tuple) else entries.recent)


def sealed(timeline: Timeline, count: int, policy: Policy) -> Timeline:
    """The timeline with the oldest `count` of its recent entries in segments; at least one must stay."""
    entries = timeline.entries
    old: tuple[Segment, ...] = ()
    now, engagement = entries, timeline.base
    if not isinstance(entries, tuple):
        old, now = entries.segments, entries.recent
        engagement = scores.sealed(timeline, entries, policy.handoff)
    engagement = scores.fold_all(engagement, now[:count], policy.handoff)
    return replace(timeline, entries=Entries(old + segments.seal(now[:count]), now[count:], engagement))


def shorten(timeline: Timeline, cut: int, policy: Policy) -> Timeline:
    """The timeline without its oldest `cut` entries, which must leave at least one; they live on in the standing.

    Of a long timeline only whole segments can go: `cut` must be the end of one.
    """
    entries = timeline.entries
    gone = entries[:cut]
    kept = entries[cut:] if isinstance(entries, tuple) else entries.since(cut)
    base = scores.fold_all(timeline.base, gone, policy.handoff)
    if not policy.handoff.fit and (about := fit.known(timeline.base.about, gone)) is not None:
        base = replace(base, about=about)  # a policy that has fit may come later
    reach = gone[-1].at  # touches that went to another customer may come back as far as this
    since = reach - policy.timeline.retention_ms - VERSIONS_MS
    revisions = _remembered(timeline.revisions, reach)
    return replace(
        timeline,
        entries=kept,
        opt_outs=left_behind(timeline.opt_outs, gone, since),
        name=newest_name(gone) or timeline.name,
        base=base,
        lead_base=_lead(timeline, gone, policy),
        floor=key(gone[-1]),
        revisions=revisions,
        # A finding of a plan is of a time to come: whoever acts on it may have said so long before.
        acknowledged={id_: one for id_, one in timeline.acknowledged.items() if one[0] >= reach or id_ in revisions},
    )


def _lead(timeline: Timeline, gone: Sequence[Entry], policy: Policy) -> LeadState | None:
    """The customer's lead after the pruned entries."""
    if timeline.lead is None and not active(policy):
        return timeline.lead_base
    return lead_after(timeline.lead_base, timeline.base, gone, policy)[0]


def _remembered(revisions: dict[str, tuple[int, int]], reach: int) -> dict[str, tuple[int, int]]:
    """Revisions of findings that may still change, and under `FORGOTTEN` the highest of all others."""
    kept = {id_: known for id_, known in revisions.items() if known[1] >= reach}
    if len(kept) < len(revisions):
        highest = max(revision for id_, (revision, _) in revisions.items() if id_ not in kept)
        kept[FORGOTTEN] = (highest, NEVER)
    return kept


def all_forgotten(timeline: Timeline) -> dict[str, tuple[int, int]]:
    """What must stay of the revisions when nothing else is left: the highest, where touches may come back that went to another customer."""
    highest = max((revision for revision, _ in timeline.revisions.values()), default=0)
    return {FORGOTTEN: (highest, NEVER)} if timeline.left and highest else {}


def fitted(timeline: Timeline, policy: Policy, largest: int = segments.LARGEST) -> Timeline:
    """The timeline in values of at most `largest` bytes, as far as that is possible: unusually large entries are sealed early, and
    when even the directory is too large, or a single entry, the oldest entries go."""
    while len(encode_head(timeline)) > largest:
        entries = timeline.entries
        if recent(timeline) > 1:
            timeline = sealed(timeline, recent(timeline) // 2, policy)
        elif not isinstance(entries, tuple):
            timeline = shorten(timeline, entries.segments[0].row.count, policy)
        else:
            break
    return timeline
