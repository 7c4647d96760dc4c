"""The ledger's figures as a stream publishes them: one record a period, currency, measure, dimension and key; revisions name what changed.

Periods are months and quarters. A quarter is not always the sum of its months: the Markov model learns from all journeys of a period.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from streams.core.ledger import money
from streams.core.ledger import period as periods
from streams.core.ledger.book import Resolved
from streams.core.ledger.period import Period
from streams.core.ledger.result import REVENUE, SPEND, Ledger
from streams.core.ledger.trace import Cause, compare
from streams.core.ledger.types import DAY_MS, DIMENSIONS, LONGEST_DAYS

MOST_CAUSES = 10
"""Causes that one record names, and touches that one cause names."""


class TotalCause(Struct, frozen=True, gc=False):
    """What changed a figure, as `streams.core.ledger.trace.Cause`; `value` is what it made of it."""

    kind: str
    record: str
    touches: tuple[str, ...]
    value: str


class Total(Struct, frozen=True, gc=False):
    """One figure of the ledger, as in `schemas/ledger_total`. `value` is decimal text; `more` counts causes that are left out."""

    period: str
    currency: str
    measure: str
    dimension: str
    key: str
    value: str
    revision: int
    previous: str | None = None
    causes: tuple[TotalCause, ...] = ()
    more: int = 0

    @property
    def place(self) -> tuple[str, str, str, str, str]:
        """Which figure this is."""
        return (self.period, self.currency, self.measure, self.dimension, self.key)


Figure = tuple[str, str, str, str]
"""Currency, measure, dimension, key."""


def sums(ledger: Ledger) -> Counter[Figure]:
    """The ledger's figures summed over its months, in each dimension and in all. Revenue has only its owner, who stands in the rep."""
    found: Counter[Figure] = Counter()
    for figure in ledger.figures:
        measure = SPEND.rstrip(".") if figure.measure.startswith(SPEND) else figure.measure
        found[figure.currency, measure, "all", "all"] += figure.value
        for dimension, key in zip(DIMENSIONS, figure.cell, strict=True):
            if measure != REVENUE or dimension == "rep":
                found[figure.currency, measure, dimension, key] += figure.value
    return found


def revised(published: Mapping[Figure, Total], ledger: Ledger, earlier: Ledger | None) -> Iterator[Total]:
    """What is to be published of a period, given what was. `earlier` is the ledger that was published then, if it is still known."""
    now = sums(ledger)
    changed: list[tuple[Figure, str]] = []
    for figure in sorted(now.keys() | published.keys()):
        value = _text(now[figure], figure[0])
        known = published.get(figure)
        if value != known.value if known is not None else now[figure]:
            changed.append((figure, value))
    if not changed:
        return
    causes = _causes(earlier, ledger) if earlier is not None else {}
    for figure, value in changed:
        known, why = published.get(figure), causes.get(figure, [])
        yield Total(
            ledger.period.label,
            *figure,
            value,
            1 if known is None else known.revision + 1,
            None if known is None else known.value,
            tuple(
                TotalCause(cause.kind, cause.record, cause.touches[:MOST_CAUSES], _text(cause.delta, figure[0]))
                for cause in why[:MOST_CAUSES]
            ),
            max(0, len(why) - MOST_CAUSES),
        )


def affected(
    span: tuple[int, int], resolved: Resolved, lookback_days: float, standing: Iterable[str] = ()
) -> list[Period]:
    """Months and quarters whose figures may differ after what changed in a span of time (UTC ms): of those that hold a record, and of
    `standing`, the labels of periods with published figures, which may hold none any more."""
    start, end = span[0], span[1] + int(lookback_days * DAY_MS)
    firsts = {periods.date_of(day).replace(day=1) for day in _days(resolved)}
    months = [f"{first:%Y-%m}" for first in sorted(firsts)]
    quarters = [periods.quarter_of(periods.day_number(first) * DAY_MS) for first in sorted(firsts)]
    found = [periods.parse(label) for label in dict.fromkeys([*months, *quarters, *sorted(standing)])]
    return [period for period in found if period.start_ms <= end and start < period.end_ms]


def standing(published: Mapping[str, Mapping[Figure, Total]]) -> list[str]:
    """The periods of which a figure other than nothing is published."""
    return [label for label, figures in published.items() if any(float(one.value) for one in figures.values())]


def _days(resolved: Resolved) -> set[int]:
    """Days with a record; of a cost one in each month, for as long as a cost may last: an older release took longer ones, too."""
    found = {touch.at // DAY_MS for of_one in resolved.touches.values() for touch in of_one}
    found.update(
        at // DAY_MS for deal, _ in resolved.deals for at in (deal.opened_at, deal.closed_at) if at is not None
    )
    found.update(at // DAY_MS for at, _ in resolved.conflicts)
    for first, last in {(cost.first_day, cost.last_day) for cost in resolved.costs}:
        found.update(month.first for month in periods.months(Period("", first, min(last, first + LONGEST_DAYS))))
    return found


def _causes(earlier: Ledger, later: Ledger) -> dict[Figure, list[Cause]]:
    found: defaultdict[Figure, list[Cause]] = defaultdict(list)
    for change in compare(earlier, later):
        found[change.currency, change.measure, change.dimension, change.key] += change.causes
    return found


def _text(value: int, currency: str) -> str:
    return money.text(value, currency) if currency else str(value)
