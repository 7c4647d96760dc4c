"""`python -m tests.benchmarks.checks`: how long a check takes at a steady rate while a worker is loaded, and how many a gateway can answer.

Checks are sent at their time, whatever becomes of the ones before, and the latency is from when a check was due: a gateway that falls
behind cannot hide it. Everything runs on this machine: Kafka, Redis, the worker, the producer, the gateway, and who asks.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec
import uvloop
from msgspec.structs import replace

from streams.core.policy import DAY_MS
from streams.edge import topic_admin
from streams.edge.client import Client
from streams.edge.embedded.stack import EmbeddedStack
from streams.settings import Settings
from tests.benchmarks.asking import Asker, asker
from tests.benchmarks.load import steady
from tests.gateway.running import Gateway
from tests.support import histories
from tests.support.scraped import scrape
from tests.support.waiting import wait_until
from tests.support.worker import Worker

CUSTOMERS = 20_000
WARM_UP = 5.0
AT_ONCE = 64


def produce(settings: Settings, rate: float, seconds: float, touches: int, seed: int, days: float) -> None:
    """Touches of `CUSTOMERS` customers during the days up to now, at a steady rate for so long (0: as fast as it goes); in a process of its
    own. They are recent, so that rules count them and the worker judges them, and those of each seed are others."""
    client = Client(settings=settings)
    shift = time.time_ns() // 1_000_000 - histories.START - int(days * DAY_MS)
    made = (replace(t, occurred_at=t.occurred_at + shift) for t in histories.stream(seed, CUSTOMERS, touches, days))
    steady(settings, [client.encode(touch) for touch in made], rate, seconds)


async def checks(url: str, asks: list[bytes], rate: float, seconds: float) -> tuple[list[float], int]:
    """Latencies (seconds) of checks at this rate, without the warm-up, and how many answers were degraded."""
    took: list[float] = []
    degraded = 0
    began = time.monotonic()

    async def one(ask: Asker, due: float) -> None:
        nonlocal degraded
        told = await ask.post(random.choice(asks))
        if due - began > WARM_UP:
            took.append(time.monotonic() - due)
            degraded += b'"degraded":null' not in told

    async with asker(f"{url}/v1/checks", AT_ONCE) as ask, asyncio.TaskGroup() as group:
        for n in range(int(rate * seconds)):
            due = began + n / rate
            if (wait := due - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            group.create_task(one(ask, due))
    return took, degraded


async def throughput(url: str, asks: list[bytes], seconds: float) -> float:
    """Checks a second with `AT_ONCE` under way all the time."""
    ends, count = time.monotonic() + seconds, 0

    async def some(ask: Asker) -> None:
        nonlocal count
        while time.monotonic() < ends:
            await ask.post(random.choice(asks))
            count += 1

    async with asker(f"{url}/v1/checks", AT_ONCE) as ask, asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(some(ask))
    return count / seconds


Buckets = dict[float, float]


def gateways_own(url: str) -> Buckets:
    """Checks that the gateway answered within so many seconds, by its own clock: without the wait of who asks for a core."""
    told = scrape(url.removeprefix("http://"))
    name = "touchstream_gateway_request_seconds_bucket"
    return {float(labels["le"]): count for labels, count in told.series(name, route="/v1/checks")}


def quantile(before: Buckets, after: Buckets, share: float) -> float:
    """Seconds within which this share of the checks between two readings was answered, as Prometheus tells it from the buckets."""
    counts = [(bound, after[bound] - before.get(bound, 0.0)) for bound in sorted(after)]
    wanted, low, below = share * counts[-1][1], 0.0, 0.0
    for bound, count in counts:
        if count >= wanted and bound != float("inf"):
            return low + (bound - low) * (wanted - below) / (count - below)
        low, below = bound, count
    return counts[-2][0]


def step_back(processes: Sequence[int], nice: int) -> None:
    """Has these processes leave the cores to others, as `cpu_shares` does in docker-compose.yml: 10 is a ninth of the weight of the rest.
    Each has a session of its own, and between sessions Linux goes by the nice of these (sched(7), "The autogroup feature")."""
    for pid in processes:
        Path(f"/proc/{pid}/autogroup").write_text(str(nice), encoding="ascii")


def put_first(processes: Sequence[int], priority: int) -> None:
    """Has these processes run before all others, as `chrt --rr` does (sched(7), "SCHED_RR"); 0: as all others. Needs CAP_SYS_NICE."""
    for pid in processes:
        for task in Path(f"/proc/{pid}/task").iterdir():
            policy = os.SCHED_RR if priority else os.SCHED_OTHER
            os.sched_setscheduler(int(task.name), policy, os.sched_param(priority))


def report(url: str, bodies: list[bytes], rate: float, seconds: float, beside: str) -> None:
    """Ask for so many seconds, and print how long it took."""
    before = gateways_own(url)
    took, degraded = uvloop.run(checks(url, bodies, rate, seconds))
    after = gateways_own(url)
    cuts = [cut * 1000 for cut in statistics.quantiles(took, n=1000)]
    click.echo(
        f"{rate:g} checks/s beside {beside}: p50 {cuts[499]:.1f} ms, p95 {cuts[949]:.1f} ms, p99 {cuts[989]:.1f} ms,"
        f" max {max(took) * 1000:.0f} ms; {len(took)} checks, {degraded} degraded"
    )
    own = [quantile(before, after, share) * 1000 for share in (0.5, 0.95, 0.99)]
    click.echo("  by the gateway's own clock: p50 {:.1f} ms, p95 {:.1f} ms, p99 {:.1f} ms".format(*own))


def _rested(answer: dict[str, Any]) -> bool:
    return answer["degraded"] is None and answer["view"]["lag_records"] == 0


@click.command()
@click.option("--rate", default=500.0, show_default=True, help="Checks a second.")
@click.option("--load", default=1250.0, show_default=True, help="Touches a second for the worker.")
@click.option("--seconds", default=30.0, show_default=True)
def main(rate: float, load: float, seconds: float) -> None:
    """Measure checks beside an idle worker, and beside a loaded one: as processes are; with the worker and Kafka at nice 10; and with the
    gateway and Redis before all others, too, and who asks, who would not wait for a core of this machine."""
    with tempfile.TemporaryDirectory() as folder:
        stack = EmbeddedStack(Path(folder), 0, 0)
        stack.start()
        try:
            settings = Settings(
                bootstrap=stack.bootstrap, redis_url=stack.redis_url, id_key="bench", metrics_port=0, partitions=4
            )
            asyncio.run(topic_admin.create_missing(settings))
            asks: list[dict[str, object]] = []
            for touch in histories.stream(9, CUSTOMERS, 5000):
                who = {
                    name: value
                    for name in ("email", "phone", "linkedin_url", "crm_id")
                    if (value := getattr(touch.customer, name)) is not None
                }
                if who:
                    asks.append({"customer": who, "channel": "email", "department": "marketing"})
            bodies = [msgspec.json.encode(ask) for ask in asks]
            with (
                Worker(settings) as worker,
                Gateway(settings, TOUCHSTREAM_GATEWAY_RATE="100000") as gateway,
            ):
                assert worker.process is not None and stack.broker.child is not None and stack.redis.child is not None
                behind = worker.process.pid, stack.broker.child.pid
                before = gateway.process.pid, stack.redis.child.pid, os.getpid()
                produce(settings, 0, 0, 60_000, 9, 14)
                time.sleep(3)  # the worker tells of its backlog once a second

                def rested() -> bool:
                    return _rested(gateway.call("POST", "/v1/checks", asks[0])[1])

                wait_until(rested, 180, "the backlog to be worked off")
                for n, (loaded, nice, first) in enumerate(((0.0, 0, 0), (load, 0, 0), (load, 10, 0), (load, 10, 1))):
                    child = multiprocessing.get_context("spawn").Process(
                        target=produce,
                        args=(settings, loaded, seconds + 10, int(loaded * (seconds + 10)), 10 + n, 0.01),
                    )
                    if loaded:
                        child.start()
                        time.sleep(6)
                    step_back(behind, nice)
                    put_first(before, first)
                    how = f"nice {nice}{', gateway and Redis first' if first else ''}"
                    report(gateway.url, bodies, rate, seconds, f"{loaded:g} touches/s ({how})")
                    step_back(behind, 0)
                    put_first(before, 0)
                    if loaded:
                        child.join()
                        wait_until(rested, 180, "the load to be worked off")
                most = uvloop.run(throughput(gateway.url, bodies, min(seconds, 10)))
                click.echo(f"throughput of one gateway, {AT_ONCE} at once, worker idle: {most:.0f} checks/s")
        finally:
            stack.stop()


if __name__ == "__main__":
    main()
