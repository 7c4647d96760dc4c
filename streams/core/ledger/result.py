"""What a run of the ledger says, as records: what is exported, shown, and compared with a later run.

Amounts are whole numbers of the currency's smallest unit (`money.text` writes them). Everything that can be summed is a `Figure`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

import msgspec
from msgspec import Struct

from streams.core.ledger.period import Period
from streams.core.ledger.policy import LedgerPolicy
from streams.core.ledger.types import NONE, Cell

VERSION = 1

TOUCHES, CONTACTS, CONFLICTS, REVENUE = "touches", "contacts", "conflicts", "revenue"
CREDIT, SPEND = "credit.", "spend."
"""Measures of figures: counts of touches, contacts and conflicts (by whose touch made them); closed
revenue, by the deal's owner; "credit.linear" and so on: revenue by whose
work it was, one a model; "spend.salary" and so on, one a kind of cost, and "spend.touch" for what single touches cost."""


class Figure(Struct, frozen=True, gc=False, array_like=True):
    """One number of one cell in one month. `currency` is empty for counts."""

    month: str
    measure: str
    currency: str
    department: str
    channel: str
    campaign: str
    rep: str
    value: int

    @property
    def cell(self) -> Cell:
        return Cell(self.department, self.channel, self.campaign, self.rep)


class LineTouch(Struct, frozen=True, gc=False, array_like=True):
    """A touch point of a won deal."""

    touch_id: str
    at: int
    department: str
    channel: str
    campaign: str
    rep: str
    identifier: str

    @property
    def cell(self) -> Cell:
        return Cell(self.department, self.channel, self.campaign, self.rep)


class Line(Struct, frozen=True, gc=False):
    """A deal won in the period: what the figures rest on. `identifiers` are the ids of its customer; `refund`: money paid back, which is no
    sale."""

    deal_id: str
    version: int
    closed_at: int
    month: str
    currency: str
    amount: int
    owner: str
    customer: str
    identifiers: tuple[str, ...]
    touches: tuple[LineTouch, ...]
    refund: bool = False

    @property
    def owner_cell(self) -> Cell:
        """Where the deal's revenue stands: with its owner, since no touch says whose work it was."""
        return Cell(NONE, NONE, NONE, self.owner)


class Spent(Struct, frozen=True, gc=False, array_like=True):
    """The part of one cost that falls on one month."""

    cost_id: str
    version: int
    month: str
    kind: str
    currency: str
    department: str
    channel: str
    campaign: str
    rep: str
    amount: int

    @property
    def cell(self) -> Cell:
        return Cell(self.department, self.channel, self.campaign, self.rep)


class Effect(Struct, frozen=True, gc=False, array_like=True):
    """A removal effect (`markov.SCALE` is 1): how many conversions would be lost without a department in a channel."""

    department: str
    channel: str
    effect: int


class FunnelStep(Struct, frozen=True, gc=False, array_like=True):
    """How many customers, by the department that contacted them first, came this far or further."""

    department: str
    step: str
    customers: int


class StageCount(Struct, frozen=True, gc=False, array_like=True):
    """Deals opened in the period by where they stand now and by the department of their first touch point."""

    department: str
    stage: str
    currency: str
    deals: int
    amount: int


class HandOffs(Struct, frozen=True, gc=False):
    """Hand-offs of one campaign that sales answered in one way, and what became of them. `revenue` is (currency, amount)."""

    campaign: str
    answer: str
    reason: str
    count: int
    touched: int
    opportunities: int
    won: int
    revenue: tuple[tuple[str, int], ...]


class Counts(Struct, frozen=True):
    """How much was read: touches and customers in all, of the whole input."""

    touches: int
    customers: int
    deals: int
    costs: int
    lead_events: int
    refused: int = 0


class Ledger(Struct, frozen=True):
    """The result of one run over one period. See the module."""

    period: Period
    policy: LedgerPolicy
    months: tuple[str, ...]
    figures: tuple[Figure, ...]
    lines: tuple[Line, ...]
    spent: tuple[Spent, ...]
    effects: tuple[Effect, ...]
    funnel: tuple[FunnelStep, ...]
    stages: tuple[StageCount, ...]
    handoffs: tuple[HandOffs, ...]
    reps: dict[str, str]
    counts: Counts
    version: int = VERSION

    @property
    def currencies(self) -> tuple[str, ...]:
        """Those that money was spent or made in, in order."""
        return tuple(sorted({figure.currency for figure in self.figures} - {""}))

    def total(self, measure: str, currency: str = "", keep: Callable[[Figure], bool] | None = None) -> int:
        """The sum of a measure; one that ends in "." stands for all that begin so. `keep` chooses among the figures."""
        return sum(figure.value for figure in self._of(measure, currency) if keep is None or keep(figure))

    def by(self, dimension: str, measure: str, currency: str = "") -> dict[str, int]:
        """The sums of a measure by a dimension of the cells, or by "month"; in order of the keys."""
        sums: defaultdict[str, int] = defaultdict(int)
        for figure in self._of(measure, currency):
            sums[getattr(figure, dimension)] += figure.value
        return dict(sorted(sums.items()))

    def _of(self, measure: str, currency: str) -> Iterable[Figure]:
        family = measure.endswith(".")
        return (
            figure
            for figure in self.figures
            if figure.currency == currency
            and (figure.measure.startswith(measure) if family else figure.measure == measure)
        )


class LedgerError(ValueError):
    """An exported ledger that cannot be read; the text says why."""


def encode(ledger: Ledger) -> bytes:
    """A ledger as JSON, one line."""
    return msgspec.json.encode(ledger) + b"\n"


def decode(data: bytes) -> Ledger:
    """Inverse of `encode`. Raises LedgerError."""
    try:
        ledger = msgspec.json.decode(data, type=Ledger)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise LedgerError(f"not a ledger that `touchstream report --json` wrote: {error}") from None
    if ledger.version != VERSION:
        raise LedgerError(f"a ledger of version {ledger.version}, this release reads version {VERSION}; make it anew")
    return ledger


def roi(income: int, spend: int) -> float | None:
    """(income - spend) / spend, for people; None when nothing was spent, or more came back of earlier costs than was spent.

    >>> roi(200_000_00, 20_000_00)
    9.0
    """
    return None if spend <= 0 else (income - spend) / spend
