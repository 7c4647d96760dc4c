"""A worker's /metrics as numbers."""

from __future__ import annotations

import urllib.request
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True)
class Scraped:
    """One scrape: every sample as (name, labels, value)."""

    samples: tuple[tuple[str, dict[str, str], float], ...]

    def series(self, name: str, **labels: str) -> list[tuple[dict[str, str], float]]:
        """Labels and value of each series of that name whose labels include these."""
        return [(had, value) for one, had, value in self.samples if one == name and labels.items() <= had.items()]

    def sum(self, name: str, **labels: str) -> float:
        """The sum of those series; 0 when there is none."""
        return sum(value for _, value in self.series(name, **labels))

    def by(self, name: str, *labels: str) -> dict[tuple[str, ...], float]:
        """Sums by the values of these labels."""
        sums: dict[tuple[str, ...], float] = {}
        for had, value in self.series(name):
            group = tuple(had[label] for label in labels)
            sums[group] = sums.get(group, 0.0) + value
        return sums


def scrape(address: str) -> Scraped:
    """The metrics that `address` (host:port) serves now."""
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=90) as answer:
        families = text_string_to_metric_families(answer.read().decode())
        return Scraped(tuple((s.name, s.labels, s.value) for family in families for s in family.samples))
