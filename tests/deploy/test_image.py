"""deploy/Dockerfile: what can be known without Docker. The image itself is not built here."""

from __future__ import annotations

import fnmatch
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.exercised import exercised_worker
from tests.support.promql import DEPLOY

ROOT = DEPLOY.parent
# Continuation lines joined, comments left out: one instruction a line.
INSTRUCTIONS = [
    line
    for line in re.sub(r"\\\n", " ", (DEPLOY / "Dockerfile").read_text(encoding="utf-8")).splitlines()
    if line and not line.startswith("#")
]


def _of(instruction: str) -> list[str]:
    return [line.partition(" ")[2].strip() for line in INSTRUCTIONS if line.startswith(instruction + " ")]


def test_dependencies_come_locked() -> None:
    """pip installs the lock with hashes, then our wheel without dependencies, and nothing else."""
    installs = [run for run in _of("RUN") if "pip install" in run]
    assert "--require-hashes -r deploy/requirements.lock" in installs[0]
    assert "pip install --no-deps /wheels/touchstream-" in installs[1]
    assert len(installs) == 2


def test_the_image_runs_as_nobody_special() -> None:
    """The last stage has a fixed, non-root user by number, the product as entry point and a worker as default."""
    assert _of("USER") == ["10001:10001"]
    assert [json.loads(one) for one in _of("ENTRYPOINT")] == [["touchstream"]]
    assert [json.loads(one) for one in _of("CMD")] == [["worker"]]
    assert len(_of("FROM")) == 2


def test_the_python_is_the_tested_one() -> None:
    """The image's Python is one that pyproject.toml allows; CI says with which the tests ran."""
    match = re.search(r"python:(\d+)\.(\d+)-slim", "".join(_of("ARG")))
    assert match is not None
    assert (int(match[1]), int(match[2])) >= (3, 11)


def test_what_is_copied_is_there_and_let_in() -> None:
    """Each source of a COPY exists, and the ignore file lets it, and nothing else, into the build."""
    rules = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    let_in = [rule[1:] for rule in rules if rule.startswith("!")]
    assert "*" in rules
    sources = [source for copy in _of("COPY") if not copy.startswith("--from") for source in copy.split()[:-1]]
    for source in sources:
        assert any(fnmatch.fnmatch(source, rule) for rule in let_in), source
        # README.md is written last; a build without it fails loudly at this COPY.
        assert source == "README.md" or (ROOT / source).exists(), source
    assert sorted(let_in) == sorted(sources)


def _health_command() -> list[str]:
    command: list[str] = json.loads(_of("HEALTHCHECK")[0].partition("CMD ")[2])
    return command


def test_the_health_check_sees_a_live_worker() -> None:
    """The health check's program, run against a real endpoint, succeeds while it answers and fails when it does not."""
    python, *arguments = _health_command()
    assert python == "python"
    with exercised_worker() as address:
        environment = {"TOUCHSTREAM_METRICS_PORT": address.rpartition(":")[2]}
        assert _status(arguments, environment) == 0
    assert _status(arguments, environment) != 0


def _status(arguments: list[str], environment: dict[str, str]) -> int:
    done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, timeout=180, check=False)
    return done.returncode


@pytest.mark.parametrize(
    "file", sorted(path for path in DEPLOY.rglob("*") if path.is_file()), ids=lambda p: str(p.name)
)
def test_no_registry_or_machine_is_named(file: Path) -> None:
    """No file under deploy/ names a package registry's host, or this machine's folders."""
    text = file.read_text(encoding="utf-8")
    hosts = re.findall(r"(?:https?://|--index-url\s+)([\w.-]+)", text)
    assert set(hosts) <= {"127.0.0.1", "localhost", "prometheus", "schema-registry"}, hosts
    assert str(ROOT) not in text
