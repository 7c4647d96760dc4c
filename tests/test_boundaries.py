"""What the layout promises: the core can do no IO, modules are small, the map is true."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import streams
from streams.core.policy import Policy, parse
from streams.edge.metrics import CATALOGUE

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "streams"

# Kafka, Redis and web clients, the event loop, sockets and processes. Whoever loads one of these can do IO.
FORBIDDEN = {
    "faust",
    "aiokafka",
    "redis",
    "prometheus_client",
    "asyncio",
    "socket",
    "ssl",
    "subprocess",
    "multiprocessing",
}
FORBIDDEN |= {"http.client", "urllib.request", "aiohttp", "requests"}

_WALK = """
import importlib, json, pkgutil, sys
import streams.core
names = [module.name for module in pkgutil.walk_packages(streams.core.__path__, "streams.core.")]
loaded_by = {}
for name in names:
    before = set(sys.modules)
    importlib.import_module(name)
    for new in set(sys.modules) - before:
        loaded_by[new] = name
print(json.dumps([names, loaded_by]))
"""


def test_the_core_loads_nothing_that_can_do_io() -> None:
    """All modules of streams.core, in a fresh interpreter, leave every IO module unloaded, and all of streams.edge."""
    process = subprocess.run([sys.executable, "-c", _WALK], capture_output=True, text=True, check=True, cwd=ROOT)
    names, loaded_by = json.loads(process.stdout)
    assert {"streams.core.pipeline", "streams.core.detect.handoff", "streams.core.claims.extract"} <= set(names)
    guilty = {name: culprit for name, culprit in loaded_by.items() if name in FORBIDDEN}
    assert guilty == {}, f"IO modules and the core module that loaded them: {guilty}"
    outside = {
        name: culprit for name, culprit in loaded_by.items() if name.startswith(("streams.edge", "streams.commands"))
    }
    assert outside == {}, f"modules outside the core and the core module that loaded them: {outside}"


def test_no_module_is_long() -> None:
    """400 lines at most, code and tests alike."""
    files = [path for folder in ("streams", "tests", "schemas", "deploy") for path in (ROOT / folder).rglob("*.py")]
    assert len(files) > 100
    long = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    assert {name: lines for name, lines in long.items() if lines > 400} == {}


def test_the_map_is_true() -> None:
    """Every module and metric that the map in streams/__init__.py names exists."""
    text = streams.__doc__ or ""
    modules = set(re.findall(r"streams\.[a-z_.]+[a-z]", text))
    assert len(modules) >= 7
    assert [name for name in sorted(modules) if importlib.util.find_spec(name) is None] == []
    metrics = set(re.findall(r"touchstream_[a-z_]+", text))
    assert metrics - {spec.name for spec in CATALOGUE} == set()
    rows = [line.split() for line in text.split("stage ")[1].split("\n\n")[0].splitlines()[2:] if "streams." in line]
    assert len(rows) == 6


def test_the_shipped_policy_is_the_default() -> None:
    """streams/policy.toml, the documentation of every number, gives exactly the defaults in code."""
    assert parse((PACKAGE / "policy.toml").read_text(encoding="utf-8"), "policy.toml") == Policy()
