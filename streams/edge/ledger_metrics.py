"""What `touchstream ledger` serves at /metrics: the figures of the newest quarters by department, and how the process is."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal

from prometheus_client import CollectorRegistry, Gauge

from streams.core.ledger.lead_figures import PROBLEMS, LeadFigures, Open, percentile
from streams.core.ledger.period import quarter_of
from streams.core.ledger.policy import LedgerPolicy
from streams.core.ledger.result import CONFLICTS, CREDIT, REVENUE, FunnelStep
from streams.core.ledger.totals import Total
from streams.edge.ledger_catalogue import CATALOGUE

QUARTERS = 4
"""The newest quarters that are shown, up to the present one: their number bounds the series. A contract's costs and a deal's day may
lie in quarters to come."""

QUANTILES = (0.5, 0.9)


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
        self.funnel, self.conflicts = gauges["funnel_customers"], gauges["conflicts_per_1000_contacts"]
        self.handoffs, self.acceptance = gauges["handoffs"], gauges["acceptance_ratio"]
        self.recycled, self.breaches = gauges["recycle_ratio"], gauges["sla_breach_ratio"]
        self.speed, self.stays = gauges["speed_to_lead_seconds"], gauges["state_seconds"]
        self.contradicted, self.open, self.current = (
            gauges["contradicted_handoffs"],
            gauges["open_handoffs"],
            gauges["current_timestamp_seconds"],
        )
        self.lag, self.refresh_seconds, self.facts = gauges["lag_records"], gauges["refresh_seconds"], gauges["facts"]

        self._open_places: set[tuple[str, str]] = set()

    def show(self, totals: Iterable[Total], policy: LedgerPolicy, now: int) -> None:
        """The figures of the newest quarters at a moment (UTC ms)."""
        mine = [one for one in totals if "-Q" in one.period]
        shown = _newest((one.period for one in mine), now)
        for gauge in (self.roi, self.credit, self.spend, self.revenue, self.contacts, self.conflicts):
            gauge.clear()
        conflicts: Counter[tuple[str, str]] = Counter()
        contacts: Counter[tuple[str, str]] = Counter()
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
                contacts[one.period, one.key] = int(value)
            elif one.measure == CONFLICTS:
                conflicts[one.period, one.key] = int(value)
        for place, cost in spend.items():
            if cost > 0:
                self.roi.labels(*place).set(float((income[place] - cost) / cost))
        for where, count in contacts.items():
            if count:
                self.conflicts.labels(*where).set(1000 * conflicts[where] / count)

    def show_funnels(self, funnels: Mapping[str, Iterable[FunnelStep]], now: int) -> None:
        """How far customers came, by quarter, up to that of a moment (UTC ms)."""
        self.funnel.clear()
        for period in _newest(funnels, now):
            for step in funnels[period]:
                self.funnel.labels(period, step.department, step.step).set(step.customers)

    def show_leads(self, figures: LeadFigures, now: int) -> None:
        """How hand-offs go, in the newest quarters at a moment (UTC ms)."""
        for gauge in (
            self.handoffs,
            self.acceptance,
            self.recycled,
            self.breaches,
            self.speed,
            self.stays,
            self.contradicted,
        ):
            gauge.clear()
        shown = _newest(
            [one[0] for one in figures.assigned]
            + [one[0] for one in figures.stays]
            + [one[0] for one in figures.speeds],
            now,
        )
        made: Counter[tuple[str, str]] = Counter()
        for (period, team, answer), count in figures.answers.items():
            if period in shown:
                self.handoffs.labels(period, team, answer).set(count)
                made[period, team] += count
        for (period, team), count in made.items():
            self.acceptance.labels(period, team).set(figures.answers[period, team, "accepted"] / count)
            self.contradicted.labels(period, team).set(figures.contradicted[period, team])
        for (period, reason), count in figures.reasons.items():
            if period in shown:
                whole = sum(made[place] for place in made if place[0] == period)
                self.recycled.labels(period, reason).set(count / whole)
        for (period, team, hour), count in figures.assigned.items():
            if period in shown:
                late = figures.breached[period, team, hour]
                self.breaches.labels(period, team, f"{hour:02d}").set(late / count)
        for gauge, samples in ((self.speed, figures.speeds), (self.stays, figures.stays)):
            for labels, values in samples.items():
                for share in QUANTILES if labels[0] in shown else ():
                    gauge.labels(*labels, str(share)).set(percentile(values, share) / 1000)

    def show_open(self, leads: Iterable[Open], now: int) -> None:
        """The leads that are with sales at a moment (UTC ms). A problem that is mended stands there as 0, so that alerts end."""
        counts: Counter[tuple[str, str]] = Counter()
        for lead in leads:
            found = lead.problems(now)
            counts.update((lead.team, problem) for problem in found or ("none",))
            self._open_places.update((lead.team, problem) for problem in PROBLEMS)
        for place in self._open_places:
            self.open.labels(*place).set(counts[place])


def _newest(periods: Iterable[str], now: int) -> list[str]:
    """The newest quarters among them, in order, without those to come."""
    present = quarter_of(now)
    return sorted({period for period in periods if period <= present})[-QUARTERS:]
