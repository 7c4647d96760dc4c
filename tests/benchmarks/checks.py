"""`python -m tests.benchmarks.checks`: how long a check takes at a steady rate while a worker is loaded, and how many a gateway can answer.

Checks are sent at their time, whatever becomes of the ones before, and the latency is from when a check was due: a gateway that falls
behind cannot hide it. Everything runs on this machine: Kafka, Redis, the worker, the producer, the gateway, and who asks.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import msgspec
import uvloop

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


def produce(settings: Settings, rate: float, seconds: float, touches: int) -> None:
    """Touches of `CUSTOMERS` customers, at a steady rate for so long (0: as fast as it goes); in a process of its own."""
    client = Client(settings=settings)
    made = histories.stream(9, CUSTOMERS, touches)
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


def _rested(answer: dict[str, Any]) -> bool:
    return answer["degraded"] is None and answer["view"]["lag_records"] == 0


@click.command()
@click.option("--rate", default=500.0, show_default=True, help="Checks a second.")
@click.option("--load", default=1250.0, show_default=True, help="Touches a second for the worker.")
@click.option("--seconds", default=30.0, show_default=True)
def main(rate: float, load: float, seconds: float) -> None:
    """Measure checks beside a loaded worker."""
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
            with Worker(settings), Gateway(settings, TOUCHSTREAM_GATEWAY_RATE="100000") as gateway:
                produce(settings, 0, 0, 60_000)
                time.sleep(3)  # the worker tells of its backlog once a second
                one = asks[0]
                wait_until(
                    lambda: _rested(gateway.call("POST", "/v1/checks", one)[1]), 180, "the backlog to be worked off"
                )
                for loaded in (0.0, load):
                    child = multiprocessing.get_context("spawn").Process(
                        target=produce, args=(settings, loaded, seconds + 10, int(loaded * (seconds + 10)))
                    )
                    if loaded:
                        child.start()
                        time.sleep(6)
                    before = gateways_own(gateway.url)
                    took, degraded = uvloop.run(checks(gateway.url, bodies, rate, seconds))
                    after = gateways_own(gateway.url)
                    cuts = statistics.quantiles(took, n=1000)
                    click.echo(
                        f"{rate:g} checks/s beside {loaded:g} touches/s: p50 {cuts[499] * 1000:.1f} ms, p95 {cuts[949] * 1000:.1f} ms,"
                        f" p99 {cuts[989] * 1000:.1f} ms, max {max(took) * 1000:.0f} ms; {len(took)} checks, {degraded} degraded"
                    )
                    own = [quantile(before, after, share) * 1000 for share in (0.5, 0.95, 0.99)]
                    click.echo("  by the gateway's own clock: p50 {:.1f} ms, p95 {:.1f} ms, p99 {:.1f} ms".format(*own))
                    if loaded:
                        child.join()
                most = uvloop.run(throughput(gateway.url, bodies, min(seconds, 10)))
                click.echo(f"throughput of one gateway, {AT_ONCE} at once, worker idle: {most:.0f} checks/s")
        finally:
            stack.stop()


if __name__ == "__main__":
    main()
