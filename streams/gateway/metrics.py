"""What a gateway counts; served at /metrics. Latencies from half a millisecond: a check takes a few."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

BUCKETS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 1, 5)


class GatewayMetrics:
    """One instance a process; no customer or reservation id is ever a label."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.requests = Counter(
            "touchstream_gateway_requests_total",
            "Requests by route and status.",
            ("route", "status"),
            registry=registry,
        )
        self.seconds = Histogram(
            "touchstream_gateway_request_seconds",
            "Time of a request, by route.",
            ("route",),
            registry=registry,
            buckets=BUCKETS,
        )
        self.checks = Counter(
            "touchstream_checks_total",
            "Customers checked, by answer: allowed or refused; what a batch asks counts one by one.",
            ("answer",),
            registry=registry,
        )
        self.gaps = Counter(
            "touchstream_checks_degraded_total",
            "Checks that could not see enough, by what was missing; governance.degraded of the policy says what they answer.",
            ("gap",),
            registry=registry,
        )
        self.reservations = Counter(
            "touchstream_reservations_total",
            "Reservations, by what became of them: held, refused, committed, released.",
            ("outcome",),
            registry=registry,
        )
