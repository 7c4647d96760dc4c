"""Why figures changed: an earlier ledger beside a later one of the same period, each difference with the records that made it.

A late touch, two customers that turned out to be one, a deal or a cost that was corrected: all revise months that were reported
before. `compare` finds which figures changed, and to whom each owes how much.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from streams.core.ledger.attribution import State
from streams.core.ledger.credit import add_credit
from streams.core.ledger.journeys import is_before
from streams.core.ledger.policy import MODELS, LedgerPolicy
from streams.core.ledger.result import CREDIT, REVENUE, SPEND, Ledger, Line, LineTouch, Spent
from streams.core.ledger.types import DIMENSIONS, Cell

CauseKind = Literal[
    "deal_won", "deal_corrected", "deal_withdrawn", "late_touch", "touch_corrected", "touch_withdrawn", "customers_merged",
    "customers_split", "cost_new", "cost_corrected", "cost_withdrawn", "touch_costs", "policy", "model",
]  # fmt: skip

WORDS: dict[CauseKind, str] = {
    "deal_won": "deal won since",
    "deal_corrected": "deal corrected",
    "deal_withdrawn": "deal withdrawn, reopened or closed in another period",
    "late_touch": "touch came late",
    "touch_corrected": "touch corrected",
    "touch_withdrawn": "touch deleted, or not before the close any more",
    "customers_merged": "two customers turned out to be one",
    "customers_split": "one customer turned out to be two",
    "cost_new": "cost booked since",
    "cost_corrected": "cost corrected",
    "cost_withdrawn": "cost withdrawn",
    "touch_costs": "touches with a cost of their own came or went",
    "policy": "the ledger's policy changed",
    "model": "other journeys changed what the model has learned",
}
"""The causes as a sentence has them."""


class Cause(Struct, frozen=True, gc=False):
    """One reason: what happened, to which record ("deal opp-1", "cost ads-7"), by which touches, and what it made of the figure."""

    kind: CauseKind
    record: str
    touches: tuple[str, ...]
    delta: int


class Change(Struct, frozen=True):
    """One figure that differs. `measure` is "revenue", "spend" or "credit.<model>", `dimension` one of the cells or "all"."""

    month: str
    currency: str
    measure: str
    dimension: str
    key: str
    before: int
    after: int
    causes: tuple[Cause, ...]

    @property
    def delta(self) -> int:
        return self.after - self.before


Key = tuple[str, str, str]
"""Month, currency, measure."""

Deltas = dict[tuple[str, CauseKind, tuple[str, ...]], Counter[tuple[Key, Cell]]]
"""What each record, for one reason, makes of each cell."""


def compare(earlier: Ledger, later: Ledger) -> tuple[Change, ...]:
    """Every figure of money that differs, in order of month, currency, measure, dimension and key."""
    deltas: Deltas = {}
    _deals(earlier, later, deltas)
    _costs(earlier, later, deltas)
    before, after = _sums(earlier), _sums(later)
    causes: defaultdict[tuple[Key, str, str], list[Cause]] = defaultdict(list)
    for (record, kind, touches), cells in sorted(deltas.items()):
        for (where, dimension, key), delta in _rolled(cells).items():
            if delta:
                causes[where, dimension, key].append(Cause(kind, record, touches, delta))
    changed = [place for place in sorted(before.keys() | after.keys()) if before[place] != after[place]]
    return tuple(
        Change(
            *where, dimension, key, before[place], after[place], _complete(causes[place], after[place] - before[place])
        )
        for place in changed
        for where, dimension, key in (place,)
    )


def _complete(causes: list[Cause], delta: int) -> tuple[Cause, ...]:
    """The causes of a difference; what no deal and no cost explains, single touches have cost."""
    rest = delta - sum(cause.delta for cause in causes)
    return (*causes, Cause("touch_costs", "", (), rest)) if rest else tuple(causes)


def _sums(ledger: Ledger) -> Counter[tuple[Key, str, str]]:
    cells: Counter[tuple[Key, Cell]] = Counter()
    for figure in ledger.figures:
        if figure.currency:
            measure = SPEND.rstrip(".") if figure.measure.startswith(SPEND) else figure.measure
            cells[(figure.month, figure.currency, measure), figure.cell] += figure.value
    return _rolled(cells)


def _rolled(cells: Mapping[tuple[Key, Cell], int]) -> Counter[tuple[Key, str, str]]:
    """Cells summed up in every dimension. Revenue has only its owner, who stands in the cell's rep."""
    sums: Counter[tuple[Key, str, str]] = Counter()
    for (where, cell), value in cells.items():
        sums[where, "all", "all"] += value
        for dimension, key in zip(DIMENSIONS, cell, strict=True):
            if where[2] != REVENUE or dimension == "rep":
                sums[where, dimension, key] += value
    return sums


