"""Latency, growth and checks: that they count what they say. (Recovery checks its own count of timelines when it runs.)"""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.core.outcome import Cause
from streams.edge.codec import Codec
from tests.benchmarks import checks, growth, latency
from tests.support.samples import CONFLICT, replace


def test_latency_counts_from_the_cause_and_leaves_out_the_warm_up(tmp_path: Path) -> None:
    """A finding's latency begins when the touch that caused it was first produced; findings of the warm-up do not count."""
    notes = tmp_path / "notes"
    notes.write_text("a 100.0\nb 107.0\nc 111.0\nc 113.0\nd 114.0\n")
    produced, rate, late = latency.noted(notes)
    encode = Codec().encode_finding
    found = [
        (111.25, encode(replace(CONFLICT, touch_ids=("a", "b"), cause=Cause("merge", "c")))),
        (107.5, encode(replace(CONFLICT, touch_ids=("a", "b"), cause=Cause("touch", "b")))),
    ]
    assert latency.latencies(found, produced) == [pytest.approx(0.25)]
    assert rate == pytest.approx(5 / 14)
    assert late == pytest.approx(11 - 2 * 14 / 5)


def test_growth_measures_timelines_of_the_lengths_it_names() -> None:
    """Nothing is pruned on the way, so that each row is about as many touches as it says."""
    rows = growth.measure(lengths=(10, 400), samples=2)
    assert [row["touches"] for row in rows] == [10, 400]
    assert all(row["advance_us"] > 0 and row["late_advance_us"] > 0 for row in rows)


def test_checks_take_a_quantile_from_what_the_gateway_counted_meanwhile() -> None:
    """Only what came between the two readings counts, and within a bucket it is spread evenly."""
    before = {0.01: 50.0, 0.02: 60.0, float("inf"): 60.0}
    after = {0.01: 140.0, 0.02: 160.0, float("inf"): 160.0}
    assert checks.quantile(before, after, 0.9) == pytest.approx(0.01)
    assert checks.quantile(before, after, 0.95) == pytest.approx(0.015)
    assert checks.quantile({}, {0.01: 1.0, float("inf"): 100.0}, 0.99) == pytest.approx(0.01)
