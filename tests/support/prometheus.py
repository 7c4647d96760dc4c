"""A real Prometheus for a test: on a free loopback port, with its own data directory, gone with the test."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

from tests.support.stack import unavailable
from tests.support.waiting import wait_until

PACKAGE = "the Debian package prometheus is missing: run deploy/install-debian-packages.sh as root"
JOB = "touchstream"
GATEWAY_JOB = "touchstream-gateway"
LEDGER_JOB = "touchstream-ledger"
# Prometheus takes a free port itself when told 0, and says which: no port to lose to another process.
_LISTENING = re.compile(r'msg="Listening on".* address=(\S+)')


class PromQLError(AssertionError):
    """Prometheus refused an expression; the text is its own."""


def tool(name: str) -> str:
    """Path of `prometheus` or `promtool`. Without it the test fails in CI and is skipped elsewhere, with the package's name."""
    path = shutil.which(name)
    if path is None:
        unavailable(f"no {name}: {PACKAGE}")
        raise AssertionError("unavailable() always raises")
    return path


class PrometheusServer:
    """Scrapes `targets` (host:port, their /metrics) as the job "touchstream", `gateways` as "touchstream-gateway" and
    `ledgers` as "touchstream-ledger" every second, and evaluates the rules of `rules` (a rule file) every second.

    with PrometheusServer(["127.0.0.1:9464"], Path("deploy/prometheus/alerts.yml")) as prometheus:
        prometheus.wait_scraped()
        prometheus.query("up")
    """

    def __init__(
        self, targets: list[str], rules: Path | None = None, gateways: Sequence[str] = (), ledgers: Sequence[str] = ()
    ) -> None:
        self._jobs = {JOB: targets, GATEWAY_JOB: list(gateways), LEDGER_JOB: list(ledgers)}
        self._targets = [*targets, *gateways, *ledgers]
        self._rules = rules
        self.address = ""  # host:port, known once it listens

    def __enter__(self) -> PrometheusServer:
        binary = tool("prometheus")
        self._home = Path(tempfile.mkdtemp(prefix="touchstream-prometheus-"))
        config = self._home / "prometheus.yml"
        config.write_text(yaml.safe_dump(self._config()), encoding="utf-8")
        with (self._home / "log").open("wb") as log:
            options = [f"--config.file={config}", f"--storage.tsdb.path={self._home / 'data'}"]
            command = [binary, *options, "--web.listen-address=127.0.0.1:0"]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            wait_until(self._ready, 60, "Prometheus is ready")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=90)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._home)

    def query(self, expr: str) -> list[dict[str, Any]]:
        """The instant vector of `expr`: one {"metric": labels, "value": [unix time, text]} a series; a scalar as one series.

        Raises:
            PromQLError: Prometheus does not accept the expression.
        """
        data = self._get("query", query=expr)
        return [{"metric": {}, "value": data["result"]}] if data["resultType"] == "scalar" else list(data["result"])

    def rules(self) -> list[dict[str, Any]]:
        """Every rule of the file with its `health` ("ok", "err", "unknown"), `lastError` and `state`."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def wait_scraped(self, times: int = 4, seconds: float = 90) -> None:
        """Until each target answered `times` scrapes and each rule was evaluated, so that rates and rules have something to say."""
        expr = f'count_over_time((up{{job=~"{"|".join(self._jobs)}"}} == 1)[10m:1s]) >= {times}'
        wait_until(lambda: len(self.query(expr)) == len(self._targets), seconds, f"{times} scrapes of {self._targets}")
        wait_until(
            lambda: all(rule["health"] != "unknown" for rule in self.rules()), seconds, "every rule was evaluated"
        )

    def _config(self) -> dict[str, Any]:
        return {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [] if self._rules is None else [str(self._rules.resolve())],
            "scrape_configs": [
                {"job_name": job, "static_configs": [{"targets": targets}]} for job, targets in self._jobs.items()
            ],
        }

    def _ready(self) -> bool:
        log = (self._home / "log").read_text(encoding="utf-8")
        if self._process.poll() is not None:
            raise AssertionError(f"Prometheus ended at once: {log}")
        listening = _LISTENING.search(log)
        if listening is None:
            return False
        self.address = listening[1]
        try:
            with urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:  # not listening yet, or 503 while it reads its log; wait_until has the deadline
            return False

    def _get(self, path: str, **parameters: str) -> dict[str, Any]:
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=90) as answer:
                return dict(json.load(answer)["data"])
        except urllib.error.HTTPError as error:
            raise PromQLError(f"{parameters}: {error.read().decode()}") from None