def _deals(earlier: Ledger, later: Ledger, deltas: Deltas) -> None:
    old, new = ({line.deal_id: line for line in ledger.lines} for ledger in (earlier, later))
    effects = tuple(
        {(one.department, one.channel): one.effect for one in ledger.effects} for ledger in (earlier, later)
    )
    for deal_id in old.keys() | new.keys():
        before, after = old.get(deal_id), new.get(deal_id)
        steps = [(before, earlier, effects[0]), (after, later, effects[1])]
        if before is not None and after is not None and _facts(before) != _facts(after):
            steps.insert(1, (_corrected(before, after, earlier.policy), earlier, effects[0]))
        for (was, under, by), (now, under_now, by_now) in pairwise(steps):
            cells = _money_of(now, under_now, by_now)
            cells.subtract(_money_of(was, under, by))
            if not any(cells.values()):
                continue
            kind, touches = _why(was, now)
            if kind is None:
                kind = "policy" if earlier.policy != later.policy else "model"
            record = "" if kind in ("policy", "model") else f"deal {deal_id}"
            deltas.setdefault((record, kind, touches), Counter()).update(cells)


def _facts(line: Line) -> tuple[object, ...]:
    return line.amount, line.currency, line.closed_at, line.owner


def _corrected(before: Line, after: Line, policy: LedgerPolicy) -> Line:
    """The deal as it is now, on the path that was known before: a touch that came or went since is told by itself. One that only the other
    day of closing brings into its look-back, or takes out, belongs to the correction."""
    kept = [touch for touch in before.touches if is_before(touch.at, after.closed_at, policy)]
    brought = [touch for touch in after.touches if not is_before(touch.at, before.closed_at, policy)]
    path = sorted(
        {touch.touch_id: touch for touch in (*brought, *kept)}.values(), key=lambda one: (one.at, one.touch_id)
    )
    return replace(after, touches=tuple(path), identifiers=before.identifiers)


def _money_of(line: Line | None, ledger: Ledger, effects: Mapping[State, int]) -> Counter[tuple[Key, Cell]]:
    cells: Counter[tuple[Key, Cell]] = Counter()
    if line is None:
        return cells
    for model in MODELS:
        of_model: Counter[Cell] = Counter()
        add_credit(of_model, line, model, ledger.policy, effects)
        for cell, value in of_model.items():
            cells[(line.month, line.currency, CREDIT + model), cell] += value
    cells[(line.month, line.currency, REVENUE), line.owner_cell] += line.amount
    return cells


def _why(before: Line | None, after: Line | None) -> tuple[CauseKind | None, tuple[str, ...]]:
    """The first of the reasons that two lines of one deal differ, and the touches that it is about. A correction comes by itself."""
    if before is None:
        return "deal_won", ()
    if after is None:
        return "deal_withdrawn", ()
    if _facts(before) != _facts(after):
        return "deal_corrected", ()
    old, new = ({touch.touch_id: touch for touch in line.touches} for line in (before, after))
    came, gone = sorted(new.keys() - old.keys()), sorted(old.keys() - new.keys())
    corrected = sorted(id_ for id_ in old.keys() & new.keys() if _content(old[id_]) != _content(new[id_]))
    if came:
        foreign = [id_ for id_ in came if new[id_].identifier not in before.identifiers]
        return ("customers_merged", tuple(came)) if foreign else ("late_touch", tuple(came))
    if gone:
        foreign = [id_ for id_ in gone if old[id_].identifier not in after.identifiers]
        return ("customers_split", tuple(gone)) if foreign else ("touch_withdrawn", tuple(gone))
    return ("touch_corrected", tuple(corrected)) if corrected else (None, ())


def _content(touch: LineTouch) -> tuple[int, Cell]:
    return touch.at, touch.cell


def _costs(earlier: Ledger, later: Ledger, deltas: Deltas) -> None:
    old, new = (_by_cost(ledger) for ledger in (earlier, later))
    for cost_id in old.keys() | new.keys():
        before, after = old.get(cost_id), new.get(cost_id)
        cells = Counter(dict(_spent(after or ())))
        cells.subtract(dict(_spent(before or ())))
        if any(cells.values()):
            kind: CauseKind = "cost_new" if before is None else "cost_withdrawn" if after is None else "cost_corrected"
            deltas[f"cost {cost_id}", kind, ()] = cells


def _by_cost(ledger: Ledger) -> dict[str, list[Spent]]:
    parts: defaultdict[str, list[Spent]] = defaultdict(list)
    for part in ledger.spent:
        parts[part.cost_id].append(part)
    return dict(parts)


def _spent(parts: list[Spent] | tuple[()]) -> Iterator[tuple[tuple[Key, Cell], int]]:
    for part in parts:
        yield ((part.month, part.currency, SPEND.rstrip(".")), part.cell), part.amount
