"""`touchstream worker`: one worker against Kafka and Redis, until it is told to stop."""

from __future__ import annotations

import logging
import sys
from typing import Any

import click

from streams.commands.common import CommandError, kafka_options, load_policy, load_settings, policy_option

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


@click.command()
@kafka_options
@click.option("--redis", "redis_url", metavar="URL", help="Redis-compatible server; default TOUCHSTREAM_REDIS_URL.")
@click.option("--metrics-port", type=int, metavar="PORT", help="Port of /metrics; 0 takes a free one, which is logged.")
@policy_option
def worker(policy_path: str | None, **options: Any) -> None:
    """Run one worker. Exit codes: 0 stopped as asked, 1 wrong settings or topics, 70 left on doubt (restart it)."""
    settings = load_settings(policy_path=policy_path, **options)
    policy = load_policy(policy_path, settings)
    logging.basicConfig(level=settings.log_level, format=LOG_FORMAT, stream=sys.stderr, force=True)
    if settings.log_level != "DEBUG":  # the engine's own steps are of use only to who debugs it
        for name in ("faust", "mode", "aiokafka", "streams.edge.app", "streams.edge.transport", "streams.edge.store"):
            logging.getLogger(name).setLevel("WARNING")
    from streams.edge import worker_process

    try:
        code = worker_process.run(settings, policy)
    except worker_process.NotReadyError as error:
        raise CommandError(str(error)) from None
    sys.exit(code)
