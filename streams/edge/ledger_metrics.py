"""What `touchstream ledger` serves at /metrics: the figures of the newest quarters by department, and how the process is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal

from prometheus_client import CollectorRegistry, Gauge

from streams.core.ledger.policy import LedgerPolicy
from streams.core.ledger.result import CREDIT, REVENUE
from streams.core.ledger.totals import Total
from streams.edge.metrics import MetricSpec

QUARTERS = 4
"""The newest quarters that are shown: their number bounds the series."""

CATALOGUE: tuple[MetricSpec, ...] = (
    MetricSpec(
        "touchstream_ledger_roi_ratio", "gauge", ("period", "currency", "department"),
        "Return on investment by department: what it brought in by the policy's model, less what it cost, a unit of cost.",
        "Negative for a quarter that is over: `touchstream report` shows by which channel and campaign.",
    ),
    MetricSpec(
        "touchstream_ledger_credit", "gauge", ("period", "currency", "department", "model"),
        "Closed revenue by whose work it was, by attribution model.",
        "Models far apart: the journeys are long; read the report before budgets are moved.",
    ),
    MetricSpec(
        "touchstream_ledger_spend", "gauge", ("period", "currency", "department"),
        "What each department cost.",
        "A month without cost: the books are late; `touchstream costs` brings them.",
    ),
    MetricSpec(
        "touchstream_ledger_revenue", "gauge", ("period", "currency"),
        "Closed revenue.",
        "Differs from the CRM's: look for refused deals with `touchstream dead-letter list`.",
    ),
    MetricSpec(
        "touchstream_ledger_contacts", "gauge", ("period", "department"),
        "Contacts with customers, each call once, by department.",
        "A fall to nothing: a source has stopped; see touchstream_touches_total.",
    ),
    MetricSpec(
        "touchstream_ledger_lag_records", "gauge", (),
        "Records that the ledger has not read yet, all its topics together.",
        "Steady growth: the process is stuck or too slow; read its log.",
    ),
    MetricSpec(
        "touchstream_ledger_refresh_seconds", "gauge", (),
        "Time that the last reckoning of changed periods took.",
        "Above a minute: give the process a faster core; figures are that much older.",
    ),
    MetricSpec(
        "touchstream_ledger_facts", "gauge", ("kind",),
        "Touches, customers' identifiers, deals and costs that the ledger knows.",
        "Plan memory by the touches: some 600 bytes each.",
    ),
)  # fmt: skip


class LedgerMetrics:
    """One instance a process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        gauges = {
            spec.name.removeprefix("touchstream_ledger_"): Gauge(
                spec.name, spec.meaning, spec.labels, registry=registry
            )
            for spec in CATALOGUE
        }
        self.roi, self.credit, self.spend = gauges["roi_ratio"], gauges["credit"], gauges["spend"]
        self.revenue, self.contacts = gauges["revenue"], gauges["contacts"]
        self.lag, self.refresh_seconds, self.facts = gauges["lag_records"], gauges["refresh_seconds"], gauges["facts"]

    def show(self, totals: Iterable[Total], policy: LedgerPolicy) -> None:
        """The figures of the newest quarters."""
        mine = [one for one in totals if "-Q" in one.period]
        shown = set(sorted({one.period for one in mine})[-QUARTERS:])
        for gauge in (self.roi, self.credit, self.spend, self.revenue, self.contacts):
            gauge.clear()
        spend: defaultdict[tuple[str, str, str], Decimal] = defaultdict(Decimal)
        income: defaultdict[tuple[str, str, str], Decimal] = defaultdict(Decimal)
        for one in mine:
            if one.period not in shown:
                continue
            value, place = Decimal(one.value), (one.period, one.currency, one.key)
            if one.measure == REVENUE and one.dimension == "all":
                self.revenue.labels(one.period, one.currency).set(float(value))
            elif one.dimension != "department":
                continue
            elif one.measure.startswith(CREDIT):
                self.credit.labels(*place, one.measure.removeprefix(CREDIT)).set(float(value))
                if one.measure == CREDIT + policy.model:
                    income[place] = value
            elif one.measure == "spend":
                self.spend.labels(*place).set(float(value))
                spend[place] = value
            elif one.measure == "contacts":
                self.contacts.labels(one.period, one.key).set(float(value))
        for place, cost in spend.items():
            if cost:
                self.roi.labels(*place).set(float((income[place] - cost) / cost))
