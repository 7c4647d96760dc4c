"""Which quarters the ledger serves at /metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest

from streams.core.ledger.lead_figures import LeadFigures
from streams.core.ledger.policy import LedgerPolicy
from streams.core.ledger.result import FunnelStep
from streams.core.ledger.totals import Total
from streams.edge.ledger_metrics import LedgerMetrics

NOW = 1_787_659_200_000  # 2026-08-25
QUARTERS = ["2025-Q3", "2025-Q4", "2026-Q1", "2026-Q2", "2026-Q3", "2026-Q4", "2027-Q1", "2027-Q2"]


def test_the_present_quarter_is_the_newest_one() -> None:
    """With costs and deals in quarters to come, the present quarter and the three before it are served, for spend, revenue, funnels
    and hand-offs, and none to come; once the next one has begun it is the newest."""
    metrics = LedgerMetrics(CollectorRegistry())
    totals = [
        Total(period, "EUR", measure, dimension, key, "100.00", 1)
        for period in QUARTERS
        for measure, dimension, key in (("spend", "department", "marketing"), ("revenue", "all", "all"))
    ]
    leads = LeadFigures()
    for period in QUARTERS:
        leads.assigned[period, "iberia", 9] = 1
        leads.answers[period, "iberia", "accepted"] = 1
    names = ("spend", "revenue", "funnel_customers", "sla_breach_ratio", "handoffs")
    for now, shown in ((NOW, QUARTERS[1:5]), (NOW + 92 * 86_400_000, QUARTERS[2:6])):
        metrics.show(totals, LedgerPolicy(), now)
        metrics.show_funnels({period: [FunnelStep("sales", "won", 1)] for period in QUARTERS}, now)
        metrics.show_leads(leads, now)
        lines = generate_latest(metrics.registry).decode().splitlines()
        for name in names:
            served = [line for line in lines if line.startswith(f"touchstream_ledger_{name}{{")]
            assert [period for period in QUARTERS if any(period in line for line in served)] == shown, name


def test_no_return_on_what_came_back() -> None:
    """A department whose costs of a quarter are nothing, or less by a credit note, has no return on investment there."""
    metrics = LedgerMetrics(CollectorRegistry())
    spent = {"marketing": "100.00", "sales": "-5.00", "service": "0.00"}
    metrics.show(
        [Total("2026-Q3", "EUR", "spend", "department", key, value, 1) for key, value in spent.items()]
        + [Total("2026-Q3", "EUR", "credit.position", "department", key, "50.00", 1) for key in spent],
        LedgerPolicy(), NOW,
    )  # fmt: skip
    served = [line for line in generate_latest(metrics.registry).decode().splitlines() if "_roi_ratio{" in line]
    assert served == ['touchstream_ledger_roi_ratio{currency="EUR",department="marketing",period="2026-Q3"} -0.5']
