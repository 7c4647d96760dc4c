"""docker-compose.yml: what can be known without Docker. Nothing here starts a container."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from streams.cli import COMMANDS
from streams.edge.topics import catalogue
from streams.settings import PREFIX, Settings, load
from tests.support.envfile import parse
from tests.support.promql import DEPLOY

ROOT = DEPLOY.parent
TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("topics", "worker", "gateway", "ledger")
# Services that end by themselves: others wait for their exit code instead of their health.
ONE_SHOT = {"topics"}
_VARIABLE = re.compile(r"\$\{(\w+)(:?[-?][^}]*)?\}")


def _filled(value: str) -> str:
    """The value as compose fills it in from an empty environment, required variables as "secret"."""
    return _VARIABLE.sub(lambda match: (match[2] or "")[2:] if (match[2] or "").startswith(":-") else "secret", value)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_watched(name: str) -> None:
    """Each service has a bounded health check, unless it ends by itself; then others wait for its exit code."""
    service = SERVICES[name]
    if name in ONE_SHOT:
        assert service["restart"] == "no"
        waiting = [other["depends_on"][name] for other in SERVICES.values() if name in other.get("depends_on", {})]
        assert waiting and all(how == {"condition": "service_completed_successfully"} for how in waiting)
    else:
        assert service["restart"] == "unless-stopped"
        assert {"test", "interval", "timeout", "retries", "start_period"} <= set(service["healthcheck"])


def test_a_service_waits_for_what_it_needs() -> None:
    """Dependencies exist, are waited for until healthy (not merely started), and reach their dependant over a network."""
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            assert how["condition"] in {"service_healthy", "service_completed_successfully"}, name
            assert set(service["networks"]) & set(SERVICES[other]["networks"]), (name, other)
    assert set(SERVICES["worker"]["depends_on"]) == {"topics", "kafka", "redis", "schema-registry"}


def test_one_service_builds_the_image() -> None:
    """Services that share an image do not build it at once, which fails: one does, the others wait for it, and none asks a registry for
    what only this machine has."""
    ours = {name: service for name, service in SERVICES.items() if service["image"].startswith("touchstream:")}
    assert ours.keys() == set(OURS)
    (builder,) = [name for name, service in SERVICES.items() if "build" in service]
    assert {service["image"] for service in ours.values()} == {ours[builder]["image"]}
    assert {service["pull_policy"] for service in ours.values()} == {"never"}
    assert all(builder in service["depends_on"] for name, service in ours.items() if name != builder)


def test_kafka_keeps_the_registrys_schemas() -> None:
    """The registry makes its topics without a retention, so the broker's default must be to keep them; no topic of ours goes by it."""
    assert SERVICES["schema-registry"]["environment"]["APICURIO_STORAGE_KIND"] == "kafkasql"
    assert SERVICES["kafka"]["environment"]["KAFKA_LOG_RETENTION_MS"] == "-1"
    for spec in catalogue(Settings()):
        policies = spec.config["cleanup.policy"].split(",")
        assert "delete" not in policies or int(spec.config["retention.ms"]) > 0, spec.name


def test_ports_are_on_loopback_only() -> None:
    """Nothing is reachable from another machine; a service with a published port is on the one network with a way out."""
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)
    assert published.keys() == {"kafka", "schema-registry", "gateway", "prometheus", "grafana"}
    assert all("edge" in SERVICES[name]["networks"] for name in published)
    assert [name for name, network in COMPOSE["networks"].items() if not network.get("internal")] == ["edge"]


def test_redis_without_a_password_is_not_reachable_from_outside() -> None:
    """Redis is on the internal data network only, keeps an append-only file on its volume and evicts nothing."""
    redis = SERVICES["redis"]
    assert redis["networks"] == ["data"]
    command = redis["command"]
    options = {name: value for name, value in itertools.pairwise(command) if name.startswith("--")}
    assert options == {"--appendonly": "yes", "--appendfsync": "everysec", "--maxmemory-policy": "noeviction"}
    assert "redis-data:/data" in redis["volumes"]


