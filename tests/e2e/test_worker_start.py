"""How a worker starts, or says why it cannot; and how it works while Redis is away, empty, or flushed."""

from __future__ import annotations

import asyncio
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from streams.core.touch import Touch
from streams.edge import topic_admin
from streams.edge.embedded.ports import LOOPBACK, free_port
from streams.edge.embedded.redis import RedisServer
from streams.edge.embedded.stack import EmbeddedStack
from streams.edge.kafka_auth import client_options
from streams.edge.topics import COMMANDS
from streams.settings import Settings
from tests.support import histories
from tests.support.drained import wait_drained
from tests.support.publishing import expected, publish, streamed
from tests.support.scraped import scrape
from tests.support.stack import fresh_settings
from tests.support.waiting import SLOWER, wait_until
from tests.support.worker import Worker, environment

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

BOUND = 90 * SLOWER
"""Seconds within which a worker that cannot start must have said so."""


def begin(settings: Settings, **extra: str) -> subprocess.Popen[str]:
    """A worker that is expected to end by itself."""
    command = [sys.executable, "-m", "streams", "worker"]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment(settings, **extra), stdout=pipe, stderr=pipe, text=True)


def said_by(worker: subprocess.Popen[str]) -> str:
    """What it says when it ends: exit code 1, an error for people, no traceback, nothing on standard output."""
    try:
        out, err = worker.communicate(timeout=BOUND)
    finally:
        worker.kill()
    assert worker.returncode == 1, err
    assert "Error: " in err and "Traceback" not in err, err
    assert out == ""
    return err


def refused(settings: Settings, **extra: str) -> str:
    """Begin a worker and return what it says."""
    return said_by(begin(settings, **extra))


@contextmanager
def listening() -> Iterator[int]:
    """A port on which connections are taken and nothing is ever answered."""
    with socket.socket() as server:
        server.bind((LOOPBACK, 0))
        server.listen(16)
        yield server.getsockname()[1]


@pytest.fixture(scope="module", autouse=True)
def unanswered() -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A worker of a broker that never answers, and its address. It takes its time, so it begins before the other tests."""
    with listening() as port:
        address = f"{LOOPBACK}:{port}"
        with begin(Settings(bootstrap=address)) as worker:
            yield address, worker
            worker.kill()


def test_no_broker() -> None:
    """Without a broker the worker ends in bounded time and names the address and the setting."""
    address = f"{LOOPBACK}:{free_port()}"
    said = refused(Settings(bootstrap=address))
    assert address in said and "TOUCHSTREAM_BOOTSTRAP" in said


def test_topics_are_missing(stack: EmbeddedStack) -> None:
    """On an empty cluster the worker names each missing topic and the command that makes them."""
    settings = fresh_settings(stack)
    said = refused(settings)
    assert "touchstream topics create" in said
    for name in ("touches.email", "touches.identified", "commands", "conflicts"):
        assert f"{settings.topic_prefix}{name}: missing" in said
    assert f"{settings.app_id}-timelines-changelog: missing" in said


def test_wrong_number_of_partitions(settings: Settings) -> None:
    """A topic with other partitions than the settings say is named with both numbers, and nothing is read."""

    async def grow() -> None:
        admin = AIOKafkaAdminClient(**client_options(settings))
        await admin.start()
        try:
            await admin.create_partitions({settings.topic(COMMANDS): NewPartitions(total_count=3)})
        finally:
            await admin.close()

    def problems() -> list[str]:
        return asyncio.run(topic_admin.check(settings))

    asyncio.run(grow())
    wait_until(problems, 60, "the broker to know of the new partition")
    said = refused(settings)
    assert f"{settings.topic(COMMANDS)}: 3 partitions, wanted 2" in said
    assert said.count("partitions, wanted") == 1


def test_metrics_port_is_taken(settings: Settings) -> None:
    """A taken metrics port is an error with the port and the setting that chooses another."""
    with listening() as port:
        said = refused(settings, TOUCHSTREAM_METRICS_PORT=str(port))
    assert f"{LOOPBACK}:{port}" in said and "TOUCHSTREAM_METRICS_PORT" in said


POLICIES = {
    "no file": (None, "cannot read the policy"),
    "no TOML": (b"[double_contact\n", "is not TOML"),
    "unknown name": (b"[double_contact]\nwindow_huors = 24\n", "window_huors"),
    "out of range": (b"[handoff]\nthreshold = -1\n", "handoff.threshold"),
    "binary": (b"\xff\xfe\x00", "not UTF-8"),
}


@pytest.mark.parametrize("case", POLICIES)
def test_bad_policy(case: str, tmp_path: Path) -> None:
    """A policy that cannot be used is refused before anything else, with its path and what is wrong."""
    content, problem = POLICIES[case]
    path = tmp_path / "policy.toml"
    if content is not None:
        path.write_bytes(content)
    said = refused(Settings(policy_path=str(path)))
    assert str(path) in said and problem in said


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        ("TOUCHSTREAM_PARTITONS", "4", "TOUCHSTREAM_PARTITONS is not a setting"),
        ("TOUCHSTREAM_PARTITIONS", "many", "TOUCHSTREAM_PARTITIONS: "),
        ("TOUCHSTREAM_ID_KEY_FILE", "/nowhere/key", "/nowhere/key"),
    ],
)
def test_bad_setting(variable: str, value: str, problem: str) -> None:
    """An unknown variable with our prefix, a value out of range and a secret's file that is not there are refused by name."""
    assert problem in refused(Settings(), **{variable: value})


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of the test's own, not started; its address is known."""
    server = RedisServer(tmp_path, free_port())
    yield server
    server.stop()


