"""`touchstream up`: Kafka, a Redis-compatible server, workers and a gateway on this machine, until Ctrl-C."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import FrameType
from typing import Any

import click
import msgspec
import redis

from streams.commands.common import CommandError, load_policy, load_settings, progress
from streams.commands.topics import ask_kafka
from streams.edge import topic_admin
from streams.edge.embedded.errors import StackError
from streams.edge.embedded.ports import claim
from streams.edge.embedded.stack import EmbeddedStack
from streams.edge.supervisor import COMMAND, Workers
from streams.settings import Settings

_DEFAULTS = Settings()
POLL_SECONDS = 0.2


class Stop(BaseException):
    """Ctrl-C, SIGTERM, or the terminal was closed. No Exception, so that nothing on the way takes it for a failure."""


@click.command()
@click.option("--workers", "count", type=click.IntRange(0, 64), default=1, show_default=True, help="Worker processes.")
@click.option("--bootstrap", metavar="HOST:PORT", help="Use this Kafka (also TOUCHSTREAM_BOOTSTRAP); none is started.")
@click.option(
    "--redis", "redis_url", metavar="URL", help="Use this Redis (also TOUCHSTREAM_REDIS_URL); none is started."
)
@click.option("--data-dir", metavar="DIR", help="Data and logs, kept between runs; default .touchstream.")
@click.option("--kafka-port", type=click.IntRange(0, 65535), default=9092, show_default=True, help="0: any free one.")
@click.option("--redis-port", type=click.IntRange(0, 65535), default=6379, show_default=True, help="0: any free one.")
@click.option(
    "--metrics-port",
    type=click.IntRange(0, 65535),
    help="Of the first worker, the next ones follow; default 9464, 0: any.",
)
@click.option(
    "--gateway/--no-gateway", default=True, show_default=True, help="A gateway, which tools ask before they contact."
)
@click.option("--ledger/--no-ledger", default=False, show_default=True, help="Keep the ledger's figures up to date.")
@click.option("--gateway-port", type=click.IntRange(0, 65535), help="Of the gateway; default 8484, 0: any free one.")
@click.option("--policy", "policy_path", metavar="FILE", help="Policy file (TOML) for workers and gateway.")
@click.option("--partitions", type=int, metavar="N", help="Partitions of each topic, when they are created; default 4.")
@click.option("--topic-prefix", metavar="TEXT", help="Tenant's prefix of all topic names.")
def up(
    count: int, kafka_port: int, redis_port: int, gateway: bool, ledger: bool, policy_path: str | None, **options: Any
) -> None:  # fmt: skip
    """Start Kafka, a Redis-compatible server, workers and a gateway here, and stop them all on Ctrl-C.

    Data is kept in --data-dir and found again at the next start. What --bootstrap or --redis names is used, not
    started.
    """
    settings = load_settings(policy_path=policy_path, **options)
    load_policy(policy_path, settings)  # its mistakes are shown before anything is started
    run(settings, count, kafka_port, redis_port, gateway=gateway, ledger=ledger)


def run(
    settings: Settings,
    count: int,
    kafka_port: int,
    redis_port: int,
    *,
    gateway: bool = False,
    ledger: bool = False,
    worker_command: Sequence[str] = COMMAND,
) -> None:
    """Starts, supervises until a signal, and stops everything. `worker_command` is for tests.

    Raises:
        CommandError: something could not be started, or a server ended by itself; everything is stopped then.
    """
    with running(
        settings, count, kafka_port, redis_port, gateway=gateway, ledger=ledger, worker_command=worker_command
    ) as stack:
        announce(stack)
        waiting = gateway
        while True:
            stack.step()
            if waiting and stack.is_ready():
                waiting = False
                say("ready: checks are answered, touches are processed")
            time.sleep(POLL_SECONDS)


@dataclass(slots=True)
class Running:
    """What `running` has started. Call `step` a few times a second."""

    settings: Settings
    servers: EmbeddedStack
    workers: Workers

    def step(self) -> None:
        """Restarts workers, and a gateway, that ended.

        Raises:
            StackError: a server ended by itself.
        """
        failures = self.servers.failures()
        if failures:
            raise StackError("\n".join((*failures, "everything else is stopped; start again once that is mended")))
        if self.workers.step():
            self.servers.remember_children(*self.workers.pids())

    @property
    def metrics(self) -> list[str]:
        """Addresses of the workers' metrics."""
        return [f"http://{self.settings.metrics_host}:{port}/metrics" for _, port, _ in self.workers.table()]

    @property
    def gateway(self) -> str | None:
        """Address of the gateway, if there is one."""
        found = self.workers.gateway()
        return None if found is None else f"http://{self.settings.gateway_host}:{found[0]}"

    def is_ready(self) -> bool:
        """Whether the gateway answers checks by what a worker knows: what is printed before only says where things will be."""
        found = self.workers.gateway()
        if found is None:
            return False
        with closing(HTTPConnection(self.settings.gateway_host, found[0], timeout=1)) as connection:
            try:
                connection.request("GET", "/readyz")
                return connection.getresponse().status == HTTPStatus.OK
            except (OSError, HTTPException):  # it does not listen yet, or ends just now
                return False

    @property
    def logs(self) -> Path:
        """Directory of all logs."""
        return self.servers.data / "logs"


