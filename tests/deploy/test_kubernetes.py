"""deploy/kubernetes: the manifests agree with the settings, the image and each other. No cluster is asked."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import yaml

from streams.cli import COMMANDS
from streams.gateway.server import STOP_SECONDS, is_loopback
from streams.settings import Settings, load
from tests.support.envfile import parse
from tests.support.exercised import exercised_worker
from tests.support.promql import DEPLOY

FOLDER = DEPLOY / "kubernetes"
KUSTOMIZATION: dict[str, Any] = yaml.safe_load((FOLDER / "kustomization.yaml").read_text(encoding="utf-8"))
ALL: list[dict[str, Any]] = [
    one
    for name in KUSTOMIZATION["resources"]
    for one in yaml.safe_load_all((FOLDER / name).read_text(encoding="utf-8"))
]
NAMED = {(one["kind"], one["metadata"]["name"]): one for one in ALL}
GATEWAY: dict[str, Any] = NAMED["Deployment", "touchstream-gateway"]["spec"]
GATEWAY_CONTAINER: dict[str, Any] = GATEWAY["template"]["spec"]["containers"][0]
LEDGER: dict[str, Any] = NAMED["Deployment", "touchstream-ledger"]["spec"]
OBJECTS: dict[str, dict[str, Any]] = {
    one["kind"]: one for one in ALL if not any(part in one["metadata"]["name"] for part in ("gateway", "ledger"))
}
PODS = [*(OBJECTS[kind]["spec"]["template"] for kind in ("Deployment", "Job")), GATEWAY["template"], LEDGER["template"]]
WORKER: dict[str, Any] = OBJECTS["Deployment"]["spec"]
WORKER_CONTAINER: dict[str, Any] = WORKER["template"]["spec"]["containers"][0]


def test_the_kustomization_names_every_manifest() -> None:
    """Each file of the folder is applied, each kind is there once, for the gateway four more and for the ledger two."""
    assert {path.name for path in FOLDER.iterdir()} == {*KUSTOMIZATION["resources"], "kustomization.yaml"}
    assert set(OBJECTS) == {"ConfigMap", "Job", "Deployment", "PodDisruptionBudget", "Service"}
    assert len(NAMED) == len(ALL) == len(OBJECTS) + 4 + 2


def test_the_configuration_is_the_minimal_one() -> None:
    """The ConfigMap says what deploy/minimal.env says."""
    assert OBJECTS["ConfigMap"]["data"] == parse(DEPLOY / "minimal.env")


def test_a_worker_has_as_many_partitions() -> None:
    """No worker would idle, and the metrics port is the settings' default in every place that names it."""
    assert WORKER["replicas"] <= int(OBJECTS["ConfigMap"]["data"]["TOUCHSTREAM_PARTITIONS"])
    port = Settings().metrics_port
    assert WORKER_CONTAINER["ports"] == [{"name": "metrics", "containerPort": port}]
    assert OBJECTS["Service"]["spec"]["ports"] == [{"name": "metrics", "port": port, "targetPort": "metrics"}]
    assert WORKER["template"]["metadata"]["annotations"]["prometheus.io/port"] == str(port)


