"""The gateway's process: where it listens, and how it stops. Requests under way are answered before it ends."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import signal
import socket
from collections.abc import Iterator

import uvicorn
from prometheus_client import CollectorRegistry, start_http_server

from streams.core.policy import Policy
from streams.gateway import app as app_module
from streams.gateway import tokens
from streams.gateway.service import Service
from streams.gateway.tokens import TokensError
from streams.settings import Settings

log = logging.getLogger("touchstream.gateway")

STOP_SECONDS = 10


class _Server(uvicorn.Server):
    """Ends with 0 after a signal: uvicorn's own raises the signal again once it has stopped."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        names = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle_exit) for number in names}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class CannotServe(Exception):
    """The gateway cannot start; the text says why and what to do."""


def run(settings: Settings, policy: Policy) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        CannotServe: the address is taken, needs tokens, or the tokens or Kafka cannot be used.
    """
    try:
        known = tokens.load(settings.gateway_tokens_path)
    except TokensError as error:
        raise CannotServe(str(error)) from None
    place = f"{settings.gateway_host}:{settings.gateway_port}"
    if not known and not is_loopback(settings.gateway_host):
        raise CannotServe(
            f"{place} can be reached from elsewhere, so whoever asks must have a token: make one with `touchstream gateway token"
            " --scope check`, and name their file in TOUCHSTREAM_GATEWAY_TOKENS_PATH"
        )
    listening = _bound(settings.gateway_host, settings.gateway_port, place)
    service = Service(settings, policy, known)
    app = app_module.create(service)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nobody looks at the caller's address
        timeout_graceful_shutdown=STOP_SECONDS,
        timeout_keep_alive=75,
        h11_max_incomplete_event_size=64 * 1024,
        lifespan="on",
    )
    server = _Server(config)
    with _metrics(settings, service.metrics.registry):
        _serve(server, listening, settings)


def _serve(server: _Server, listening: socket.socket, settings: Settings) -> None:
    log.info("gateway on http://%s:%d, policy %s", *listening.getsockname()[:2], settings.policy_path or "shipped")
    try:
        server.run(sockets=[listening])
    finally:
        listening.close()
    if not server.started:
        raise CannotServe(
            f"the gateway did not start: is Kafka at {settings.bootstrap} up? The log above has the cause"
        )


@contextlib.contextmanager
def _metrics(settings: Settings, registry: CollectorRegistry) -> Iterator[None]:
    """/metrics on a port of its own, as the workers serve theirs, if the settings ask for one."""
    if not settings.gateway_metrics_port:
        yield
        return
    place = f"{settings.metrics_host}:{settings.gateway_metrics_port}"
    try:
        served, thread = start_http_server(settings.gateway_metrics_port, settings.metrics_host, registry)
    except OSError as error:
        raise CannotServe(
            f"cannot serve metrics on {place}: {error.strerror}; set TOUCHSTREAM_GATEWAY_METRICS_PORT to a free port, or to 0"
        ) from None
    log.info("metrics on http://%s/metrics", place)
    try:
        yield
    finally:
        served.shutdown()
        served.server_close()
        thread.join()


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _bound(host: str, port: int, place: str) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError as error:
        raise CannotServe(
            f"cannot serve on {place}: {error.strerror}; set TOUCHSTREAM_GATEWAY_PORT to a free port, or to 0"
        ) from None
    return listening
