"""What was measured: results.json, a table for people, a plot."""

from __future__ import annotations

import json
import os
import platform
import re
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

from streams.edge.embedded import java
from tests.benchmarks.measure import Result

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
PEERS = (
    "touchstream",
    "touchstream_2_workers",
    "quixstreams",
    "quixstreams_redis",
    "bytewax",
    "bytewax_redis",
    "faust_guide",
    "librdkafka_loop",
    "kafka_streams",
    "kafka_streams_2_threads",
)
TITLES = {
    "touchstream": "touchstream",
    "touchstream_2_workers": "touchstream, 2 workers",
    "quixstreams": "Quix Streams",
    "quixstreams_redis": "Quix Streams, same identities",
    "bytewax": "Bytewax",
    "bytewax_redis": "Bytewax, same identities",
    "faust_guide": "Faust, as its guide",
    "librdkafka_loop": "bare librdkafka loop",
    "kafka_streams": "Kafka Streams, 1 thread",
    "kafka_streams_2_threads": "Kafka Streams, 2 threads",
}
PANELS = {
    "whole_worker": "whole worker, 200k touches of 20k customers",
    "whole_worker_1m": "whole worker, 1M touches of 100k customers",
    "rule_only": "24 h rule only, 200k touches of 20k customers",
    "rule_only_1m": "24 h rule only, 1M touches of 100k customers",
}


def machine() -> dict[str, Any]:
    """Facts that the numbers depend on."""
    cpuinfo = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.+)", cpuinfo.read_text()) if cpuinfo.exists() else None
    commit = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"], cwd=HERE, capture_output=True, text=True, check=False
    )
    names = ("faust-streaming", "aiokafka", "fastavro", "quixstreams", "bytewax", "confluent-kafka")
    return {
        "cpu": model[1] if model else platform.processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "java": java.find().version,
        "packages": {name: found for name in names if (found := _version(name))},
        "kafka": "4.2.0, one broker on the same machine",
        "commit": commit.stdout.strip(),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def medians(results: Sequence[Result]) -> dict[str, dict[str, float]]:
    """By engine: median, least and greatest rate (records/s), number of runs, processor time a record (us), peak memory (MiB)."""
    found: dict[str, dict[str, float]] = {}
    for name in dict.fromkeys(result.engine for result in results):
        rates = [result.rate for result in results if result.engine == name]
        found[name] = {
            "median": round(statistics.median(rates)),
            "min": round(min(rates)),
            "max": round(max(rates)),
            "runs": len(rates),
            "cpu_us": round(statistics.median(result.cpu_us for result in results if result.engine == name), 1),
            "rss_mb": round(max(result.rss_mb for result in results if result.engine == name)),
        }
    return found


def merge(name: str, measured: Mapping[str, Mapping[str, float]], path: Path = RESULTS) -> dict[str, Any]:
    """Put one job's figures into results.json; engines that were not run keep what an earlier run wrote."""
    stored: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    stored.setdefault(name, {}).update({engine: row["median"] for engine, row in measured.items()})
    stored.setdefault("details", {}).setdefault(name, {}).update(measured)
    stored["machine"] = machine()
    path.write_text(json.dumps(stored, indent=2, sort_keys=True) + "\n")
    return stored


def add(name: str, what: str, row: Mapping[str, float], path: Path = RESULTS) -> None:
    """Put one measurement of another kind (latency, recovery) into results.json."""
    stored: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    stored.setdefault(name, {})[what] = dict(row)
    stored["machine"] = machine()
    path.write_text(json.dumps(stored, indent=2, sort_keys=True) + "\n")


def table(name: str, measured: Mapping[str, Mapping[str, float]]) -> str:
    """Rates with spread, and how many times the peer's rate touchstream's is."""
    ours = measured.get("touchstream", {}).get("median")
    lines = [
        f"{name:<26}{'records/s':>10}{'min':>10}{'max':>10}{'runs':>6}{'CPU us':>8}{'MiB':>7}{'touchstream is':>16}"
    ]
    for engine in (engine for engine in PEERS if engine in measured):
        row = measured[engine]
        ratio = f"{ours / row['median']:.2f} x" if ours else ""
        lines.append(
            f"{engine:<26}{row['median']:>10,.0f}{row['min']:>10,.0f}{row['max']:>10,.0f}{row['runs']:>6}{row['cpu_us']:>8}{row['rss_mb']:>7}{ratio:>16}"
        )
    return "\n".join(lines)


def plot(stored: Mapping[str, Any], directory: Path = HERE) -> list[Path]:
    """results.png and results.svg: bars with medians, whiskers from least to greatest."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "touchstream"  # the same figure gives the same file
    from matplotlib import pyplot

    panels = [name for name in PANELS if stored.get("details", {}).get(name)]
    figure, axes = pyplot.subplots(
        len(panels), 1, figsize=(8, 0.6 + 2.5 * len(panels)), squeeze=False, layout="constrained"
    )
    for axis, name in zip(axes[:, 0], panels, strict=True):
        rows = [
            (engine, stored["details"][name][engine]) for engine in reversed(PEERS) if engine in stored["details"][name]
        ]
        rates = [row["median"] for _, row in rows]
        spread = [[row["median"] - row["min"] for _, row in rows], [row["max"] - row["median"] for _, row in rows]]
        colours = ["#1b6ca8" if engine == "touchstream" else "#b0b7bf" for engine, _ in rows]
        bars = axis.barh(
            [TITLES[engine] for engine, _ in rows],
            rates,
            xerr=spread,
            color=colours,
            error_kw={"linewidth": 1, "capsize": 3},
        )
        axis.bar_label(bars, labels=[f"{rate:,.0f}" for rate in rates], padding=6)
        axis.set_title(PANELS[name], loc="left", fontsize=10)
        axis.margins(x=0.15)
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axis.spines[["top", "right"]].set_visible(False)
    axes[-1, 0].set_xlabel("touches per second (median; whiskers: least and greatest)")
    paths = [directory / "results.png", directory / "results.svg"]
    figure.savefig(paths[0], dpi=150)
    figure.savefig(paths[1], metadata={"Date": None})
    pyplot.close(figure)
    return paths
