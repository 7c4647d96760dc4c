"""Money in currencies that the policy has no rate for."""

from __future__ import annotations

from msgspec.structs import replace

from streams.core.ledger import period as periods
from streams.core.ledger import records
from streams.core.ledger.figures import compute
from streams.core.ledger.policy import LedgerPolicy
from streams.core.ledger.spend import with_rates
from streams.core.touch import Money
from tests.core.ledger.test_facts import TOUCHES
from tests.core.ledger.test_records import COST, DEAL, line
from tests.ledger import books

POLICY = LedgerPolicy(currency="EUR", rates={"USD": 0.9})


def test_what_has_no_rate_is_left_out_and_named() -> None:
    """Deals, costs and costs of touches without a rate are left out of the figures, which stand for the rest, and told with their
    number; touches stay. Where nothing is converted nothing is left out."""
    pounds = {"amount": 7, "currency": "GBP"}
    touches = [replace(TOUCHES[n], cost=Money("2", currency)) for n, currency in enumerate(("EUR", "GBP", "GBP"))]
    resolved = books.resolved(
        touches,
        [records.deal(line(DEAL)), records.deal(line(DEAL, deal_id="pounds", amount=pounds))],
        [records.cost(line(COST)), records.cost(line(COST, cost_id="pounds", amount=pounds))],
    )
    kept, left = with_rates(resolved, POLICY)
    why = "no rate from GBP to EUR; add GBP to [ledger.rates] of the policy"
    assert left == {f"deal pounds: {why}": 1, f"cost pounds: {why}": 1, f"what touches cost in GBP: {why}": 2}
    figures = compute(kept, periods.parse("2026"), POLICY).figures
    assert sum(one.value for one in figures if one.measure == "revenue") == 20_000_000
    assert sum(one.value for one in figures if one.measure.startswith("spend.")) == 2_000_200
    assert sum(one.value for one in figures if one.measure == "touches") == 3
    assert with_rates(resolved, LedgerPolicy()) == (resolved, {})
