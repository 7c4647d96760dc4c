"""`python -m tests.benchmarks.latency`: from producing a touch to holding its finding, at 25, 50 and 75 % of the measured maximum.

One process produces touches at a steady rate, whatever becomes of them, and notes when each was handed to Kafka; this one reads the
alert topics. The latency of a finding is the time of its arrival here less the time at which its cause was produced: the touch
that made this revision of it, which the finding names. (Its own touches do not tell. When a mail brings two customers together, what
was found for the one is retracted and found anew for the other: old touches, and the cause is the mail.) The first seconds of each
load are warm-up and are left out: the broker's Java compiles, and the worker takes in what came before it was ready.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import click
import psutil
from aiokafka import AIOKafkaConsumer

from streams.edge import topic_admin
from streams.edge.client import Client
from streams.edge.codec import Codec
from streams.edge.embedded.stack import EmbeddedStack
from streams.edge.topics import CONFLICTS, HANDOFFS
from streams.settings import Settings
from tests.benchmarks import measure, report
from tests.benchmarks.plan import Run
from tests.support import histories
from tests.support.worker import ROOT, Worker

WARM_UP = 10.0


def produce(run: Run, rate: float, seconds: float, notes: Path) -> None:
    """Touches at `rate` a second; `notes` gets a line "touch id, UNIX seconds" for each."""
    from tests.benchmarks.load import steady  # with confluent-kafka, which only this process needs

    settings = run.settings()
    client = Client(settings=settings)
    made = list(histories.stream(9, 20_000, int(rate * seconds)))
    with notes.open("w") as file:
        steady(
            settings,
            [client.encode(touch) for touch in made],
            rate,
            note=lambda n, at: file.write(f"{made[n].touch_id} {at:.6f}\n"),
        )


async def arrivals(settings: Settings, stop: asyncio.Event) -> list[tuple[float, bytes]]:
    """Every record of the alert topics with the moment at which it was here, until `stop` is set and nothing comes any more."""
    consumer = AIOKafkaConsumer(
        settings.topic(CONFLICTS),
        settings.topic(HANDOFFS),
        bootstrap_servers=settings.bootstrap,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    found: list[tuple[float, bytes]] = []
    try:
        while True:
            polled = await consumer.getmany(timeout_ms=1000)
            now = time.time()
            found += [(now, record.value) for records in polled.values() for record in records]
            if stop.is_set() and not polled:
                return found
    finally:
        await consumer.stop()


async def _observe(run: Run, rate: float, seconds: float, notes: Path) -> list[tuple[float, bytes]]:
    stop = asyncio.Event()
    reading = asyncio.create_task(arrivals(run.settings(), stop))
    command = [sys.executable, "-m", "tests.benchmarks.latency", "--produce", run.encode()]
    command += ["--rate", str(rate), "--seconds", str(seconds), "--notes", str(notes)]
    load = await asyncio.create_subprocess_exec(*command, cwd=ROOT)
    if await load.wait() != 0:
        raise click.ClickException("the load generator failed")
    stop.set()
    return await reading


def noted(notes: Path) -> tuple[dict[str, float], float, float]:
    """When each touch was produced first (UNIX seconds), the rate that was really produced, and by how many seconds at most the
    generator was behind its own schedule."""
    lines = [line.split() for line in notes.read_text().splitlines()]
    produced: dict[str, float] = {}
    for touch_id, moment in lines:
        produced.setdefault(touch_id, float(moment))
    moments = [float(moment) for _, moment in lines]
    rate = len(lines) / (moments[-1] - moments[0])
    late = max(moment - moments[0] - n / rate for n, moment in enumerate(moments))
    return produced, rate, late


def latencies(found: list[tuple[float, bytes]], produced: dict[str, float]) -> list[float]:
    """Seconds, of all findings whose cause was produced after the warm-up."""
    start, codec, result = min(produced.values()) + WARM_UP, Codec(), []
    for arrived, value in found:
        finding = codec.decode_finding(value)
        if finding.cause is None:
            raise click.ClickException(f"finding {finding.finding_id} names no cause")
        caused = produced[finding.cause.id]
        if caused >= start:
            result.append(arrived - caused)
    return result


def measured(stack: EmbeddedStack, share: float, maximum: float, seconds: float, directory: Path) -> dict[str, float]:
    """One load on a fresh worker."""
    run = measure.make_run(stack, "whole_worker", f"l{share:.0f}.", 0, "latency")
    settings, notes = run.settings(), directory / f"{share:.0f}"
    asyncio.run(topic_admin.create_missing(settings))
    rate = maximum * share / 100
    with Worker(settings) as worker:
        assert worker.process is not None
        process = psutil.Process(worker.process.pid)
        before = process.cpu_times()
        found = asyncio.run(_observe(run, rate, seconds + WARM_UP, notes))
        after = process.cpu_times()
    produced, achieved, late = noted(notes)
    times = latencies(found, produced)
    cuts = statistics.quantiles(times, n=100)
    return {
        "rate_wanted": round(rate),
        "rate": round(achieved),
        "generator_late_ms": round(late * 1000, 1),
        "findings": len(times),
        "p50_ms": round(cuts[49] * 1000, 1),
        "p99_ms": round(cuts[98] * 1000, 1),
        "max_ms": round(max(times) * 1000, 1),
        "cpu_us": round((after.user + after.system - before.user - before.system) / (rate * (seconds + WARM_UP)) * 1e6),
    }


@click.command()
@click.option(
    "--maximum", type=float, help="Touches a second that the worker can do. Default: whole_worker in results.json."
)
@click.option("--seconds", type=float, default=20.0, show_default=True, help="Of each load, after the warm-up.")
@click.option("--produce", "run", hidden=True)
@click.option("--rate", type=float, hidden=True)
@click.option("--notes", type=Path, hidden=True)
def main(maximum: float | None, seconds: float, run: str | None, rate: float | None, notes: Path | None) -> None:
    """Measure; adds to results.json under "latency"."""
    if run is not None and rate is not None and notes is not None:
        produce(Run.decode(run), rate, seconds, notes)
        return
    if maximum is None:
        maximum = float(json.loads(report.RESULTS.read_text())["whole_worker"]["touchstream"])
    with tempfile.TemporaryDirectory(prefix="bench-") as name, EmbeddedStack(Path(name), 0, 0) as stack:
        for share in (25.0, 50.0, 75.0):
            row = measured(stack, share, maximum, seconds, Path(name))
            report.add("latency", f"{share:.0f} %", row)
            click.echo(f"{share:.0f} % of the maximum: " + " ".join(f"{key}={value}" for key, value in row.items()))


if __name__ == "__main__":
    main()
