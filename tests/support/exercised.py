"""A /metrics endpoint on which every metric of the catalogue counts, over and over: what Prometheus is tried on without Kafka."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server

from streams.core.touch import CHANNELS
from streams.edge.metrics import Metrics

RULES = ("double_contact", "contact_after_opt_out", "incongruent_message", "handoff")
STATES = ("detected", "amended", "retracted")
TOPICS = ("touches.email", "touches.identified")


def exercise(metrics: Metrics, step: int) -> None:
    """One round: counts once on every label value that the alert rules and the dashboard know. `step` varies the values."""
    for channel in CHANNELS:
        for outcome in ("identified", "applied", "duplicate", "rejected"):
            metrics.touches.labels(channel, outcome).inc()
        metrics.late_touches.labels(channel).inc()
    for rule in RULES:
        for state in STATES:
            metrics.findings.labels(rule, state).inc()
        metrics.finding_latency.labels(rule).observe(0.02 + step % 10 / 100)
    for topic in TOPICS:
        metrics.lag.labels(topic, "0").set(10 + step % 5)
        metrics.micro_batch.labels(topic).observe(1 + step % 300)
        metrics.dead_letters.labels(topic, "undecodable").inc()
    for result in ("hit", "new", "linked", "merged", "unavailable"):
        metrics.identity_lookups.labels(result).inc()
    for stage in ("ingest", "identify", "timeline", "write"):
        metrics.stage_seconds.labels(stage).observe(0.01 + step % 7 / 1000)
    metrics.identity_lookup_seconds.observe(0.002)
    metrics.produce_failures.labels("conflicts").inc()
    metrics.commit_age.set(step % 3)
    metrics.timelines.set(1000 + step)
    metrics.timelines_bytes.set(500_000 + step)
    metrics.recovery_seconds.set(4.5)
    metrics.recovering.set(0)
    metrics.worker_info.labels("0.1.0", "0123456789ab").set(1)


@contextmanager
def exercised_worker() -> Iterator[str]:
    """Serves the endpoint while the block runs; yields its host:port. Counts five rounds a second."""
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    if sys.platform == "linux":
        ProcessCollector(registry=registry)
    exercise(metrics, 0)
    server, thread = start_http_server(0, "127.0.0.1", registry)
    stop = threading.Event()
    counter = threading.Thread(target=_count, args=(metrics, stop))
    counter.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        stop.set()
        counter.join()
        server.shutdown()
        server.server_close()
        thread.join()


def _count(metrics: Metrics, stop: threading.Event) -> None:
    step = 1
    while not stop.wait(0.2):
        exercise(metrics, step)
        step += 1


if __name__ == "__main__":
    with exercised_worker() as address:
        print(address, flush=True)
        sys.stdin.read()  # ends with the parent
