"""Every PromQL expression that we ship, run by a real Prometheus that scrapes a real endpoint."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest

from tests.support.exercised import exercised_worker
from tests.support.prometheus import PrometheusServer, PromQLError
from tests.support.promql import (
    ALERTS,
    Expression,
    alert_expressions,
    alert_rules,
    alert_selectors,
    dashboard_expressions,
)

# Alerts that a worker on which everything counts does raise: their window is short enough for a test and their first event
# counts. The others need minutes or a day; deploy/prometheus/alerts_test.yml tells their stories.
FIRING_AT_ONCE = {"TouchstreamProduceFailures", "TouchstreamDeadLetters", "TouchstreamContactAfterOptOut"}


@pytest.fixture(scope="module")
def prometheus() -> Iterator[PrometheusServer]:
    """Prometheus with our rules, after it has scraped a worker, a gateway and a ledger on which every metric counts."""
    with (
        exercised_worker() as worker,
        exercised_worker("--gateway") as gateway,
        exercised_worker("--ledger") as ledger,
        PrometheusServer([worker], ALERTS, [gateway], [ledger]) as server,
    ):
        server.wait_scraped()
        yield server


def _where(expression: Expression) -> str:
    return expression.where


@pytest.mark.parametrize("expression", dashboard_expressions(), ids=_where)
def test_a_panel_has_numbers_to_show(prometheus: PrometheusServer, expression: Expression) -> None:
    """Prometheus accepts the panel's query and answers with at least one series of finite numbers."""
    series = prometheus.query(expression.promql)
    assert series, expression.promql
    assert all(math.isfinite(float(one["value"][1])) for one in series), (expression.promql, series)


@pytest.mark.parametrize("expression", alert_expressions(), ids=_where)
def test_an_alerts_expression_is_accepted(prometheus: PrometheusServer, expression: Expression) -> None:
    """Prometheus accepts the whole expression of the alert, whether or not it has a reason to fire."""
    assert isinstance(prometheus.query(expression.promql), list)


@pytest.mark.parametrize("expression", alert_selectors(), ids=_where)
def test_an_alert_reads_series_that_exist(prometheus: PrometheusServer, expression: Expression) -> None:
    """Each selector in an alert finds series: metric, labels and label values are spelt as the worker spells them."""
    assert prometheus.query(expression.promql), expression.promql


def test_rules_run_without_error(prometheus: PrometheusServer) -> None:
    """Prometheus evaluates every rule of the file, templates of the annotations included, without an error."""
    rules = prometheus.rules()
    assert {rule["name"] for rule in rules} == {rule["alert"] for rule in alert_rules()}
    assert {rule["name"]: rule.get("lastError") for rule in rules if rule["health"] != "ok"} == {}


def test_single_events_fire_at_once(prometheus: PrometheusServer) -> None:
    """Alerts for which one event is enough fire on the first evaluation, with their numbers and labels filled in."""
    firing = {rule["name"]: rule for rule in prometheus.rules() if rule["state"] == "firing"}
    assert set(firing) >= FIRING_AT_ONCE
    summaries = [alert["annotations"]["summary"] for name in FIRING_AT_ONCE for alert in firing[name]["alerts"]]
    assert any("touches.email were set aside in 10 minutes: undecodable" in summary for summary in summaries)
    assert not any("%!" in summary or "{{" in summary or "<no value>" in summary for summary in summaries)


def test_a_wrong_expression_is_refused(prometheus: PrometheusServer) -> None:
    """The checks above can fail: Prometheus refuses a syntax error and finds nothing for a misspelt metric."""
    with pytest.raises(PromQLError, match="parse error"):
        prometheus.query("sum by (topic (touchstream_lag_records)")
    assert prometheus.query("touchstream_lag_recodrs") == []
