"""One worker process: checks what it needs, serves /metrics, runs the Faust app until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import logging
import sys

import faust
from prometheus_client import start_http_server

from streams.core.policy import Policy
from streams.edge import app as app_module
from streams.edge import crash_points, topic_admin
from streams.edge.doubt import EXIT_CODE
from streams.settings import Settings

log = logging.getLogger("touchstream.worker")

SWITCH_INTERVAL = 0.0005
"""Seconds for which a thread may hold the interpreter while another wants it. With Python's 5 ms, the thread that reads from Kafka waits
so long each time it has anything to do; it has little, many times a second."""


class NotReadyError(Exception):
    """The worker cannot start; the text says what is missing and what to do."""


def run(settings: Settings, policy: Policy) -> int:
    """Run until stopped; the exit code is 0 for a wanted stop, 70 otherwise.

    Raises:
        NotReadyError: brokers unreachable, topics missing or wrong, the metrics port taken.
    """
    _check_topics(settings)
    _use_uvloop()
    sys.setswitchinterval(SWITCH_INTERVAL)
    try:
        server, _ = start_http_server(settings.metrics_port, settings.metrics_host)
    except OSError as error:
        place = f"{settings.metrics_host}:{settings.metrics_port}"
        raise NotReadyError(
            f"cannot serve metrics on {place}: {error.strerror}; set TOUCHSTREAM_METRICS_PORT to a free port, or to 0"
        ) from None
    log.info("metrics on http://%s:%d/metrics", settings.metrics_host, server.server_port)
    crash_points.arm(settings.crash_at)
    app = app_module.create(settings, policy)
    worker = faust.Worker(
        app, loglevel=settings.log_level, override_logging=False, redirect_stdouts=False, console_port=None, quiet=True
    )
    worker.spinner = None  # it prints, and a worker whose output goes to a full disk would end with that
    try:
        worker.execute_from_commandline()
    except SystemExit as stop:
        return EXIT_CODE if stop.code else 0
    except KeyboardInterrupt:
        return 0
    return EXIT_CODE if worker.crashed or app.crashed else 0


def _check_topics(settings: Settings) -> None:
    try:
        problems = asyncio.run(topic_admin.check(settings))
    except Exception as error:  # noqa: BLE001 - aiokafka raises many kinds; all mean that we cannot start
        raise NotReadyError(
            f"cannot ask Kafka at {settings.bootstrap} for its topics: {error}; is TOUCHSTREAM_BOOTSTRAP right and the broker up?"
        ) from None
    if problems:
        raise NotReadyError(
            "the topics are not as they must be; `touchstream topics create` makes missing ones:\n  "
            + "\n  ".join(problems)
        )


def _use_uvloop() -> None:
    if sys.platform != "win32":
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
