"""Writes Grafana's dashboards: `python deploy/grafana/dashboard.py > deploy/grafana/dashboards/touchstream.json`, and with the argument
`one` the second, "sales and marketing as one": `dashboards/one.json`.

The panels are in `panels.toml` and `panels-one.toml`; meaning and remedy come from the metric catalogue (`streams.edge.metrics`), so that a
panel never tells another story than `touchstream metrics`. A test keeps the written file fresh. The form is Grafana's
dashboard JSON model, schema version 39: Grafana 11 writes it, Grafana 12 reads it and migrates it upwards.
"""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from streams.edge.ledger_catalogue import CATALOGUE as LEDGER
from streams.edge.metrics import SPECS

Json = dict[str, Any]
PANELS = Path(__file__).with_name("panels.toml")
PANELS_ONE = Path(__file__).with_name("panels-one.toml")
COLUMNS = 24
DATASOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}
WORKERS = 'job=~"$job", instance=~"$instance"'
GATEWAYS = 'job="touchstream-gateway", instance=~"$gateway"'
KNOWN = SPECS | {spec.name: spec for spec in LEDGER}

# What prometheus-client and Prometheus themselves bring: name -> (meaning, remedy).
STANDARD = {
    "up": ("Workers that answered the last scrape.", "Fewer than were started: read the missing worker's log."),
    "ALERTS": ("Alert rules of touchstream that fire now.", "Each has a runbook line: see Alerts in Prometheus."),
    "process_resident_memory_bytes": (
        "Memory of each worker's process.",
        "Three times touchstream_timelines_bytes is ordinary. Growth without new customers: restart, and report it.",
    ),
    "process_cpu_seconds_total": (
        "Cores that each worker uses. A worker is one thread of Python: 1 is its ceiling.",
        "Near 1 with growing lag: add workers, up to the number of partitions.",
    ),
}


class Query(Struct, frozen=True, forbid_unknown_fields=True):
    expr: str
    legend: str


class Panel(Struct, frozen=True, forbid_unknown_fields=True):
    title: str
    metric: str
    queries: list[Query]
    unit: str = "short"
    kind: Literal["timeseries", "stat", "table", "heatmap"] = "timeseries"
    width: int = 8
    over: float | None = None
    stacked: bool = False
    negative: bool = False
    note: str = ""


class Row(Struct, frozen=True, forbid_unknown_fields=True):
    """`same_as`: its panels are those of the first dashboard's row of that title."""

    title: str
    panel: list[Panel] = []
    same_as: str = ""


def rows(panels: Path = PANELS) -> list[Row]:
    """The rows of a file of panels.

    Raises:
        msgspec.ValidationError: a panel has a field that is unknown or of the wrong type.
        KeyError: a row is to be the same as one that is not there.
    """
    found = msgspec.convert(tomllib.loads(panels.read_text(encoding="utf-8"))["row"], list[Row])
    if panels == PANELS:
        return found
    first = {row.title: row.panel for row in rows()}
    return [msgspec.structs.replace(row, panel=first[row.same_as]) if row.same_as else row for row in found]


def dashboard() -> Json:
    """The first dashboard as Grafana's JSON model."""
    about = "What customers feel, how touches flow, how the workers are; with advice on each panel."
    return _dashboard("touchstream", "touchstream", about, rows(), _variables())


def dashboard_one() -> Json:
    """The second one: what both departments cost and bring in, and where they got in each other's way."""
    about = "One ledger for both departments: return, cost, income, contacts, conflicts, hand-offs; with advice on each panel."
    period = _label_variable("period", "Quarter", "label_values(touchstream_ledger_revenue, period)")
    variables = [*_variables(), period]
    return _dashboard("touchstream-one", "sales and marketing as one", about, rows(PANELS_ONE), variables)


