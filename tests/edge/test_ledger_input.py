"""Which records of the sources the ledger takes, and how it says why it does not take one."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from streams.core.identify import nodes
from streams.core.ledger import facts, records
from streams.core.ledger.policy import LedgerPolicy
from streams.core.ledger.types import Cost, Deal
from streams.core.outcome import Rejected
from streams.core.policy import Policy
from streams.core.touch import Customer, Money
from streams.edge.codec import Codec
from streams.edge.ledger_input import Input
from streams.edge.reader import Stored
from streams.edge.topics import CONFLICTS, COSTS, DEALS, IDENTIFIED, LEADS, LEDGER_FACTS
from streams.settings import Settings
from tests.core.ledger.test_records import COST, DEAL, line
from tests.support import samples
from tests.support.samples import CONFLICT, LEAD_EVENT

SETTINGS = Settings(id_key="input")
CODEC = Codec()
PUBLISHED = 1_783_500_000_000


def stored(record: Deal | Cost) -> Stored:
    """The record in its topic."""
    if isinstance(record, Deal):
        return Stored(SETTINGS.topic(DEALS), 0, 7, PUBLISHED, b"key", CODEC.encode_deal(record))
    return Stored(SETTINGS.topic(COSTS), 0, 7, PUBLISHED, b"key", CODEC.encode_cost(record))


def refused(record: Deal | Cost, policy: Policy | None = None) -> str:
    """Why a record is refused; nothing if it is taken."""
    found = Input(SETTINGS, policy or Policy(), CODEC).facts(stored(record))
    if isinstance(found, Rejected):
        assert found.reason == "broken_record"
        return found.detail
    return ""


@pytest.mark.parametrize(
    ("record", "told"),
    [
        (records.deal(line(DEAL)), ""),
        (records.cost(line(COST)), ""),
        (records.deal(line(DEAL, closed_at="2062-08-25T12:00:00Z")), "closed_at: 2062-08-25 lies more than ten years ahead"),
        (records.cost(line(COST, first_day="2062-08-25", last_day="2062-08-26")), "first_day: 2062-08-25 lies more than"),
        (Cost("c", "sales", "tool", 20635, 2932896, Money("1", "EUR")), "last_day: 9999-12-31 lies more than ten years ahead"),
    ],
)  # fmt: skip
def test_days_far_ahead_are_refused(record: Any, told: str) -> None:
    """A deal or cost with a day more than ten years behind the moment at which it was published becomes a dead letter that says so."""
    assert refused(record).startswith(told) and bool(refused(record)) == bool(told)


def test_a_currency_without_a_rate_is_taken() -> None:
    """Where the policy converts, a deal or cost in a currency that has no rate is taken: it counts once a policy with the rate is there."""
    policy = Policy(ledger=LedgerPolicy(currency="EUR", rates={"USD": 0.9}))
    for parse, record in ((records.deal, DEAL), (records.cost, COST)):
        assert refused(parse(line(record, amount={"amount": 5, "currency": "GBP"})), policy) == ""


@pytest.mark.parametrize("at", [0, PUBLISHED * 1000], ids=["1970", "us"])
def test_times_in_no_year_are_refused(at: int) -> None:
    """A conflict or a lead's event whose time lies outside the years 2000 to 9999, as microseconds do, becomes a dead letter that says so;
    one that an older release has taken into the ledger's own topic is refused there, too. Of usual times both are taken."""

    def read(topic: str, value: bytes) -> Any:
        found = Input(SETTINGS, Policy(), CODEC).facts(Stored(SETTINGS.topic(topic), 0, 7, PUBLISHED, b"key", value))
        return f"{found.reason}: {found.detail}" if isinstance(found, Rejected) else len(found)

    conflict, lead = replace(CONFLICT, event_time=at), replace(LEAD_EVENT, at=at)
    told = "lies outside the years 2000 to 9999; it is UTC milliseconds"
    assert read(CONFLICTS, CODEC.encode_finding(conflict)) == f"broken_record: event_time: {told}"
    assert read(LEADS, CODEC.encode_lead_event(lead)) == f"broken_record: at: {told}"
    assert read(LEDGER_FACTS, facts.encode(facts.of_conflict(conflict))) == f"broken_record: event_time: {told}"
    assert read(LEDGER_FACTS, facts.encode(facts.of_lead(lead))) == f"broken_record: at: {told}"
    assert read(CONFLICTS, CODEC.encode_finding(CONFLICT)) == read(LEADS, CODEC.encode_lead_event(LEAD_EVENT)) == 1
    assert read(LEDGER_FACTS, facts.encode(facts.of_conflict(CONFLICT))) == 1


def test_a_touch_tells_of_all_its_identifiers() -> None:
    """Of a touch with a CRM id, a mail address and an office's address in its place, the ledger learns what stands beside the CRM id, if
    it is a person's."""
    found = {}
    for mail in ("dana@example.com", "info@example.com"):
        touch = replace(samples.IDENTIFIED.touch, customer=Customer(crm_id="7", email=mail))
        crm, *others = nodes(touch.customer, SETTINGS.id_key, SETTINGS.default_region)
        value = CODEC.encode_identified(replace(samples.IDENTIFIED, touch=touch, identifier=crm))
        told = Input(SETTINGS, Policy(), CODEC).facts(
            Stored(SETTINGS.topic(IDENTIFIED), 0, 7, PUBLISHED, crm.encode(), value)
        )
        assert not isinstance(told, Rejected)
        found[mail] = [(one.identifier, one.by) for one in told if isinstance(one, facts.ShownFact)]
        assert found[mail] == [(other, crm) for other in others]
    assert list(map(len, found.values())) == [1, 0]
