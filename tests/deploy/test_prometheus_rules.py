"""deploy/prometheus: promtool accepts it, every alert has a story, and its advice is the catalogue's."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest
import yaml

from streams.edge.ledger_catalogue import CATALOGUE as LEDGER
from streams.edge.metrics import SPECS as OTHERS
from tests.support.prometheus import GATEWAY_JOB, JOB, LEDGER_JOB, tool
from tests.support.promql import ALERTS, DEPLOY, alert_rules

PROMETHEUS = DEPLOY / "prometheus"
STORIES = PROMETHEUS / "alerts_test.yml"

# Alerts about one part of a metric, whose advice is about that part; all others carry the metric's own remedy.
OWN_RUNBOOK = {
    "TouchstreamContactAfterOptOut": "the catalogue's remedy of findings is about double contacts",
    "TouchstreamHandoffsMissing": "the catalogue's remedy of findings is about double contacts",
}
SPECS = OTHERS | {spec.name: spec for spec in LEDGER}
GATEWAYS = {spec.name for spec in SPECS.values() if spec.of == "gateway"}
# Metrics of Prometheus and of prometheus-client: not in the catalogue.
FOREIGN = {"up", "process_start_time_seconds"}


def _promtool(*arguments: str) -> str:
    done = subprocess.run(
        [tool("promtool"), *arguments], cwd=PROMETHEUS, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_accepts_the_configuration() -> None:
    """`promtool check config` accepts prometheus.yml and the rule file that it names."""
    assert "1 rule files found" in _promtool("check", "config", "prometheus.yml")


def test_promtool_accepts_the_rules() -> None:
    """`promtool check rules` accepts the alert rules, its lint warnings counted as errors."""
    assert f"{len(alert_rules())} rules found" in _promtool("check", "rules", "--lint=all", "--lint-fatal", ALERTS.name)


def test_the_stories_hold() -> None:
    """`promtool test rules`: in each story exactly the alerts that it names fire, and none when all is well."""
    assert "SUCCESS" in _promtool("test", "rules", STORIES.name)


def test_every_alert_fires_in_a_story() -> None:
    """No alert is without a story in which it fires."""
    stories: list[dict[str, Any]] = yaml.safe_load(STORIES.read_text(encoding="utf-8"))["tests"]
    checks = [check for story in stories for check in story["promql_expr_test"]]
    fired = {name for check in checks for name in re.findall(r'alertname="(\w+)"', str(check["exp_samples"]))}
    assert fired == {rule["alert"] for rule in alert_rules()}


@pytest.mark.parametrize("rule", alert_rules(), ids=lambda rule: str(rule["alert"]))
def test_an_alert_names_its_metric_and_what_to_do(rule: dict[str, Any]) -> None:
    """The label `metric` is in the expression, and the runbook is that metric's remedy in the catalogue."""
    metric = rule["labels"]["metric"]
    assert metric in rule["expr"]
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert rule["annotations"]["summary"]
    runbook = rule["annotations"]["runbook"]
    if metric in FOREIGN or rule["alert"] in OWN_RUNBOOK:
        assert len(runbook) > 40
    else:
        assert runbook == SPECS[metric].remedy


def test_every_expression_is_about_our_job() -> None:
    """Each selector of each alert names the job of prometheus.yml, so that another system's series never fire it."""
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8"))
    assert {JOB, GATEWAY_JOB, LEDGER_JOB} <= {job["job_name"] for job in config["scrape_configs"]}
    for rule in alert_rules():
        selectors = re.findall(r"\b((?:touchstream_|process_|up\b)\w*)(\{[^}]*\})?", rule["expr"])
        assert selectors
        about_gateways = "Gateway" in rule["alert"] or rule["labels"]["metric"] in GATEWAYS
        of_ledger = "touchstream_ledger" in rule["expr"] or "Ledger" in rule["alert"]
        for name, selector in selectors:
            job = GATEWAY_JOB if about_gateways or name in GATEWAYS else LEDGER_JOB if of_ledger else JOB
            assert f'job="{job}"' in selector, rule["alert"]
