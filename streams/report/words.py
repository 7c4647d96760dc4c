"""How the report writes things: money, months, and the names that stand in the ledger."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal

from msgspec import Struct

from streams.core.ledger import money
from streams.core.ledger.result import Ledger
from streams.core.ledger.types import NONE, UNATTRIBUTED

_NAMES = {
    "marketing": "Marketing", "sales": "Sales", "service": "Service", UNATTRIBUTED: "No touch", NONE: "Not assigned",
    "email": "Email", "ads": "Ads", "linkedin": "LinkedIn", "calls": "Calls",
    "first": "First touch", "last": "Last touch", "linear": "Linear", "time_decay": "Time decay", "position": "Position-based",
    "shapley": "Shapley", "markov": "Markov",
    "accepted": "Accepted", "rejected": "Rejected", "recycled": "Given back for later", "disqualified": "Disqualified",
    "no_answer": "No answer",
    "contacted": "Contacted", "responded": "Reacted", "handed_off": "Handed to sales", "opportunity": "Opportunity", "won": "Won",
    "lost": "Lost", "open": "Open", "qualification": "Qualification", "proposal": "Proposal", "negotiation": "Negotiation",
    "not_icp": "Not our kind of customer", "no_authority": "No authority", "no_budget": "No budget", "no_need": "No need",
    "bad_timing": "Bad timing", "bad_data": "Wrong data", "duplicate": "Duplicate", "unresponsive": "Does not answer",
    "competitor": "Competitor", "student_or_vendor": "Student or vendor", "existing_customer": "Customer already",
    "in_open_opportunity": "In an open deal", "wrong_territory": "Wrong territory", "opted_out": "Opted out",
    "ad_spend": "Ads", "salary": "Salaries", "tool": "Tools", "other": "Other", "touch": "Single touches",
    "revenue": "Closed revenue", "spend": "Spent", "all": "In all",
}  # fmt: skip
_ORDER = ("marketing", "sales", "service", UNATTRIBUTED)
ANSWERS = ("accepted", "rejected", "recycled", "disqualified", "no_answer")


def of(key: str) -> str:
    """A name of the ledger as people read it; what the company named itself stays as it is."""
    return _NAMES.get(key, key)


def first_contact(department: str) -> str:
    """The department of a customer's first contact, as people read it; some react before anybody has contacted them."""
    return "Came unasked" if department == UNATTRIBUTED else of(department)


def departments(keys: Iterable[str]) -> list[str]:
    """Departments in the order of the customer's way; what no touch led to comes last."""
    return sorted(keys, key=lambda key: (_ORDER.index(key) if key in _ORDER else len(_ORDER), key))


def _signed(number: str) -> str:
    """With a minus sign in place of the hyphen."""
    return number.replace("-", "−")


def amount(value: int, currency: str) -> str:
    """Money in full: "200,000.00"."""
    return _signed(f"{Decimal(value).scaleb(-money.decimals(currency)):,f}")


def short_money(value: int, currency: str) -> str:
    """Money for a plot: "200 k", "1.25 M"; below a thousand whole units."""
    units = value / 10 ** money.decimals(currency)
    for size, letter in ((1e9, "bn"), (1e6, "M"), (1e3, "k")):
        if abs(units) >= size:
            return _signed(f"{units / size:.3g} {letter}")
    return _signed(f"{units:.0f}")


def ratio(value: float | None) -> str:
    """A return on investment: "900 %"; a dash when nothing was spent. What cost next to nothing has no return worth a number."""
    if value is None:
        return "–"
    # Nothing and a little less than nothing are written alike.
    return _signed(f"{round(100 * value):,} %") if value <= 1000 else "over 100,000 %"


def percent(part: int, whole: int) -> str:
    """A share: "62 %"; a dash of nothing."""
    return f"{100 * part / whole:.0f} %" if whole else "–"


def month(label: str) -> str:
    """A month's label: "Jul 2026"."""
    return dt.date.fromisoformat(f"{label}-01").strftime("%b %Y")


class Answer(Struct):
    """All hand-offs that sales answered in one way. `revenue` by currency."""

    answer: str
    count: int
    touched: int
    opportunities: int
    won: int
    revenue: dict[str, int]


def by_answer(ledger: Ledger) -> list[Answer]:
    """Hand-offs by answer, over all campaigns and reasons, in the order of `ANSWERS`."""
    rows = {answer: Answer(answer, 0, 0, 0, 0, defaultdict(int)) for answer in ANSWERS}
    for one in ledger.handoffs:
        row = rows[one.answer]
        row.count += one.count
        row.touched += one.touched
        row.opportunities += one.opportunities
        row.won += one.won
        for currency, value in one.revenue:
            row.revenue[currency] += value
    return [row for row in rows.values() if row.count]
