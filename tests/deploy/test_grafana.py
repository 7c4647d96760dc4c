"""deploy/grafana: the dashboard is fresh, complete and of the form that Grafana reads; the provisioning finds it."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from streams.edge.ledger_catalogue import CATALOGUE as LEDGER
from streams.edge.metrics import CATALOGUE
from tests.support.promql import DASHBOARD, DASHBOARD_ONE, DEPLOY, dashboard_panels

GRAFANA = DEPLOY / "grafana"


def _dashboard() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return loaded


@pytest.mark.parametrize(("file", "option"), [(DASHBOARD, []), (DASHBOARD_ONE, ["one"])], ids=["first", "second"])
def test_a_dashboard_file_is_fresh(file: Path, option: list[str]) -> None:
    """The file is what dashboard.py prints; if not, run it again."""
    command = [sys.executable, str(GRAFANA / "dashboard.py"), *option]
    made = subprocess.run(command, cwd=DEPLOY.parent, capture_output=True, text=True, timeout=360, check=True).stdout
    assert file.read_text(encoding="utf-8") == made


def test_every_metric_is_shown() -> None:
    """Each metric of the catalogue is in a panel, and its remedy is told in at least one."""
    texts = [panel["description"] for panel in dashboard_panels()]
    shown = "".join(target["expr"] for panel in dashboard_panels() for target in panel["targets"])
    for spec in CATALOGUE:
        assert spec.name in shown, spec.name
        assert any(spec.remedy in text for text in texts), spec.name


def test_every_figure_of_the_ledger_is_shown() -> None:
    """Each metric of the ledger is in a panel of the second dashboard, which is another one than the first."""
    panels = dashboard_panels(DASHBOARD_ONE)
    shown = "".join(target["expr"] for panel in panels for target in panel["targets"])
    assert [spec.name for spec in LEDGER if spec.name not in shown] == []
    first, second = (json.loads(path.read_text(encoding="utf-8")) for path in (DASHBOARD, DASHBOARD_ONE))
    assert second["title"] == "sales and marketing as one" and first["uid"] != second["uid"]


def test_leads_are_shown_on_both_dashboards() -> None:
    """Each metric of leads that workers serve is in a panel of both: who looks at hand-offs by quarter sees how they go today."""
    metrics = [spec.name for spec in CATALOGUE if "_lead" in spec.name]
    assert len(metrics) > 4
    for dashboard in (DASHBOARD, DASHBOARD_ONE):
        shown = "".join(target["expr"] for panel in dashboard_panels(dashboard) for target in panel["targets"])
        assert [name for name in metrics if name not in shown] == []


def test_what_both_departments_asked_for_is_on_one_dashboard() -> None:
    """Acceptance, breaches by team and hour, speed to lead, what was given back and why, time in state, orphans and contradictions,
    conflicts for each 1,000 contacts, how long opt-outs go unheeded, and the return on investment stand on the second dashboard."""
    shown = "".join(target["expr"] for panel in dashboard_panels(DASHBOARD_ONE) for target in panel["targets"])
    names = (
        "ledger_acceptance_ratio", "ledger_sla_breach_ratio", "ledger_speed_to_lead_seconds", "ledger_recycle_ratio",
        "ledger_state_seconds", "ledger_open_handoffs",
        "ledger_contradicted_handoffs", "ledger_conflicts_per_1000_contacts", "opt_out_latency_seconds",
        "ledger_roi_ratio",
    )  # fmt: skip
    assert [name for name in names if f"touchstream_{name}" not in shown] == []


BOTH = [*dashboard_panels(), *dashboard_panels(DASHBOARD_ONE)]


@pytest.mark.parametrize("panel", BOTH, ids=lambda panel: str(panel["title"]))
def test_shares_of_different_wholes_are_not_averaged(panel: dict[str, Any]) -> None:
    """A share of the ledger is shown for each quarter: the mean of two quarters' shares is no share of anything."""
    for target in panel["targets"]:
        if "_ratio{" in target["expr"] and "touchstream_ledger" in target["expr"]:
            assert "avg" not in target["expr"] and "period" in target["legendFormat"]


@pytest.mark.parametrize("panel", BOTH, ids=lambda panel: str(panel["title"]))
def test_a_panel_explains_itself(panel: dict[str, Any]) -> None:
    """A panel has a unit, the chosen data source, and a description with meaning, remedy and the metric that it shows."""
    meaning, advice, metric = panel["description"].split("\n\n")
    assert meaning.endswith(".")
    assert advice.removeprefix("**What to do:** ").endswith(".")
    assert all(metric.strip("`") in target["expr"] for target in panel["targets"])
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["datasource"]["uid"] == "${datasource}"
    assert all(target["datasource"]["uid"] == "${datasource}" for target in panel["targets"])


def test_panels_follow_the_choice_of_workers() -> None:
    """Each selector of our workers' metrics asks for the chosen jobs and workers."""
    for panel in dashboard_panels():
        for target in panel["targets"]:
            assert "WORKERS" not in target["expr"] and "GATEWAYS" not in target["expr"]
            if 'job="touchstream-gateway"' in target["expr"]:
                assert 'instance=~"$gateway"' in target["expr"], panel["title"]
            elif "ALERTS" not in target["expr"]:
                assert 'job=~"$job", instance=~"$instance"' in target["expr"], panel["title"]


def test_variables() -> None:
    """Data source, job, worker and gateway can be chosen; all but the first several at a time."""
    variables = {one["name"]: one for one in _dashboard()["templating"]["list"]}
    assert {name: one["type"] for name, one in variables.items()} == {
        "datasource": "datasource",
        "job": "query",
        "instance": "query",
        "gateway": "query",
    }
    assert all(variables[name]["multi"] and variables[name]["includeAll"] for name in ("job", "instance", "gateway"))


def test_layout() -> None:
    """Panels have ids of their own, stay within the 24 columns and do not overlap; the rows are in the promised order."""
    panels = _dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        columns = range(place["x"], place["x"] + place["w"])
        cells = set(itertools.product(columns, range(place["y"], place["y"] + place["h"])))
        assert not cells & taken, panel["title"]
        taken |= cells
    assert [panel["title"] for panel in panels if panel["type"] == "row"] == [
        "What the customer feels",
        "Hand-offs",
        "Flow",
        "Health",
        "Checks before contacts",
    ]


def test_provisioning() -> None:
    """The data source's address comes from the environment that compose sets; the provider reads the mounted folder."""
    compose = yaml.safe_load((DEPLOY.parent / "docker-compose.yml").read_text(encoding="utf-8"))
    grafana = compose["services"]["grafana"]
    source = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text(encoding="utf-8"))
    assert [one["url"] for one in source["datasources"]] == ["${PROMETHEUS_URL}"]
    assert grafana["environment"]["PROMETHEUS_URL"] == "http://prometheus:9090"
    provider = yaml.safe_load((GRAFANA / "provisioning/dashboards/touchstream.yml").read_text(encoding="utf-8"))
    folder = provider["providers"][0]["options"]["path"]
    assert f"./deploy/grafana/dashboards:{folder}:ro" in grafana["volumes"]
    home = grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{folder}/{DASHBOARD.name}"
