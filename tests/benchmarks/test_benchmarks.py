"""The benchmarks themselves: a small run of both jobs, the rule, the input, the report."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from streams.core import backtest
from streams.core.identify import nodes
from streams.core.policy import Policy
from streams.edge import topic_admin
from streams.edge.embedded.stack import EmbeddedStack
from tests.benchmarks import cluster, measure, report
from tests.benchmarks.__main__ import QUICK, absent, compare
from tests.benchmarks.identities import InMemory, InRedis
from tests.benchmarks.measure import Result
from tests.benchmarks.plan import Size
from tests.benchmarks.rule import WINDOW_MS, Contact, decode_pair, encode, step
from tests.support import histories

SMALL = Size("small", 3_000, 300)


def available() -> list[str]:
    """The quick engines that are installed here: touchstream always, the bare loop with the extra `bench`."""
    return [name for name in QUICK if absent(name) is None]


@pytest.mark.stack
@pytest.mark.timeout(300)
def test_whole_worker_finds_what_the_backtest_finds(stack: EmbeddedStack) -> None:
    """A small benchmark of the whole worker ends, and every engine's findings are the backtest's."""
    touches = list(histories.stream(cluster.SEED, SMALL.customers, SMALL.touches))
    now = time.time_ns() // 1_000_000
    wanted = backtest.run(touches, Policy(), id_key="bench", region="US", now=now).findings
    results = compare(stack, "whole_worker", SMALL, available(), 1)
    assert {result.engine for result in results} == set(available())
    assert len(wanted) > 100
    for result in results:
        assert result.found == {(finding.finding_id, " ".join(finding.touch_ids)) for finding in wanted}
        assert result.rate > 0


@pytest.mark.stack
def test_identities_in_memory_and_in_redis_are_the_same(stack: EmbeddedStack) -> None:
    """A peer that keeps identities in Redis gives each touch the customer that it gives it with its own dict."""
    run = measure.make_run(stack, "whole_worker", "i.", SMALL.touches)
    settings = run.settings()
    asyncio.run(topic_admin.create_missing(settings))
    kept, shared = InMemory(), InRedis(settings, run.policy())
    merged = 0
    for touch in histories.stream(cluster.SEED, SMALL.customers, SMALL.touches):
        ids = nodes(touch.customer, settings.id_key, settings.default_region)
        held, found = (who.resolve(ids, lambda: b"") for who in (kept, shared))
        assert found.customer_id == held.customer_id
        told = [{fact.a for fact in answer.facts if fact.kind == "told"} for answer in (held, found)]
        assert told[0] == told[1]
        merged += len(told[0])
    assert merged > 10


@pytest.mark.stack
@pytest.mark.timeout(300)
def test_rule_only_finds_every_pair(stack: EmbeddedStack) -> None:
    """A small benchmark of the bare rule ends, and the pairs are those of comparing all contacts of a customer with each other."""
    run = measure.make_run(stack, "rule_only", "x.", SMALL.touches)
    contacts = [json.loads(value) for _, _, value in cluster.touches("rule_only", SMALL, run)]
    distinct = sorted({(c["customer"], c["at"], c["id"], c["department"]) for c in contacts})
    wanted = {
        (f"{a[0]} {a[2]}", b[2])
        for i, a in enumerate(distinct)
        for b in distinct[i + 1 :]
        if a[0] == b[0] and a[3] != b[3] and b[1] - a[1] < WINDOW_MS
    }
    assert len(wanted) > 100
    for result in compare(stack, "rule_only", SMALL, available(), 1):
        assert result.found == wanted


def test_the_rule_pairs_departments_within_a_day() -> None:
    """The rule pairs contacts of two departments less than 24 hours apart, in whatever order they come, each once."""
    contacts = [
        Contact("c", "marketing", WINDOW_MS, "m1"),
        Contact("c", "sales", 2 * WINDOW_MS - 1, "s1"),
        Contact("c", "sales", 2 * WINDOW_MS, "s2"),  # 24 hours after m1: no pair
        Contact("c", "service", 1, "v1"),  # late
        Contact("c", "service", 1, "v1"),
    ]
    state: bytes | None = None
    found = []
    for contact in contacts:
        after, out = step(state, encode(contact))
        state = after or state
        found += [decode_pair(value) for _, value in out]
    assert [(pair.earlier, pair.later) for pair in found] == [("m1", "s1"), ("v1", "m1")]


def test_the_stream_is_nearly_in_order_with_late_and_repeated_touches() -> None:
    """The input has the share of late and of repeated touches that it promises, and is the same for the same seed."""
    touches = list(histories.stream(1, 2_000, 20_000))
    assert touches == list(histories.stream(1, 2_000, 20_000))
    repeated = sum(count - 1 for count in Counter(touch.touch_id for touch in touches).values())
    assert 0.007 < repeated / len(touches) < 0.013
    newest, behind = 0, 0
    for touch in touches:
        behind += touch.occurred_at < newest - histories.HOUR
        newest = max(newest, touch.occurred_at)
    assert 0.025 < behind / len(touches) < 0.045


def result(engine: str, rate: float) -> Result:
    """A run."""
    return Result(engine, rate, 1.0, 100.0, 50.0, frozenset())


def test_results_merge_and_show_medians(tmp_path: Path) -> None:
    """results.json holds medians by job and engine, keeps what an earlier run wrote, and the table has the ratio."""
    path = tmp_path / "results.json"
    first = report.medians([result("touchstream", rate) for rate in (30.0, 10.0, 20.0)])
    report.merge("rule_only", first, path)
    report.merge("rule_only", report.medians([result("bytewax", 10.0)]), path)
    stored = json.loads(path.read_text())
    assert stored["rule_only"] == {"touchstream": 20, "bytewax": 10}
    assert stored["details"]["rule_only"]["touchstream"] | {"rss_mb": 0} == {
        "median": 20, "min": 10, "max": 30, "runs": 3, "cpu_us": 100.0, "rss_mb": 0,
    }  # fmt: skip
    assert stored["machine"]["cores"] >= 1
    rows = report.table("rule_only", {**first, **report.medians([result("bytewax", 10.0)])}).splitlines()
    assert rows[2].split() == ["bytewax", "10", "10", "10", "1", "100.0", "50", "2.00", "x"]


@pytest.mark.stack
@pytest.mark.timeout(120)
def test_a_run_that_has_lost_its_process_says_so(stack: EmbeddedStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that ends before its work is done fails the benchmark with the end of its log."""
    run = measure.make_run(stack, "rule_only", "y.", 1)
    asyncio.run(cluster.load(run, Size("one", 1, 1)))
    monkeypatch.setattr(measure, "_command", lambda *_: [sys.executable, "-c", "import sys; sys.exit('no such luck')"])
    with pytest.raises(measure.Failed, match="no such luck"):
        measure.measure(stack, "rule_only", "y.", 1, "touchstream")