def test_redis_away_then_there_then_flushed(make_settings: Callable[..., Settings], own_redis: RedisServer) -> None:
    """Touches that come while Redis is away, after it came up empty, and after it was flushed end with the backtest's findings, once it
    is back (while it is away, nobody can tell whether identifiers are shared, so no customers are merged);
    look-ups say `unavailable` only while it is away, and the index is filled from its log each time."""
    settings = make_settings(redis_url=own_redis.url)
    touches: list[Touch] = list(histories.touches(seed=9, customers=30, count=900))

    def take(part: int) -> None:
        """Publish a third of the touches; they are processed."""
        publish(settings, touches[part * 300 : (part + 1) * 300])
        wait_drained(settings)

    def agree(part: int) -> None:
        """The findings become those of the backtest of all so far: merges found late are told within seconds."""
        wanted = expected(settings, touches[: (part + 1) * 300])
        wait_until(lambda: streamed(settings) == wanted, 120, f"the findings to be the backtest's after part {part}")

    def lookups(*results: str) -> list[float]:
        scraped = scrape(worker.metrics_address)
        return [scraped.sum("touchstream_identity_lookups_total", result=result) for result in results]

    def asked_again(repeated: Touch) -> bool:
        """Whether a touch that came before, so that it changes nothing, is looked up."""
        publish(settings, [repeated])
        return any(lookups("hit", "new", "linked", "merged"))

    def synced() -> list[int]:
        """Links read from the log by each look into it, as the worker says."""
        return [int(number) for number in re.findall(r"up to date: (\d+) facts read", "".join(worker.log))]

    with Worker(settings) as worker:
        take(0)
        assert lookups("unavailable", "hit", "new", "linked", "merged") == [300, 0, 0, 0, 0]
        assert "identity index away" in "".join(worker.log)
        own_redis.start()
        wait_until(lambda: asked_again(touches[0]), 60, "the worker to find that Redis is there")
        away = lookups("unavailable")
        take(1)
        agree(1)
        filled = synced()
        assert max(filled) > 30, "the index was filled from the links that were made without it"
        with redis.Redis.from_url(own_redis.url) as client:
            client.flushall()
            take(2)
            agree(2)
            assert client.dbsize() > 30
        assert lookups("unavailable") == away, "a flushed Redis is no absent one"
        assert max(synced()[len(filled) :]) >= max(filled), "the index was rebuilt from the whole log"
        assert worker.stop() == 0, "".join(worker.log[-30:])
    assert "Traceback" not in "".join(worker.log)


def test_a_broker_that_never_answers(unanswered: tuple[str, subprocess.Popen[str]]) -> None:
    """A port that takes connections and says nothing is given up in bounded time, with the address."""
    address, worker = unanswered
    assert address in said_by(worker)
