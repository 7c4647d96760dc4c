"""Deals, costs and lead events as lines: what is read, and how a mistake is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streams.core.ledger import records
from streams.core.ledger.records import RecordError
from streams.core.ledger.types import Cost, Deal, LeadEvent
from streams.core.touch import Customer, Money

DEAL: dict[str, Any] = {
    "deal_id": "opp-1", "customer": {"email": "dana@example.com"}, "stage": "won", "opened_at": "2026-07-08T08:40:00Z",
    "closed_at": "2026-08-25T14:00:00+02:00", "amount": {"amount": 200000, "currency": "EUR"}, "owner": "jokafor", "version": 2,
}  # fmt: skip
COST: dict[str, Any] = {
    "cost_id": "ads-7", "department": "marketing", "kind": "ad_spend", "channel": "ads", "campaign": "summer",
    "first_day": "2026-07-01", "last_day": "2026-07-31", "amount": {"amount": "20000.00", "currency": "EUR"},
}  # fmt: skip
LEAD: dict[str, Any] = {
    "customer": {"crm_id": "003-1"},
    "at": "2026-07-09T10:00:00Z",
    "state": "rejected",
    "reason": "not_icp",
}


def line(record: dict[str, Any], **changes: Any) -> bytes:
    """The record as a line, with some fields changed, or left out when they are None."""
    return json.dumps({name: value for name, value in {**record, **changes}.items() if value is not None}).encode()


def test_records_are_read() -> None:
    """A deal, a cost and a lead event as in the module's text; a byte order mark does no harm."""
    amount = Money("200000", "EUR")
    dana = Customer(email="dana@example.com")
    assert records.deal(b"\xef\xbb\xbf" + line(DEAL)) == Deal(
        "opp-1", dana, "won", 1783500000000, 1787659200000, amount, "jokafor", 2
    )
    assert records.cost(line(COST)) == Cost(
        "ads-7", "marketing", "ad_spend", 20635, 20665, Money("20000.00", "EUR"), "ads", "summer"
    )
    assert records.lead_event(line(LEAD)) == LeadEvent(Customer(crm_id="003-1"), 1783591200000, "rejected", "not_icp")


@pytest.mark.parametrize(
    ("parse", "data", "told"),
    [
        (records.deal, b"{", "not JSON: "),
        (records.deal, b"\xff", "not JSON: "),
        (records.deal, b"[]", "not a deal: Expected `object`, got `array`"),
        (records.deal, line(DEAL, stage="signed"), "stage: Invalid enum value 'signed'"),
        (records.deal, line(DEAL, price=1), "not a deal: Object contains unknown field `price`"),
        (records.deal, line(DEAL, customer={"name": "Dana"}), "customer: needs at least one of email, phone"),
        (records.deal, line(DEAL, customer={"mail": "d@e.com"}), "customer: Object contains unknown field `mail`"),
        (records.deal, line(DEAL, closed_at=None), "closed_at: missing, but a deal that is won was closed at some time"),
        (records.deal, line(DEAL, stage="open"), "closed_at: a deal in the stage open is not closed"),
        (records.deal, line(DEAL, amount=None), "amount: missing, but a deal that is won has one"),
        (records.deal, line(DEAL, closed_at="2026-08-25"), "closed_at: "),
        (records.deal, line(DEAL, opened_at="1970-01-01T00:00:00Z"), "opened_at: lies before the year 2000"),
        (records.deal, line(DEAL, amount={"amount": "1.005", "currency": "EUR"}), "amount.amount: 1.005 EUR is finer than"),
        (records.deal, line(DEAL, amount={"amount": "1e999999999", "currency": "EUR"}), "amount.amount: expected a decimal"),
        (records.deal, line(DEAL, amount={"amount": "NaN", "currency": "EUR"}), "amount.amount: expected a decimal"),
        (records.deal, line(DEAL, amount={"amount": 1, "currency": "euro"}), "amount.currency: Expected `str` matching"),
        (records.deal, line(DEAL, version=0), "version: Expected `int` >= 1"),
        (records.cost, line(COST, last_day="2026-06-30"), "last_day: 2026-06-30 lies before first_day, 2026-07-01"),
        (records.cost, line(COST, last_day="9999-12-31"), "last_day: 9999-12-31 lies more than ten years behind first_day, 2026-07-01"),
        (records.cost, line(COST, channel="fax"), "channel: Invalid enum value 'fax'"),
        (records.cost, line(COST, first_day="2026-02-30"), "first_day: Invalid"),
        (records.lead_event, line(LEAD, state="sold"), "state: Invalid enum value 'sold'"),
        (records.lead_event, line(LEAD, reason="lazy"), "reason: Invalid enum value 'lazy'"),
        (records.lead_event, b'{"customer": ' + b"[" * 100_000, "customer: Expected"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_field(parse: Any, data: bytes, told: str) -> None:
    """Whatever is wrong with a line is a RecordError that names the field and what is allowed."""
    with pytest.raises(RecordError) as caught:
        parse(data)
    assert str(caught.value).startswith(told)


def test_what_lies_ten_years_ahead_is_a_default() -> None:
    """A deal or cost with a day more than ten years ahead of its publication is refused with its field; one whose publication has no
    time is not, nor what was published later, nor what is withdrawn."""
    published = 1783500000000
    deal, cost = (
        records.deal(line(DEAL, closed_at="2062-08-25T12:00:00Z")),
        records.cost(line(COST, first_day="2062-07-01", last_day="2062-07-31")),
    )
    with pytest.raises(
        RecordError, match=r"^closed_at: 2062-08-25 lies more than ten years ahead of the record's publication"
    ):
        records.check_deal(deal, published)
    with pytest.raises(RecordError, match=r"^first_day: 2062-07-01 lies more than ten years ahead"):
        records.check_cost(cost, published)
    for known in (None, -1, published + 30 * 366 * 86_400_000):
        records.check_deal(deal, known)
        records.check_cost(cost, known)
    records.check_cost(records.cost(line(COST, last_day="9999-12-31", deleted=True)), published)
