"""Ledgers for tests: from records, or from JSON as people write it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from streams.core import touch_json
from streams.core.ledger import period as periods
from streams.core.ledger import records
from streams.core.ledger.book import Book, Resolved
from streams.core.ledger.figures import compute
from streams.core.ledger.policy import LedgerPolicy
from streams.core.ledger.result import Ledger
from streams.core.ledger.types import Cost, Deal, LeadEvent
from streams.core.policy import IdentityPolicy
from streams.core.touch import Touch

ID_KEY, REGION = "ledger", "US"


def resolved(
    touches: Iterable[Touch] = (),
    deals: Iterable[Deal] = (),
    costs: Iterable[Cost] = (),
    leads: Iterable[LeadEvent] = (),
) -> Resolved:
    """The records in a book of their own."""
    book = Book(IdentityPolicy(), ID_KEY, REGION)
    for touch in touches:
        book.add_touch(touch)
    for deal in deals:
        book.add_deal(deal)
    for cost in costs:
        book.add_cost(cost)
    for lead in leads:
        book.add_lead(lead)
    return book.resolve()


def ledger(
    touches: Iterable[Touch] = (),
    deals: Iterable[Deal] = (),
    costs: Iterable[Cost] = (),
    leads: Iterable[LeadEvent] = (),
    period: str = "2026-Q3",
    policy: LedgerPolicy | None = None,
) -> Ledger:
    """The ledger of these records."""
    return compute(resolved(touches, deals, costs, leads), periods.parse(period), policy or LedgerPolicy())


def of_json(parts: dict[str, Any], period: str, policy: LedgerPolicy) -> Ledger:
    """The ledger of records as people write them, by "touches", "deals", "costs", "leads"."""

    def lines(name: str) -> list[bytes]:
        return [json.dumps(record).encode() for record in parts.get(name, ())]

    return ledger(
        map(touch_json.parse, lines("touches")), map(records.deal, lines("deals")), map(records.cost, lines("costs")),
        map(records.lead_event, lines("leads")), period, policy,
    )  # fmt: skip
