"""Every PromQL expression that we ship: of the dashboard and of the alert rules, ready to be run."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARD = DEPLOY / "grafana" / "dashboards" / "touchstream.json"
DASHBOARD_ONE = DASHBOARD.with_name("one.json")
ALERTS = DEPLOY / "prometheus" / "alerts.yml"

# What Grafana puts in when everything is chosen. The windows fit a server that scrapes every second.
_VARIABLES = {
    "$job": ".*",
    "$instance": ".*",
    "$gateway": ".*",
    "$__rate_interval": "10s",
    "$__range": "10m",
    "$period": ".*",
}
_SELECTOR = re.compile(r"\b(?:touchstream_|process_|up\b)[a-z_]*(?:\{[^}]*\})?")


@dataclass(frozen=True, slots=True)
class Expression:
    """One expression: where it stands (for the message of a failure) and its PromQL without Grafana's variables."""

    where: str
    promql: str


def dashboard_panels(dashboard: Path = DASHBOARD) -> list[dict[str, Any]]:
    """A dashboard's panels as in the file, rows left out."""
    panels: list[dict[str, Any]] = json.loads(dashboard.read_text(encoding="utf-8"))["panels"]
    return [panel for panel in panels if panel["type"] != "row"]


def dashboard_expressions() -> list[Expression]:
    """Each query of each panel of both dashboards."""
    return [
        Expression(f"panel {panel['title']!r}", _fill(target["expr"]))
        for panel in (*dashboard_panels(), *dashboard_panels(DASHBOARD_ONE))
        for target in panel["targets"]
    ]


def alert_rules() -> list[dict[str, Any]]:
    """The alert rules as in the file."""
    groups: list[dict[str, Any]] = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def alert_expressions() -> list[Expression]:
    """The whole expression of each alert; of a healthy worker most are empty, which is what an alert is for."""
    return [Expression(f"alert {rule['alert']}", rule["expr"]) for rule in alert_rules()]


def alert_selectors() -> list[Expression]:
    """Each series selector inside each alert: empty when a metric, label or label value is misspelt, so never empty on a
    worker that has counted everything. Offsets and windows are left out."""
    return [
        Expression(f"alert {rule['alert']}", selector)
        for rule in alert_rules()
        for selector in dict.fromkeys(_SELECTOR.findall(rule["expr"]))
    ]


def _fill(expr: str) -> str:
    for variable, value in _VARIABLES.items():
        expr = expr.replace(variable, value)
    return expr
