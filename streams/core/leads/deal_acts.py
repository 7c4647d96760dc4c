"""Acts of one deal on a timeline: in the order of the deal's versions, whatever order they come in.

After a crash the ledger reads again, and what it tells then may be older than what it told before. And the days that a CRM gives need
not be in the order of its versions: what was opened at ten can be lost on that day at midnight.

Whose a deal is may change, too: by a new version of it, or since a touch has shown a more trusted one of its identifiers. Its `Act.place`
says of everything that is said of a deal which is newer, on whichever timeline it stands.

That a deal was deleted, or is another customer's, may come before the deal itself: the ledger tells it to whom a merge will bring the
timeline that has the deal. So a mark of it stays, an entry like the tombstone of a touch, whose version is the least place that counts
again. When the two customers turn out to be one, what was said of the deal where it went has that place or a higher one, and holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from streams.core.entry import DELETED, Entry, key, tombstone
from streams.core.leads.acts import CARRIED, INTERNAL, act_of, derived_id
from streams.core.leads.acts import place as place_of
from streams.core.leads.asked import DEAL
from streams.core.leads.came_of import remembered
from streams.core.timeline import Timeline, find


def of_deal(entries: Iterable[Entry], deal: str) -> list[Entry]:
    """What is said of this deal, or of whichever the lead follows."""
    return [entry for entry in entries if entry.kind == DEAL and act_of(entry).deal in (deal, "")]


def placed(acts: Sequence[Entry]) -> list[Entry]:
    """Acts of one deal in order of their places, each at its own time, which stays in `published_at`, or later than the one before, and all
    of the identifier that the newest has: where that goes, the deal goes. One whose version is not known stays behind those that come
    before it here, and keeps its identifier; one that changes also gets a higher `Entry.version`, so that it takes its own place on the
    timeline.

    Of acts that all have versions the same come out in whatever order they were put in, and also if some were put in before, or others
    that are gone.
    """
    ordered: list[tuple[tuple[int, str], Entry]] = []
    for entry in acts:
        rank = (act_of(entry).place, entry.id)
        later = (n for n, (other, _) in enumerate(ordered) if rank[0] and other > rank)
        ordered.insert(next(later, len(ordered)), (rank, entry))
    newest = next((entry for (place, _), entry in reversed(ordered) if place), None)
    result: list[Entry] = []
    for (place, _), entry in ordered:
        at = max(entry.published_at, result[-1].at + 1) if result else entry.published_at
        identifier = newest.identifier if newest is not None and place else entry.identifier
        same = (at, identifier) == (entry.at, entry.identifier)
        result.append(entry if same else replace(entry, at=at, identifier=identifier, version=entry.version + 1))
    return result


def mark(deal: str, first: int, at: int) -> Entry:
    """That nothing of the deal below this place is the customer's, as was said at `at` (UTC ms)."""
    return Entry(at, _mark_id(deal), "", "sales", INTERNAL, DELETED, at, version=first)


def counts_from(timeline: Timeline, deal: str, came: Iterable[Entry] = ()) -> int:
    """The least place (`Act.place`) at which what is said of the deal is the customer's, by the marks on the timeline and among entries
    that come; 0: it has no mark."""
    wanted = {_mark_id(deal): 1, _old_mark_id(deal): place_of(1)}
    held = [find(timeline, id_) for id_ in wanted]
    marks = (*held, *(entry for entry in came if entry.id in wanted))
    return max((one.version * wanted[one.id] for one in marks if one is not None), default=0)


def _mark_id(deal: str) -> str:
    """Whoever has it: so marks of two customers who turn out to be one are one."""
    return derived_id("whose", deal)


def _old_mark_id(deal: str) -> str:
    """That of the marks of releases before 2026-11-29, which knew no places: their version is the first of the deal that counts."""
    return derived_id("gone", deal)


def buried(act: Entry) -> Entry:
    """What takes an act's place that never was; what is read again after a crash does not bring it back."""
    return replace(tombstone(act), version=act.version + 1)


def taken_in(timeline: Timeline, came: Sequence[Entry]) -> list[Entry]:
    """Entries that come from another customer id, and corrections of what the timeline holds: acts of one deal are in order after them,
    and none is left that a mark of either side is about."""
    mine = [entry for entry in came if _is_about_deals(entry)]
    if not mine:
        return list(came)
    marks = [entry for entry in mine if entry.kind == DELETED]
    acts = {entry.id: entry for entry in (*timeline.entries, *mine) if entry.kind == DEAL}
    changed: dict[str, Entry] = {}
    deals: dict[str, list[Entry]] = {}
    first: dict[str, int] = {}
    new = {entry.id for entry in mine}
    anew = set[str]()
    for entry in acts.values():
        act = act_of(entry)
        if act.deal not in first:
            first[act.deal] = counts_from(timeline, act.deal, marks)
        if 0 < act.place < first[act.deal]:
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
    """Deals that the lead goes on with though a mark says that they were deleted or went elsewhere, with the place from which on each
    counts: what they led to was pruned. Only of entries that came can that be."""
    if not any(entry.kind == CARRIED or (entry.kind == DELETED and entry.direction == INTERNAL) for entry in came):
        return []
    held = {deal for entry in timeline.entries if entry.kind == DEAL and (deal := act_of(entry).deal)}
    known = {deal: place for deal, place in remembered(timeline.lead).items() if deal and deal not in held}
    return [(deal, first) for deal, place in known.items() if place < (first := counts_from(timeline, deal))]


def _is_about_deals(entry: Entry) -> bool:
    return entry.direction == INTERNAL and entry.kind in (DEAL, DELETED)
