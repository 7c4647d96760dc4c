"""What the ledger's process makes of records and facts, without Kafka: `tests.ledger` has it with."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from streams.core.dead_letter import letter_key
from streams.core.ledger import facts, records
from streams.core.ledger.facts import ErasedFact, Fact, HomeFact
from streams.core.ledger.policy import LedgerPolicy
from streams.core.ledger.totals import Total
from streams.core.policy import Policy
from streams.edge import ledger_process
from streams.edge.codec import Codec
from streams.edge.ledger_input import Input
from streams.edge.ledger_metrics import LedgerMetrics
from streams.edge.ledger_process import LedgerProcess
from streams.edge.reader import Stored
from streams.edge.topics import DEALS, IDENTIFIED, LEDGER_FACTS
from streams.settings import Settings
from tests.core.ledger.test_facts import Counted
from tests.core.ledger.test_records import COST, line
from tests.support.samples import COMMAND, CONFLICT

SETTINGS = Settings(id_key="process")


def process(policy: Policy | None = None) -> LedgerProcess:
    """A process that has read nothing."""
    return LedgerProcess(SETTINGS, policy or Policy(), LedgerMetrics(CollectorRegistry()))


def recalled_of(monkeypatch: pytest.MonkeyPatch, known: list[Fact]) -> LedgerProcess:
    """A process that has recalled these facts from the ledger's own topic."""
    own = SETTINGS.topic(LEDGER_FACTS)

    async def read(_: Settings, topics: list[str], **__: object) -> AsyncIterator[Stored]:
        for offset, fact in enumerate(known if topics == [own] else ()):
            yield Stored(own, 0, offset, 1_783_500_000_000, fact.key, facts.encode(fact))

    monkeypatch.setattr(ledger_process, "read", read)
    one, codec = process(), Codec()
    asyncio.run(one._recall(Input(SETTINGS, Policy(), codec), codec))
    return one


def test_a_time_in_no_year_ends_nothing(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A conflict with its time in microseconds that an older release has taken is left out at the next start, which is said, and the
    figures are reckoned."""
    absurd = facts.of_conflict(replace(CONFLICT, event_time=CONFLICT.event_time * 1000))
    with caplog.at_level(logging.WARNING):
        recalled = recalled_of(monkeypatch, [absurd, facts.of_cost(records.cost(line(COST)))])
    assert "years 2000 to 9999" in caplog.text
    assert "2026-Q3" in {one.period for one in recalled._reckoned()}


def test_many_are_erased_in_one_walk() -> None:
    """Erasures that are read together, each with several identifiers, cost one walk through the touches, and each is written."""
    codec, one = Codec(), process()
    counted = one._facts.touches = Counted()
    read = [
        Stored(
            SETTINGS.topic(IDENTIFIED), 0, n, 1_783_500_000_000, b"key",
            codec.encode_command(replace(COMMAND, kind="customer_erased", customer_id=f"c2-{n}", identifiers=(f"c1-{n}", f"c3-{n}"))),
        )
        for n in range(200)
    ]  # fmt: skip
    news, _ = asyncio.run(one._learned(read, Input(SETTINGS, Policy(), codec), codec))
    assert counted.walks == 1
    assert len({record.key for record in news}) == len(news) == 600


def test_what_was_erased_is_recalled_in_one_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    """At a start each erasure of the ledger's own topic is known again, and what it takes is gone, wherever in the topic it stands."""
    owned = [HomeFact(f"c1-{n}", f"c1-{n}", 5) for n in range(3)]
    recalled = recalled_of(monkeypatch, [owned[0], ErasedFact("c1-0", 6), ErasedFact("c1-1", 6), *owned[1:]])
    assert set(recalled._facts.homes) == {"c1-2"} and set(recalled._facts.erased) == {"c1-0", "c1-1"}


def test_a_dead_letter_has_no_plain_key() -> None:
    """A record that its producer has keyed by a mail address is a dead letter under a keyed hash of it, as a worker's is."""
    key, codec, policy = b"dana@example.com", Codec(), Policy()
    broken = Stored(SETTINGS.topic(DEALS), 0, 7, 1_783_500_000_000, key, b"no deal")
    (letter,), _ = asyncio.run(process()._learned([broken], Input(SETTINGS, policy, codec), codec))
    assert letter.key == letter_key(key, SETTINGS.id_key) != key
    assert codec.decode_dead_letter(letter.value or b"").key == key, "a replay needs it"


def test_what_was_published_before_a_restart_is_taken_back() -> None:
    """A process that recalls spend of a quarter in which its facts have no cost any more publishes that it is nothing."""
    recalled = process()
    old = Total("2027-Q2", "EUR", "spend", "all", "all", "5000.00", 3)
    recalled._published[old.period][old.place[1:]] = old
    recalled._facts.take(facts.of_cost(records.cost(line(COST))))
    recalled._facts.span = facts.ALWAYS
    changed = {one.place: (one.value, one.revision, one.previous) for one in recalled._reckoned()}
    assert changed[old.place] == ("0.00", 4, "5000.00")
    assert changed["2026-Q3", "EUR", "spend", "all", "all"] == ("20000.00", 1, None)


def test_money_without_a_rate_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """A cost in a currency without a rate that an earlier process took, or that the policy had a rate for, is left out and logged once."""
    working = process(Policy(ledger=LedgerPolicy(currency="EUR")))
    pounds = records.cost(line(COST, cost_id="pounds", amount={"amount": 7, "currency": "GBP"}))
    for cost in (pounds, records.cost(line(COST))):
        working._facts.take(facts.of_cost(cost))
    with caplog.at_level(logging.WARNING):
        changed = {one.place: one.value for one in working._reckoned()}
        working._facts.span = facts.ALWAYS
        working._reckoned()
    assert changed["2026-Q3", "EUR", "spend", "all", "all"] == "20000.00"
    assert [one.getMessage() for one in caplog.records] == [
        "left out of the figures: cost pounds: no rate from GBP to EUR; add GBP to [ledger.rates] of the policy"
    ]