@pytest.mark.parametrize("pod", PODS, ids=("worker", "topics", "gateway", "ledger"))
def test_a_pod_may_do_little(pod: dict[str, Any]) -> None:
    """The image's user, nothing else: no root, no capabilities, no token, no service addresses in its environment."""
    spec = pod["spec"]
    user = spec["securityContext"]
    assert (user["runAsNonRoot"], user["runAsUser"], user["fsGroup"]) == (True, 10001, 10001)
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    for container in spec["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["args"][0] in COMMANDS
        assert set(container["resources"]["requests"]) == {"cpu", "memory"}
        assert set(container["resources"]["limits"]) == {"memory"}


@pytest.mark.parametrize("pod", PODS, ids=("worker", "topics", "gateway", "ledger"))
def test_a_pod_gets_its_settings_and_secrets(pod: dict[str, Any]) -> None:
    """Settings come from the ConfigMap, secrets as files under the folder that it names; each mount has its volume."""
    spec = pod["spec"]
    container = spec["containers"][0]
    assert container["envFrom"] == [{"configMapRef": {"name": OBJECTS["ConfigMap"]["metadata"]["name"]}}]
    assert all(set(one) == {"name", "value"} for one in container.get("env", []))
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    assert mounts.keys() == volumes.keys()
    assert volumes["secrets"]["secret"] == {"secretName": "touchstream", "defaultMode": 0o440}
    files = [value for name, value in OBJECTS["ConfigMap"]["data"].items() if name.endswith("_FILE")]
    assert files
    assert all(file.startswith(mounts["secrets"] + "/") for file in files)


def test_selectors_find_the_workers() -> None:
    """Deployment, disruption budget, service and spreading all mean the labels that the worker's pods carry."""
    labels = WORKER["template"]["metadata"]["labels"]
    assert WORKER["selector"]["matchLabels"] == labels
    assert OBJECTS["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert OBJECTS["Service"]["spec"]["selector"] == labels
    assert WORKER["template"]["spec"]["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"] == labels
    assert OBJECTS["Job"]["spec"]["template"]["metadata"]["labels"] != labels


def test_workers_leave_one_at_a_time() -> None:
    """A rollout and a drained node take one worker with them, which has longer to leave than its session lasts."""
    assert WORKER["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    assert OBJECTS["PodDisruptionBudget"]["spec"]["maxUnavailable"] == 1
    timeout = Settings().session_timeout
    assert WORKER["template"]["spec"]["terminationGracePeriodSeconds"] > timeout
    assert WORKER["minReadySeconds"] > timeout


def test_probes_ask_for_metrics() -> None:
    """Start and life are an answer of /metrics; a worker that does not answer is restarted only after a minute."""
    for probe in ("startupProbe", "livenessProbe"):
        assert WORKER_CONTAINER[probe]["httpGet"] == {"path": "/metrics", "port": "metrics"}
    life = WORKER_CONTAINER["livenessProbe"]
    assert life["periodSeconds"] * life["failureThreshold"] >= 60


@pytest.mark.parametrize(("recovering", "status"), [("0", 0), ("1", 1)])
def test_a_worker_is_ready_when_it_has_recovered(recovering: str, status: int) -> None:
    """The readiness probe's program, run against a real endpoint, says ready only while no timeline is being restored."""
    python, *arguments = WORKER_CONTAINER["readinessProbe"]["exec"]["command"]
    assert python == "python"
    with exercised_worker(f"--recovering={recovering}") as address:
        arguments[-1] = arguments[-1].replace(f"127.0.0.1:{Settings().metrics_port}", address)
        done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=180, check=False)
    assert (done.returncode, done.stderr) == (status, "")


def test_gateways_are_several_and_found() -> None:
    """Two or more; their deployment, budget, services and spreading all mean the labels of their pods, and no worker's."""
    labels = GATEWAY["template"]["metadata"]["labels"]
    assert GATEWAY["replicas"] >= 2
    assert labels != WORKER["template"]["metadata"]["labels"]
    assert GATEWAY["selector"]["matchLabels"] == labels
    assert GATEWAY["template"]["spec"]["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"] == labels
    budget = NAMED["PodDisruptionBudget", "touchstream-gateway"]["spec"]
    assert budget["selector"]["matchLabels"] == labels and budget["maxUnavailable"] < GATEWAY["replicas"]
    ports = {port["name"]: port["containerPort"] for port in GATEWAY_CONTAINER["ports"]}
    for name, port in (("touchstream-gateway", "http"), ("touchstream-gateways", "metrics")):
        service = NAMED["Service", name]["spec"]
        assert service["selector"] == labels
        assert service["ports"] == [{"name": port, "port": ports[port], "targetPort": port}]
    assert GATEWAY["template"]["metadata"]["annotations"]["prometheus.io/port"] == str(ports["metrics"])


def test_a_gateway_gets_settings_that_it_accepts() -> None:
    """Its environment is settings, its address needs tokens, and these are a file of the secret that is mounted where it looks."""
    given = {one["name"]: one["value"] for one in GATEWAY_CONTAINER["env"]}
    settings = load(given)
    ports = [port["containerPort"] for port in GATEWAY_CONTAINER["ports"]]
    assert ports == [settings.gateway_port, settings.gateway_metrics_port]
    assert not is_loopback(settings.gateway_host)
    mounts = {mount["name"]: mount["mountPath"] for mount in GATEWAY_CONTAINER["volumeMounts"]}
    folder, _, file = settings.gateway_tokens_path.rpartition("/")
    assert folder == mounts["tokens"]
    volumes = {volume["name"]: volume for volume in GATEWAY["template"]["spec"]["volumes"]}
    secret = volumes["tokens"]["secret"]["secretName"]
    text = (FOLDER / "kustomization.yaml").read_text(encoding="utf-8")
    assert f"create secret generic {secret} --from-file={file}" in text


def test_a_gateway_is_asked_whether_it_lives_and_is_ready() -> None:
    """Life is /healthz, which needs neither Redis nor Kafka; traffic needs /readyz; nobody is sent away while it stops."""
    paths = {name: GATEWAY_CONTAINER[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert paths == {
        "startupProbe": {"path": "/healthz", "port": "http"},
        "livenessProbe": {"path": "/healthz", "port": "http"},
        "readinessProbe": {"path": "/readyz", "port": "http"},
    }
    assert GATEWAY["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    before = int(GATEWAY_CONTAINER["lifecycle"]["preStop"]["exec"]["command"][1])
    assert GATEWAY["template"]["spec"]["terminationGracePeriodSeconds"] > before + STOP_SECONDS


def test_one_ledger_works_and_one_stands_by() -> None:
    """Two, replaced one by one, with longer to leave than their session lasts; service, selector and port are those of their pods, and
    no worker's."""
    labels = LEDGER["template"]["metadata"]["labels"]
    assert LEDGER["replicas"] == 2 and LEDGER["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    assert LEDGER["selector"]["matchLabels"] == labels != WORKER["template"]["metadata"]["labels"]
    assert LEDGER["template"]["spec"]["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"] == labels
    assert LEDGER["template"]["spec"]["terminationGracePeriodSeconds"] > Settings().session_timeout
    port = Settings().metrics_port
    (container,) = LEDGER["template"]["spec"]["containers"]
    assert container["ports"] == [{"name": "metrics", "containerPort": port}]
    assert LEDGER["template"]["metadata"]["annotations"]["prometheus.io/port"] == str(port)
    service = NAMED["Service", "touchstream-ledgers"]["spec"]
    assert service["selector"] == labels
    assert service["ports"] == [{"name": "metrics", "port": port, "targetPort": "metrics"}]
