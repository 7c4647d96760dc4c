"""`touchstream ledger`: keeps the figures of both departments up to date, from the topics to a topic, Redis and /metrics."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from typing import Any

import click
from prometheus_client import start_http_server

from streams.commands.common import CommandError, kafka_options, load_policy, load_settings
from streams.commands.policy_in_force import in_force
from streams.commands.worker import LOG_FORMAT
from streams.core.policy import Policy
from streams.core.published import Published
from streams.edge import crash_points
from streams.edge.codec import DecodeError
from streams.edge.ledger_input import Damaged
from streams.edge.ledger_metrics import LedgerMetrics
from streams.edge.ledger_process import LedgerProcess
from streams.edge.ledger_writer import Superseded
from streams.edge.metrics import registry_of_process
from streams.edge.policies import Policies
from streams.edge.publisher import PublishError
from streams.edge.reader import ReadError, open_codec
from streams.edge.registry import RegistryRefused, RegistryUnavailable
from streams.settings import Settings

log = logging.getLogger("touchstream.ledger")

_ENDS = (
    ReadError, PublishError, DecodeError, Damaged, Superseded, RegistryUnavailable, RegistryRefused,
)  # fmt: skip


@click.command()
@kafka_options
@click.option("--redis", "redis_url", metavar="URL", help="Redis-compatible server; default TOUCHSTREAM_REDIS_URL.")
@click.option("--metrics-host", metavar="ADDRESS", help="Address of /metrics; default loopback.")
@click.option("--metrics-port", type=int, metavar="PORT", help="Port of /metrics; 0 takes a free one, which is logged.")
@click.option(
    "--policy", "policy_path", metavar="FILE", help="Policy file (TOML), the workers' one; until one is published."
)
def ledger(policy_path: str | None, **options: Any) -> None:
    """Keep the ledger's figures up to date, until told to stop. One process works; more of an installation stand by for it.

    It reads touches with their customers, deals, costs, lead events and conflicts. It publishes every figure by month and quarter to the
    topic `ledger`, with its revision and what changed it, and serves how hand-offs go at /metrics. The figures are those of
    `touchstream report --from-kafka`, to the cent. What it knows is kept in the topic `ledger.facts`, pseudonymous, longer than the
    sources keep it; ended at any moment, it goes on from there. It goes by the published policy; when another one
    is published it begins anew by that one, and reckons all periods again.
    """
    settings = load_settings(policy_path=policy_path, **options)
    policy = load_policy(policy_path, settings)
    logging.basicConfig(level=settings.log_level, format=LOG_FORMAT, stream=sys.stderr, force=True)
    logging.getLogger("aiokafka").setLevel("WARNING")
    crash_points.arm(settings.crash_at)
    metrics = LedgerMetrics(registry_of_process())
    try:
        server, thread = start_http_server(settings.metrics_port, settings.metrics_host, metrics.registry)
    except OSError as error:
        raise CommandError(
            f"cannot serve metrics on {settings.metrics_host}:{settings.metrics_port}: {error.strerror}; give --metrics-port"
        ) from None
    log.info("metrics on http://%s:%d/metrics", *server.server_address[:2])
    try:
        asyncio.run(_until_stopped(settings, policy, metrics))
    except _ENDS as error:
        raise CommandError(str(error)) from None
    finally:
        server.shutdown()
        thread.join()


async def _until_stopped(settings: Settings, own: Policy, metrics: LedgerMetrics) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    while not stop.is_set():
        policy, published = await in_force(settings, own)
        await _under(policy, published, settings, metrics, stop)
        if not stop.is_set():
            log.info("another policy was published: beginning anew, all periods are reckoned by it")


async def _under(
    policy: Policy, published: Published | None, settings: Settings, metrics: LedgerMetrics, stop: asyncio.Event
) -> None:
    """Work by a policy, until told to stop or until a later one is published."""
    end = asyncio.Event()

    async def pass_on() -> None:
        await stop.wait()
        end.set()

    async with open_codec(settings) as codec:
        later = Policies(settings, codec, lambda *_: end.set())
        later.latest = published
        following, stopping = asyncio.create_task(later.follow()), asyncio.create_task(pass_on())
        following.add_done_callback(lambda _: end.set())  # it never returns: it has failed
        try:
            await LedgerProcess(settings, policy, metrics).run(end)
            if following.done():
                following.result()
        finally:
            following.cancel()
            stopping.cancel()
            await asyncio.gather(following, stopping, return_exceptions=True)