def _dashboard(uid: str, title: str, about: str, rows: list[Row], variables: list[Json]) -> Json:
    panels: list[Json] = []
    y = 0
    for row in rows:
        place = _place(0, y, COLUMNS, 1)
        head = {
            "id": len(panels) + 1,
            "type": "row",
            "title": row.title,
            "collapsed": False,
            "gridPos": place,
            "panels": [],
        }
        panels.append(head)
        x, y, tall = 0, y + 1, 0
        for panel in row.panel:
            height = 4 if panel.kind == "stat" else 8
            if x + panel.width > COLUMNS:
                x, y, tall = 0, y + tall, 0
            panels.append(_panel(panel, len(panels) + 1, _place(x, y, panel.width, height)))
            x, tall = x + panel.width, max(tall, height)
        y += tall
    return {
        "uid": uid,
        "title": title,
        "description": about,
        "tags": ["touchstream"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "timezone": "browser",
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timepicker": {},
        "fiscalYearStartMonth": 0,
        "links": [],
        "annotations": {"list": []},
        "templating": {"list": variables},
        "panels": panels,
    }


def _place(x: int, y: int, width: int, height: int) -> Json:
    return {"x": x, "y": y, "w": width, "h": height}


def _variables() -> list[Json]:
    source = {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "refresh": 1}
    return [
        source | {"hide": 0, "regex": "", "multi": False, "includeAll": False, "current": {}, "options": []},
        _label_variable("job", "Job", "label_values(touchstream_worker_info, job)"),
        _label_variable("instance", "Worker", 'label_values(touchstream_worker_info{job=~"$job"}, instance)'),
        _label_variable("gateway", "Gateway", "label_values(touchstream_gateway_requests_total, instance)"),
    ]


def _label_variable(name: str, label: str, query: str) -> Json:
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATASOURCE,
        "definition": query,
        "query": {"query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery"},
        "refresh": 2,  # when the time range changes: workers come and go
        "hide": 0,
        "sort": 1,
        "regex": "",
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
        "options": [],
    }


def _panel(panel: Panel, number: int, place: Json) -> Json:
    steps: list[Json] = [{"color": "green", "value": None}]
    if panel.over is not None:
        steps.append({"color": "red", "value": panel.over})
    defaults = {
        "unit": panel.unit,
        **({} if panel.negative else {"min": 0}),
        "color": {"mode": "thresholds" if panel.kind == "stat" else "palette-classic"},
        "thresholds": {"mode": "absolute", "steps": steps},
        "custom": _drawing(panel),
        "mappings": [],
    }
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": _description(panel),
        "datasource": DATASOURCE,
        "gridPos": place,
        "targets": [_target(panel, index) for index in range(len(panel.queries))],
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": _options(panel),
    }


def _description(panel: Panel) -> str:
    if panel.metric in STANDARD:
        meaning, remedy = STANDARD[panel.metric]
    else:
        meaning, remedy = KNOWN[panel.metric].meaning, KNOWN[panel.metric].remedy
    return f"{meaning}\n\n**What to do:** {panel.note or remedy}\n\n`{panel.metric}`"


def _target(panel: Panel, index: int) -> Json:
    now = panel.kind in ("stat", "table")
    return {
        "refId": chr(ord("A") + index),
        "datasource": DATASOURCE,
        "editorMode": "code",
        "expr": panel.queries[index].expr.replace("WORKERS", WORKERS).replace("GATEWAYS", GATEWAYS),
        "legendFormat": panel.queries[index].legend,
        "instant": now,
        "range": not now,
        "format": panel.kind if panel.kind in ("table", "heatmap") else "time_series",
    }


def _drawing(panel: Panel) -> Json:
    if panel.kind != "timeseries":
        return {}
    return {
        "drawStyle": "line",
        "lineWidth": 1,
        "fillOpacity": 20 if panel.stacked else 8,
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
        "thresholdsStyle": {"mode": "off" if panel.over is None else "dashed"},
    }


def _options(panel: Panel) -> Json:
    if panel.kind == "stat":
        reduce = {"calcs": ["lastNotNull"], "fields": "", "values": False}
        return {"reduceOptions": reduce, "colorMode": "value", "graphMode": "none"}
    if panel.kind == "heatmap":
        colours = {"mode": "scheme", "scheme": "Oranges", "steps": 64}
        tooltip = {"mode": "single", "yHistogram": False}
        return {
            "calculate": False,
            "yAxis": {"unit": panel.unit},
            "color": colours,
            "tooltip": tooltip,
            "legend": {"show": False},
        }
    if panel.kind == "table":
        return {"showHeader": True, "cellHeight": "sm", "footer": {"show": False, "reducer": ["sum"]}}
    legend = {"displayMode": "list", "placement": "bottom", "showLegend": True}
    return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}


if __name__ == "__main__":
    print(json.dumps(dashboard_one() if sys.argv[1:] == ["one"] else dashboard(), indent=1))
