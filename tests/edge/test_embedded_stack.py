"""The embedded servers, for real: data, restarts, faults, and who may use a data directory."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import uuid
from pathlib import Path

import psutil
import pytest
import redis
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from streams.edge.embedded.errors import StackError
from streams.edge.embedded.stack import EmbeddedStack
from tests.support.waiting import wait_until

pytestmark = pytest.mark.stack

HOLDER = """
import json, sys, time
from streams.edge.embedded.stack import EmbeddedStack
stack = EmbeddedStack(sys.argv[1], 0, 0)
stack.start()
print(json.dumps([server.child.pid for server in stack.servers()]), flush=True)
time.sleep(600)
"""


async def create(bootstrap: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 1)])
    await admin.close()


async def produce(bootstrap: str, topic: str, *values: bytes) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await producer.start()
    for value in values:
        await producer.send_and_wait(topic, value)
    await producer.stop()


async def everything(bootstrap: str, topic: str) -> list[bytes]:
    """All values in the topic's one partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    partition = TopicPartition(topic, 0)
    consumer.assign([partition])
    end = (await consumer.end_offsets([partition]))[partition]
    values: list[bytes] = []
    while await consumer.position(partition) < end:
        values += [record.value for records in (await consumer.getmany(timeout_ms=500)).values() for record in records]
    await consumer.stop()
    return values


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_data_survives_clean_and_unclean_ends(tmp_path: Path) -> None:
    """What was acknowledged is there after a clean stop, other ports, and kill -9 of both servers."""
    with EmbeddedStack(tmp_path, 0, 0) as first:
        asyncio.run(create(first.bootstrap, "t"))
        asyncio.run(produce(first.bootstrap, "t", b"one"))
        with redis.Redis.from_url(first.redis_url) as client:
            client.set("one", "1")
        ports = (first.bootstrap, first.redis_url)
        cluster = (tmp_path / "kafka" / "data" / "meta.properties").read_text()
    with EmbeddedStack(tmp_path, 0, 0) as second:
        assert (second.bootstrap, second.redis_url) != ports
        assert (
            (tmp_path / "kafka" / "data" / "meta.properties").read_text().count("cluster.id")
            == cluster.count("cluster.id")
            == 1
        )
        assert asyncio.run(everything(second.bootstrap, "t")) == [b"one"]
        asyncio.run(produce(second.bootstrap, "t", b"two"))
        with redis.Redis.from_url(second.redis_url) as client:
            assert client.get("one") == b"1"
            client.set("two", "2")
        second.broker.stop(kill=True)
        second.redis.stop(kill=True)
        second.redis.start()
        second.broker.start()
        assert asyncio.run(everything(second.bootstrap, "t")) == [b"one", b"two"]
        with redis.Redis.from_url(second.redis_url) as client:
            assert client.get("two") == b"2"


def test_only_loopback_listens(stack: EmbeddedStack) -> None:
    """Neither server accepts connections from another machine."""
    for server in stack.servers():
        assert server.child is not None
        listening = [
            c for c in psutil.Process(server.child.pid).net_connections("tcp") if c.status == psutil.CONN_LISTEN
        ]
        assert {connection.laddr.ip.removeprefix("::ffff:") for connection in listening} == {"127.0.0.1"}


def test_broker_log_has_a_binding(stack: EmbeddedStack) -> None:
    """The broker writes a log, so that its errors can be read (without a binding SLF4J says so and drops everything)."""
    assert " INFO " in (stack.data / "logs" / "kafka.log").read_text()  # its beginning may have been rolled away
    assert "SLF4J" not in stack.broker.log.read_text()


def test_unknown_topics_are_not_created(stack: EmbeddedStack) -> None:
    """Asking for a mistyped topic does not create it."""
    name = f"nobody-{uuid.uuid4().hex}"

    async def topics_after_asking() -> list[str]:
        admin = AIOKafkaAdminClient(bootstrap_servers=stack.bootstrap)
        await admin.start()
        await admin.describe_topics([name])
        names = await admin.list_topics()
        await admin.close()
        return list(names)

    assert name not in asyncio.run(topics_after_asking())


def test_paused_server_answers_nothing_until_resumed(stack: EmbeddedStack) -> None:
    """A paused Redis keeps its connections and is silent; resumed, it answers again."""
    with redis.Redis.from_url(stack.redis_url, socket_timeout=2, retry=None) as client:
        assert client.ping()
        stack.redis.pause()
        try:
            with pytest.raises(redis.TimeoutError):
                client.ping()
        finally:
            stack.redis.resume()
    with redis.Redis.from_url(stack.redis_url, socket_timeout=30) as client:
        assert client.ping()


