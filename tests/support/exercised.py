"""A /metrics endpoint on which every metric of the catalogue counts, over and over: what Prometheus is tried on without Kafka."""

from __future__ import annotations

import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from prometheus_client import REGISTRY, start_http_server

from streams.core.ledger.lead_figures import PROBLEMS
from streams.core.ledger.policy import MODELS
from streams.core.touch import CHANNELS, DEPARTMENTS
from streams.edge.ledger_metrics import LedgerMetrics
from streams.edge.metrics import Metrics
from streams.gateway.metrics import GatewayMetrics

ROOT = Path(__file__).parents[2]
RULES = ("double_contact", "contact_after_opt_out", "incongruent_message", "handoff")
STATES = ("detected", "amended", "retracted")
TOPICS = ("touches.email", "touches.identified")


def exercise_ledger(metrics: LedgerMetrics, _step: int = 0) -> None:
    """The same for the ledger's gauges: two quarters, three departments."""
    for period in ("2026-Q2", "2026-Q3"):
        metrics.revenue.labels(period, "EUR").set(230_000)
        for department in DEPARTMENTS:
            metrics.roi.labels(period, "EUR", department).set(5.8)
            metrics.spend.labels(period, "EUR", department).set(20_000)
            metrics.contacts.labels(period, department).set(70)
            for model in MODELS:
                metrics.credit.labels(period, "EUR", department, model).set(100_000)
            for step in ("contacted", "won"):
                metrics.funnel.labels(period, department, step).set(40)
            metrics.conflicts.labels(period, department).set(12)
        for answer in ("accepted", "rejected", "no_answer"):
            metrics.handoffs.labels(period, "iberia", answer).set(20)
        metrics.acceptance.labels(period, "iberia").set(0.5)
        metrics.recycled.labels(period, "not_icp").set(0.1)
        metrics.breaches.labels(period, "iberia", "09").set(0.2)
        metrics.contradicted.labels(period, "iberia").set(2)
        for share in ("0.5", "0.9"):
            metrics.speed.labels(period, "iberia", "business", share).set(1800)
            metrics.stays.labels(period, "handed_off", share).set(7200)
    for problem in PROBLEMS:
        metrics.open.labels("iberia", problem).set(1)
    metrics.current.set(time.time())
    metrics.lag.set(3)
    metrics.refresh_seconds.set(0.4)
    metrics.facts.labels("touches").set(1000)


def exercise(metrics: Metrics, step: int, recovering: int = 0) -> None:
    """One round: counts once on every label value that the alert rules and the dashboard know. `step` varies the values."""
    for channel in CHANNELS:
        for outcome in ("identified", "applied", "duplicate", "rejected"):
            metrics.touches.labels(channel, outcome).inc()
        metrics.late_touches.labels(channel).inc()
        metrics.too_late_touches.labels(channel).inc()
    for rule in RULES:
        for state in STATES:
            metrics.findings.labels(rule, state).inc()
        metrics.finding_latency.labels(rule).observe(0.02 + step % 10 / 100)
    metrics.opt_out_latency.labels("marketing", "email").observe(3_600 * (step % 72 + 1))
    for kind in ("handed_off", "accepted", "rejected", "recycled", "sla_near", "sla_breached", "working"):
        metrics.lead_events.labels(kind, "iberia").inc()
    for kind in ("rejected", "recycled", "disqualified"):
        metrics.leads_returned.labels(kind, "bad_timing").inc()
    for result in ("met", "breached"):
        metrics.lead_sla.labels("iberia", result).inc()
    metrics.speed_to_lead.labels("iberia").observe(600 * (step % 9 + 1))
    metrics.lead_time_in_state.labels("handed_off").observe(3_600 * (step % 9 + 1))
    for topic in TOPICS:
        metrics.lag.labels(topic, "0").set(10 + step % 5)
        metrics.micro_batch.labels(topic).observe(1 + step % 300)
        metrics.dead_letters.labels(topic, "undecodable").inc()
    for result in ("hit", "new", "linked", "merged", "unavailable"):
        metrics.identity_lookups.labels(result).inc()
    for stage in ("ingest", "identify", "timeline", "write"):
        metrics.stage_seconds.labels(stage).observe(0.01 + step % 7 / 1000)
    for result in ("written", "filled", "failed"):
        metrics.view_writes.labels(result).inc()
    metrics.identity_lookup_seconds.observe(0.002)
    metrics.produce_failures.labels("conflicts").inc()
    metrics.commit_age.set(step % 3)
    metrics.timelines.set(1000 + step)
    metrics.timelines_bytes.set(500_000 + step)
    metrics.recovery_seconds.set(4.5)
    metrics.recovering.set(recovering)
    metrics.worker_info.labels("0.1.0", "0123456789ab").set(1)
    metrics.policy_partitions.labels("0123456789ab").set(8)


def exercise_gateway(metrics: GatewayMetrics, step: int) -> None:
    """The same for a gateway."""
    for route, status in (("/v1/checks", "200"), ("/v1/reservations", "503"), ("/readyz", "503")):
        metrics.requests.labels(route, status).inc()
        metrics.seconds.labels(route).observe(0.002 + step % 10 / 1000)
    for answer in ("allowed", "refused"):
        metrics.checks.labels(answer).inc()
    for gap in ("redis_away", "view_behind"):
        metrics.gaps.labels(gap).inc()
    for kind in ("timeout", "connection"):
        metrics.redis_failures.labels(kind).inc()
    for outcome in ("held", "refused", "committed", "released"):
        metrics.reservations.labels(outcome).inc()
    metrics.policy.labels("0123456789ab").set(1)


@contextmanager
def exercised_worker(*options: str) -> Iterator[str]:
    """A process of its own that serves the endpoint while the block runs; yields its host:port. Options are `--recovering=1`, and
    `--gateway` or `--ledger` for a gateway's or the ledger's metrics instead of a worker's."""
    command = [sys.executable, "-m", "tests.support.exercised", *options]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()  # it ends with its standard input, also when this process is killed
            process.wait(timeout=180)


def main() -> None:
    """Serves /metrics on a free port, prints host:port, counts five rounds a second until standard input ends."""
    recovering = int("--recovering=1" in sys.argv)
    if "--gateway" in sys.argv:
        gateway = GatewayMetrics(REGISTRY)
        once: Callable[[int], None] = partial(exercise_gateway, gateway)
    elif "--ledger" in sys.argv:
        ledger = LedgerMetrics(REGISTRY)
        once = partial(exercise_ledger, ledger)
    else:
        worker = Metrics()
        once = partial(exercise, worker, recovering=recovering)
    once(0)
    server, thread = start_http_server(0, "127.0.0.1")
    print(f"127.0.0.1:{server.server_port}", flush=True)
    step = 1
    while not select.select([sys.stdin], [], [], 0.2)[0]:
        once(step)
        step += 1
    server.shutdown()
    server.server_close()
    thread.join()


if __name__ == "__main__":
    main()
