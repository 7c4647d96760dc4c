"""What the metrics say of lead events, as they are first told: a counter cannot take back what a late touch undoes."""

from __future__ import annotations

from streams.core.leads.events import LeadEvent
from streams.core.leads.policy import NOBODY
from streams.edge.metrics import Metrics


def count(metrics: Metrics, event: LeadEvent, moved: bool = False) -> None:
    """One event of the topic `leads`. `moved`: it came with what another customer id had, and was counted there; but for a hand-off that is
    made now, which has a brief. That a lead went to another id is no change of it."""
    if event.status != "detected" or event.moved_to or (moved and event.brief is None):
        return
    team = event.team or NOBODY.name
    metrics.lead_events.labels(event.kind, team).inc()
    if event.reason is not None and event.kind in ("rejected", "recycled", "disqualified"):
        metrics.leads_returned.labels(event.kind, event.reason).inc()
    if event.kind == "sla_breached":
        metrics.lead_sla.labels(team, "breached").inc()
    elif event.in_time:
        metrics.lead_sla.labels(team, "met").inc()
    if event.speed_ms is not None:
        metrics.speed_to_lead.labels(team).observe(event.speed_ms / 1000)
    if event.previous is not None and event.time_in_state_ms is not None:
        metrics.lead_time_in_state.labels(event.previous).observe(event.time_in_state_ms / 1000)
