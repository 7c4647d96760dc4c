"""Acts of one deal on a timeline: in the order of the deal's versions, whatever order they come in.

After a crash the ledger reads again, and what it tells then may be older than what it told before. And the days that a CRM gives need
not be in the order of its versions: what was opened at ten can be lost on that day at midnight.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from streams.core.entry import Entry
from streams.core.leads.acts import act_of
from streams.core.leads.asked import DEAL


def of_deal(entries: Iterable[Entry], deal: str) -> list[Entry]:
    """What is said of this deal, or of whichever the lead follows."""
    return [entry for entry in entries if entry.kind == DEAL and act_of(entry).deal in (deal, "")]


def placed(acts: Sequence[Entry]) -> list[Entry]:
    """Acts of one deal in order of their versions, each later than the one before. One whose version is not known stays behind those that
    come before it here; one that gets another time also gets a higher `Entry.version`, so that it takes its own place on the timeline.

    Of acts that all have versions the same come out in whatever order they were put in, and also if some were put in before.
    """
    ordered: list[tuple[tuple[int, str], Entry]] = []
    for entry in acts:
        place = (act_of(entry).version, entry.id)
        later = (n for n, (other, _) in enumerate(ordered) if place[0] and other > place)
        ordered.insert(next(later, len(ordered)), (place, entry))
    result: list[Entry] = []
    for _, entry in ordered:
        at = max(entry.at, result[-1].at + 1) if result else entry.at
        result.append(entry if at == entry.at else replace(entry, at=at, version=entry.version + 1))
    return result
