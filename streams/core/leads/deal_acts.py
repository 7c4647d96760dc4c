"""Acts of one deal on a timeline: in the order of the deal's versions, whatever order they come in.

After a crash the ledger reads again, and what it tells then may be older than what it told before. And the days that a CRM gives need
not be in the order of its versions: what was opened at ten can be lost on that day at midnight.

That a deal was deleted may come before the deal itself: the ledger tells it to whom a merge will bring the timeline that has the deal. So
a mark of it stays, an entry like the tombstone of a touch, whose version is the first of the deal that counts again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from streams.core.entry import DELETED, Entry, key, tombstone
from streams.core.leads.acts import CARRIED, INTERNAL, act_of, derived_id
from streams.core.leads.asked import DEAL
from streams.core.leads.came_of import remembered
from streams.core.timeline import Timeline, find


def of_deal(entries: Iterable[Entry], deal: str) -> list[Entry]:
    """What is said of this deal, or of whichever the lead follows."""
    return [entry for entry in entries if entry.kind == DEAL and act_of(entry).deal in (deal, "")]


def placed(acts: Sequence[Entry]) -> list[Entry]:
    """Acts of one deal in order of their versions, each at its own time, which stays in `published_at`, or later than the one before. One
    whose version is not known stays behind those that come before it here; one that gets another time also gets a higher `Entry.version`,
    so that it takes its own place on the timeline.

    Of acts that all have versions the same come out in whatever order they were put in, and also if some were put in before, or others
    that are gone.
    """
    ordered: list[tuple[tuple[int, str], Entry]] = []
    for entry in acts:
        place = (act_of(entry).version, entry.id)
        later = (n for n, (other, _) in enumerate(ordered) if place[0] and other > place)
        ordered.insert(next(later, len(ordered)), (place, entry))
    result: list[Entry] = []
    for _, entry in ordered:
        at = max(entry.published_at, result[-1].at + 1) if result else entry.published_at
        result.append(entry if at == entry.at else replace(entry, at=at, version=entry.version + 1))
    return result


def gone_id(deal: str) -> str:
    """Id of the mark that the deal was deleted. Whoever has it: so marks of two customers who turn out to be one are one."""
    return derived_id("gone", deal)


def mark(deal: str, version: int, at: int) -> Entry:
    """That no version of the deal up to this one is the customer's, as was said at `at` (UTC ms)."""
    return Entry(at, gone_id(deal), "", "sales", INTERNAL, DELETED, at, version=version + 1)


def is_gone(timeline: Timeline, deal: str, version: int) -> bool:
    """Whether the timeline has a mark that this version of the deal is not the customer's."""
    known = find(timeline, gone_id(deal))
    return known is not None and version < known.version


def buried(act: Entry) -> Entry:
    """What takes an act's place that never was; what is read again after a crash does not bring it back."""
    return replace(tombstone(act), version=act.version + 1)


def taken_in(timeline: Timeline, came: Sequence[Entry]) -> list[Entry]:
    """Entries that come from another customer id, and corrections of what the timeline holds: acts of one deal are in order after them,
    and none is left that a mark of either side is about."""
    mine = [entry for entry in came if _is_about_deals(entry)]
    if not mine:
        return list(came)
    marks = {entry.id: entry.version for entry in mine if entry.kind == DELETED}
    acts = {entry.id: entry for entry in (*timeline.entries, *mine) if entry.kind == DEAL}
    changed: dict[str, Entry] = {}
    deals: dict[str, list[Entry]] = {}
    new = {entry.id for entry in mine}
    anew = set[str]()
    for entry in acts.values():
        act = act_of(entry)
        id_ = gone_id(act.deal)
        known = find(timeline, id_)
        if 0 < act.version < max(marks.get(id_, 0), 0 if known is None else known.version):
            changed[entry.id] = buried(entry)
        else:
            deals.setdefault(act.deal, []).append(entry)
        if act.deal and (entry.id in new or entry.id in changed):
            anew.add(act.deal)
    for deal in anew & deals.keys():
        changed |= {entry.id: entry for entry in placed(sorted(deals[deal], key=key))}
    here = {id_ for id_ in changed.keys() - new if changed[id_] is not acts[id_]}
    return [*(changed.get(entry.id, entry) for entry in came), *(changed[id_] for id_ in sorted(here))]


def waits_for(timeline: Timeline, came: Sequence[Entry]) -> list[tuple[str, int]]:
    """Deals that the lead goes on with though a mark says that they were deleted, with the version of each that the mark is about: what
    they led to was pruned. Only of entries that came can that be."""
    if not any(entry.kind == CARRIED or (entry.kind == DELETED and entry.direction == INTERNAL) for entry in came):
        return []
    held = {deal for entry in timeline.entries if entry.kind == DEAL and (deal := act_of(entry).deal)}
    marks = {deal: find(timeline, gone_id(deal)) for deal in remembered(timeline.lead) if deal and deal not in held}
    return [(deal, known.version - 1) for deal, known in marks.items() if known is not None]


def _is_about_deals(entry: Entry) -> bool:
    return entry.direction == INTERNAL and entry.kind in (DEAL, DELETED)