def test_ended_server_is_reported(tmp_path: Path) -> None:
    """A server that ends by itself is reported with the signal and its log, and can be started again."""
    with EmbeddedStack(tmp_path, 0, 0, kafka=False) as stack:
        assert stack.failures() == []
        assert stack.redis.child is not None
        os.kill(stack.redis.child.pid, signal.SIGKILL)
        failure = wait_until(stack.failures, 30, "the end of Redis to be noticed")
        assert "Redis ended with signal 9 (SIGKILL)" in failure[0]
        assert str(tmp_path / "logs" / "redis.log") in failure[0]
        stack.redis.start()
        assert stack.failures() == []


def test_broker_that_cannot_start_shows_its_own_words(tmp_path: Path) -> None:
    """With an impossible setting the start fails at once, with the end of the broker's log."""
    stack = EmbeddedStack(tmp_path, 0, 0, redis=False, kafka_config={"log.cleaner.threads": "none"})
    with pytest.raises(StackError, match=r"(?s)ended with exit code 1.*log\.cleaner\.threads"):
        stack.start()


def test_port_taken(tmp_path: Path) -> None:
    """A taken port is named with its holder and the option, before anything is started."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        for stack, option in (
            (EmbeddedStack(tmp_path, port, 0, redis=False), "--kafka-port"),
            (EmbeddedStack(tmp_path, 0, port, kafka=False), "--redis-port"),
        ):
            with pytest.raises(StackError, match=rf"port {port} for \w+ is taken by .*pid {os.getpid()}\).*{option}"):
                stack.start()
            assert all(server.child is None for server in stack.servers())


def test_second_user_of_a_data_directory(tmp_path: Path) -> None:
    """A second stack on the same directory is refused with the first one's pid, until that one stops."""
    second = EmbeddedStack(tmp_path, 0, 0, kafka=False)
    with (
        EmbeddedStack(tmp_path, 0, 0, kafka=False),
        pytest.raises(StackError, match=rf"in use.*pid {os.getpid()}\).*--data-dir"),
    ):
        second.start()
    with second:
        assert second.failures() == []


def test_too_little_space(tmp_path: Path) -> None:
    """Less free space than needed is refused before the start, with both numbers."""
    stack = EmbeddedStack(tmp_path, 0, 0, min_free_bytes=2**60)
    with pytest.raises(StackError, match=rf"only \d+ MiB are free at {tmp_path}.*need {2**40}.*--data-dir"):
        stack.start()


def test_data_directory_that_cannot_be(tmp_path: Path) -> None:
    """A data directory below a file is refused with its path."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StackError, match=rf"cannot use the data directory: {tmp_path}/file/data"):
        EmbeddedStack(tmp_path / "file" / "data", 0, 0).start()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent (PR_SET_PDEATHSIG)")
def test_killed_parent_leaves_nobody_and_the_next_start_works(tmp_path: Path) -> None:
    """After kill -9 of the process that started them both servers are gone, and the same data can be used again."""
    parent = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    with parent:
        assert parent.stdout is not None
        pids = json.loads(parent.stdout.readline())
        assert all(alive(pid) for pid in pids)
        parent.kill()
    wait_until(lambda: not any(alive(pid) for pid in pids), 30, f"{pids} to die with their parent")
    with EmbeddedStack(tmp_path, 0, 0) as stack:
        assert stack.failures() == []


def test_leftovers_are_ended_at_the_next_start(tmp_path: Path) -> None:
    """A child that outlived its parent (macOS) is killed by the next start; a stranger with a reused pid is not."""
    sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
    leftover, stranger = subprocess.Popen(sleeper), subprocess.Popen(sleeper)
    try:
        created = psutil.Process(stranger.pid).create_time()
        known = [[leftover.pid, psutil.Process(leftover.pid).create_time()], [stranger.pid, created - 3600]]
        (tmp_path / "children.json").write_text(json.dumps(known))
        with EmbeddedStack(tmp_path, 0, 0, kafka=False, redis=False):
            assert not alive(leftover.pid)
            assert stranger.poll() is None
    finally:
        for process in (leftover, stranger):
            process.kill()
            process.wait()