@contextmanager
def running(
    settings: Settings,
    count: int,
    kafka_port: int,
    redis_port: int,
    *,
    gateway: bool = False,
    ledger: bool = False,
    worker_command: Sequence[str] = COMMAND,
) -> Iterator[Running]:
    """Servers, topics, workers and perhaps a gateway, until the block ends or a signal raises Stop in it; then everything is stopped.

    Raises:
        CommandError: something could not be started, or a server ended by itself.
    """
    stack = EmbeddedStack(
        settings.data_path, kafka_port, redis_port,
        kafka=settings.bootstrap == _DEFAULTS.bootstrap, redis=settings.redis_url == _DEFAULTS.redis_url,
        progress=progress,
    )  # fmt: skip
    workers: Workers | None = None
    with stopping_signals():
        try:
            with say_stack_errors():
                stack.start()
                settings = reached(settings, stack)
                prepare_topics(settings)
                workers = Workers(
                    settings, metrics_ports(settings, count), stack.data / "logs", say, command=worker_command,
                    gateway_port=claim(settings.gateway_port, "the gateway", "--gateway-port") if gateway else None,
                    ledger_port=metrics_ports(settings, count + 1)[count] if ledger else None,
                )  # fmt: skip
                started = Running(settings, stack, workers)
                started.step()
                yield started
        except Stop:
            say("stopping")
        finally:
            ignore_signals()
            if workers is not None:
                workers.stop()
            stack.stop()
    say("stopped")


def reached(settings: Settings, stack: EmbeddedStack) -> Settings:
    """Settings with the addresses of the servers that were started; an outside Redis is asked whether it is there."""
    for server in stack.servers():
        settings = msgspec.structs.replace(
            settings, **({"bootstrap": stack.bootstrap} if server.name == "Kafka" else {"redis_url": stack.redis_url})
        )
    if not any(server.name == "Redis" for server in stack.servers()):
        try:
            with redis.Redis.from_url(settings.redis_url, socket_timeout=10, socket_connect_timeout=10) as client:
                client.ping()
        except (redis.RedisError, ValueError) as error:
            raise CommandError(
                f"Redis cannot be reached at {_without_password(settings.redis_url)}: {error} (--redis)"
            ) from None
    return settings


def prepare_topics(settings: Settings) -> None:
    """Creates missing topics, and refuses to go on with wrong ones."""
    with progress("creating and checking the topics"):
        ask_kafka(topic_admin.create_missing(settings))
        problems = ask_kafka(topic_admin.check(settings))
    if problems:
        raise CommandError("\n  ".join((f"the topics at {settings.bootstrap} are not as they must be:", *problems)))


def metrics_ports(settings: Settings, count: int) -> list[int]:
    """A free port for each worker, from the configured one upwards; fails on a taken one."""
    first = settings.metrics_port
    return [
        claim(first + number if first else 0, f"the metrics of worker-{number}", "--metrics-port")
        for number in range(count)
    ]


def announce(stack: Running) -> None:
    """Says where everything is."""
    click.echo(f"Kafka    {stack.settings.bootstrap}")
    click.echo(f"Redis    {_without_password(stack.settings.redis_url)}")
    for (name, _, pid), address in zip(stack.workers.table(), stack.metrics, strict=True):
        click.echo(f"{name:<9}pid {pid}, metrics {address}")
    if (gateway := stack.workers.gateway()) is not None:
        click.echo(f"gateway  pid {gateway[1]}, checks {stack.gateway}/v1/checks")
    if (ledger := stack.workers.ledger()) is not None:
        click.echo(f"ledger   pid {ledger[1]}, metrics http://{stack.settings.metrics_host}:{ledger[0]}/metrics")
    click.echo(f"data     {stack.servers.data}\nlogs     {stack.logs}\nCtrl-C stops everything; the data stays.")


def say(line: str) -> None:
    """A line of ours on standard error, with the time."""
    click.echo(f"{time.strftime('%H:%M:%S')} {line}", err=True)


@contextmanager
def say_stack_errors() -> Iterator[None]:
    """Errors of the embedded servers in the form of the command line."""
    try:
        yield
    except StackError as error:
        raise CommandError(str(error)) from None


@contextmanager
def stopping_signals() -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP raise Stop in the main thread while this is open."""
    names = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, _raise_stop) for number in names}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore_signals() -> None:
    """A second Ctrl-C must not cut off the orderly end, whose every step has a deadline."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _raise_stop(_number: int, _frame: FrameType | None) -> None:
    ignore_signals()
    raise Stop


def _without_password(url: str) -> str:
    head, at, tail = url.rpartition("@")
    return f"{head.split('://')[0]}://***@{tail}" if at else url