def test_who_waits_for_an_answer_comes_first() -> None:
    """The gateway, and Redis which it asks, get the cores before workers and Kafka do, which can use all of them."""
    shares = {name: service.get("cpu_shares", 1024) for name, service in SERVICES.items()}
    assert {name for name, share in shares.items() if share == 8 * 1024} == {"gateway", "redis"}
    assert {share for name, share in shares.items() if name not in ("gateway", "redis")} == {1024}


def test_secrets_have_no_default() -> None:
    """Each variable named like a secret is required, with a message; the example file names it with no value."""
    required = {match[1]: match[2] for match in _VARIABLE.finditer(TEXT) if not (match[2] or "").startswith(":-")}
    assert required.keys() == {"TOUCHSTREAM_ID_KEY", "GRAFANA_ADMIN_PASSWORD", "GATEWAY_TOKENS_FILE"}
    assert all(rule.startswith(":?set ") for rule in required.values())
    assert parse(DEPLOY / "compose.env.example") == dict.fromkeys(required, "")
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|_KEY$", variable):
                assert _filled(value) == "secret", (name, variable)


@pytest.mark.parametrize("name", OURS)
def test_our_environment_is_settings(name: str) -> None:
    """What a service of ours gets is accepted by `streams.settings`, and agrees with the other services' ports."""
    settings = load({variable: _filled(value) for variable, value in SERVICES[name]["environment"].items()})
    assert settings.bootstrap == "kafka:19092"
    assert "INTERNAL://kafka:19092" in SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"].split(",")
    assert settings.redis_url == "redis://redis:6379/0"
    assert settings.schema_registry_url == "http://schema-registry:8080/apis/ccompat/v7"
    assert "http://127.0.0.1:8080/apis/ccompat/v7/subjects" in SERVICES["schema-registry"]["healthcheck"]["test"][1]
    assert settings.id_key == "secret"
    assert settings.replication == 1
    assert SERVICES[name]["command"][0] in COMMANDS


def test_variables_that_may_be_set_are_settings() -> None:
    """A variable of .env with our prefix is a setting, and its default here is the product's."""
    defaults = Settings()
    for match in _VARIABLE.finditer(TEXT):
        if match[1].startswith(PREFIX) and (match[2] or "").startswith(":-"):
            assert str(getattr(defaults, match[1].removeprefix(PREFIX).lower())) == match[2][2:]


