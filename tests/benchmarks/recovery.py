"""`python -m tests.benchmarks.recovery --customers 100000`: how long a fresh worker takes to restore, and its memory.

The changelog is written directly: timelines of ten touches each, made by the core from the benchmark's input, one record a customer
(as compacted) or more (`--records-per-customer`: as not yet compacted). Then `touchstream worker` starts. Measured: from the process's
start to its line "ready", its own recovery time from that line, its resident memory then, and what the changelog takes on disk.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import click
import psutil
from msgspec.structs import replace

from streams.core import backtest
from streams.core.policy import Policy
from streams.core.timeline import encode
from streams.edge import topic_admin
from streams.edge.embedded.stack import EmbeddedStack
from streams.edge.topics import changelog
from streams.settings import Settings
from tests.benchmarks import cluster, measure, report
from tests.support import histories
from tests.support.worker import environment

SAMPLE = 1000
LIMIT = 1800.0


def timelines() -> list[bytes]:
    """Encoded timelines of `SAMPLE` customers with ten touches each."""
    made = histories.stream(5, SAMPLE, SAMPLE * 10)
    # Ids as long as the SDK's: they are a fifth of an entry.
    touches = [replace(touch, touch_id=str(uuid.uuid5(uuid.NAMESPACE_OID, touch.touch_id))) for touch in made]
    now = time.time_ns() // 1_000_000
    result = backtest.run(touches, Policy(), id_key="bench", region="US", now=now)
    return [encode(timeline) for timeline in result.timelines.values()]


def records(customers: int, topic: str, turns: int) -> Iterator[tuple[str, bytes, bytes]]:
    """The changelog: all customers, `turns` times."""
    values = timelines()
    for number in itertools.chain.from_iterable(range(customers) for _ in range(turns)):
        yield topic, b"c2-%024x" % number, values[number % len(values)]


async def fill(settings: Settings, customers: int, turns: int) -> None:
    """Topics, and the changelog."""
    await topic_admin.create_missing(settings)
    await cluster.write(settings.bootstrap, records(customers, changelog(settings), turns))


def restore(settings: Settings) -> dict[str, float]:
    """One worker's start: timelines restored, seconds (its own, and from the start of the process), MiB."""
    began = time.monotonic()
    with measure.child([sys.executable, "-m", "streams", "worker"], environment(settings)) as worker:
        while True:
            line = next((line for line in worker.log if "timelines restored" in line), None)
            if worker.over() or time.monotonic() - began > LIMIT:
                raise measure.Failed("the worker did not get ready:\n" + "".join(worker.log))
            if line is not None:
                took = time.monotonic() - began
                match = re.search(r"ready: (\d+) timelines restored in ([\d.]+) s", line)
                assert match, line
                rss = psutil.Process(worker.process.pid).memory_info().rss / 2**20
                return {
                    "timelines": int(match[1]),
                    "recovery_seconds": float(match[2]),
                    "timelines_per_second": round(int(match[1]) / max(float(match[2]), 0.1)),
                    "start_to_ready_seconds": round(took, 1),
                    "rss_mb": round(rss),
                    "peak_rss_mb": round(max(worker.rss / 2**20, rss)),
                }
            time.sleep(0.1)


@click.command()
@click.option("--customers", type=click.IntRange(1, 10_000_000), default=100_000, show_default=True)
@click.option("--records-per-customer", "turns", type=click.IntRange(1, 100), default=1, show_default=True)
def main(customers: int, turns: int) -> None:
    """Measure; adds to results.json under "recovery"."""
    with tempfile.TemporaryDirectory(prefix="bench-") as data, EmbeddedStack(Path(data), 0, 0) as stack:
        settings = measure.make_run(stack, "whole_worker", "r.", 0, "recovery").settings()
        asyncio.run(fill(settings, customers, turns))
        size = sum(log.stat().st_size for log in Path(data).rglob(f"{changelog(settings)}-*/*.log"))
        click.echo(f"changelog of {customers * turns:,} records written", err=True)
        try:
            row = restore(settings)
        except measure.Failed as error:
            raise click.ClickException(str(error)) from None
        if row["timelines"] != customers:
            raise click.ClickException(f"{row['timelines']:,} of {customers:,} timelines were restored")
        row["changelog_mb"] = round(size / 2**20)
        report.add("recovery", f"{customers} customers, {turns} records each", row)
        click.echo(" ".join(f"{name}={value}" for name, value in row.items()))


if __name__ == "__main__":
    main()
