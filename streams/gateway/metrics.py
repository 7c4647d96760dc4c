"""What a gateway counts, as `streams.edge.metrics` lists it; served at /metrics."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry

from streams.edge.metrics import counter, gauge, histogram


class GatewayMetrics:
    """One instance a process; no customer or reservation id is ever a label."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.requests = counter(registry, "touchstream_gateway_requests_total")
        self.seconds = histogram(registry, "touchstream_gateway_request_seconds")
        self.checks = counter(registry, "touchstream_checks_total")
        self.redis_failures = counter(registry, "touchstream_gateway_redis_failures_total")
        self.gaps = counter(registry, "touchstream_checks_degraded_total")
        self.reservations = counter(registry, "touchstream_reservations_total")
        self.policy = gauge(registry, "touchstream_gateway_policy")

    @property
    def redis_failed(self) -> Callable[[str], None]:
        """Counts a failure of this kind. A plain function: redis-py copies what it is given for each connection."""
        failures = self.redis_failures

        def failed(kind: str) -> None:
            failures.labels(kind).inc()

        return failed