def test_a_producer_on_this_machine_needs_no_option() -> None:
    """Kafka's listener for the host is published at the address that `touchstream send` uses by default."""
    kafka = SERVICES["kafka"]
    assert kafka["ports"] == [f"{Settings().bootstrap}:9092"]
    assert f"HOST://{Settings().bootstrap}" in kafka["environment"]["KAFKA_ADVERTISED_LISTENERS"].split(",")
    listeners = {one.split("://")[0] for one in kafka["environment"]["KAFKA_LISTENERS"].split(",")}
    mapped = {one.split(":")[0] for one in kafka["environment"]["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(",")}
    assert listeners == mapped == {"HOST", "INTERNAL", "CONTROLLER"}
    assert "kafka-data:/var/lib/kafka/data" in kafka["volumes"]
    (registry,) = SERVICES["schema-registry"]["ports"]
    assert f"TOUCHSTREAM_SCHEMA_REGISTRY_URL=http://{registry.rpartition(':')[0]}/apis/ccompat/v7 " in TEXT
    assert registry.endswith(":8080") and "127.0.0.1:8080" in SERVICES["schema-registry"]["healthcheck"]["test"][1]
    assert kafka["environment"]["KAFKA_LOG_DIRS"] == "/var/lib/kafka/data"


def test_workers_scale_and_are_scraped() -> None:
    """A worker has no name or host port of its own; Prometheus finds each by the service's name, on a common network."""
    worker = SERVICES["worker"]
    assert "container_name" not in worker
    assert "ports" not in worker
    scrape = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text(encoding="utf-8"))["scrape_configs"][0]
    found = scrape["dns_sd_configs"][0]
    assert (found["names"], found["type"]) == (["worker"], "A")
    assert str(found["port"]) == worker["environment"]["TOUCHSTREAM_METRICS_PORT"] == worker["expose"][0]
    assert worker["environment"]["TOUCHSTREAM_METRICS_HOST"] == "0.0.0.0"
    assert set(worker["networks"]) & set(SERVICES["prometheus"]["networks"])
    assert worker["deploy"]["replicas"] <= Settings().partitions


def test_the_ledger_is_one_and_is_scraped() -> None:
    """One ledger, which Prometheus finds by its name under a job of its own: the alerts of the workers are not about it."""
    ledger = SERVICES["ledger"]
    assert ledger["command"] == ["ledger"] and "deploy" not in ledger and "ports" not in ledger
    scrapes = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text(encoding="utf-8"))["scrape_configs"]
    (found,) = [one["dns_sd_configs"][0] for one in scrapes if one["job_name"] == "touchstream-ledger"]
    assert (found["names"], str(found["port"])) == (["ledger"], ledger["expose"][0])
    assert set(ledger["networks"]) & set(SERVICES["prometheus"]["networks"])


def test_the_gateway_asks_for_tokens() -> None:
    """It listens on all addresses of its container, so its tokens are a secret file; its port is the product's, on loopback only.
    Prometheus finds its metrics, without a token, on a network that leads nowhere else."""
    gateway = SERVICES["gateway"]
    environment = gateway["environment"]
    assert environment["TOUCHSTREAM_GATEWAY_HOST"] == "0.0.0.0"
    (secret,) = gateway["secrets"]
    assert environment["TOUCHSTREAM_GATEWAY_TOKENS_PATH"] == f"/run/secrets/{secret}"
    assert _VARIABLE.fullmatch(COMPOSE["secrets"][secret]["file"])
    scrape = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text(encoding="utf-8"))["scrape_configs"][1]
    found = scrape["dns_sd_configs"][0]
    assert (found["names"], found["type"]) == (["gateway"], "A")
    assert str(found["port"]) == environment["TOUCHSTREAM_GATEWAY_METRICS_PORT"] == gateway["expose"][0]
    assert set(gateway["networks"]) & set(SERVICES["prometheus"]["networks"])
    port = Settings().gateway_port
    assert [_filled(one) for one in gateway["ports"]] == [f"127.0.0.1:{port}:{port}"]
    assert f":{port}/healthz" in gateway["healthcheck"]["test"][-1]


def test_every_file_and_volume_exists() -> None:
    """What is mounted or built from exists in the repository; named volumes are declared, and none is left over."""
    used = set()
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source, _, target = volume.partition(":")
            if source.startswith("./"):
                assert (ROOT / source).exists(), source
                assert target.endswith(":ro"), volume
            else:
                used.add(source)
        if "build" in service:
            assert (ROOT / service["build"]["dockerfile"]).is_file()
    assert used == set(COMPOSE["volumes"])


def test_images_have_versions() -> None:
    """Each image has an exact tag: the same file starts the same versions next year."""
    for name, service in SERVICES.items():
        tag = service["image"].rpartition(":")[2]
        assert re.match(r"v?\d+\.\d+", tag), (name, service["image"])


def test_our_containers_may_do_little() -> None:
    """Read-only root file system, no capabilities, no new privileges; written to are only memory-backed folders."""
    for name in OURS:
        service = SERVICES[name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert {Path(mount.split(":")[0]) for mount in service["tmpfs"]} == {Path("/tmp"), Path("/var/lib/touchstream")}
