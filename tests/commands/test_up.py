"""`touchstream up` as a process: starts, says where things are, supervises, and ends without a trace."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from streams.edge import topic_admin
from streams.edge.embedded.ports import free_port
from streams.edge.embedded.stack import EmbeddedStack
from streams.settings import PREFIX, Settings
from tests.support.stack import fresh_settings
from tests.support.waiting import SLOWER, wait_until

pytestmark = pytest.mark.stack

STAND_IN = Path(__file__).parents[1] / "support" / "stand_in_worker.py"
# `touchstream up` with another program as its worker, which no option offers.
WITH_STAND_IN = """
import sys
from streams.commands import up
data, *command = sys.argv[1:]
settings = up.load_settings(data_dir=data, metrics_port=0)
up.run(settings, 1, 0, 0, worker_command=command)
"""


class Up:
    """A running `up` and what it has printed."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self.process = process
        self._output = output

    @property
    def text(self) -> str:
        """Standard output and error so far."""
        return self._output.read_text()

    def children(self) -> list[psutil.Process]:
        """All processes it has started and that still run."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def shows(self, text: str) -> None:
        """Waits until `text` is printed."""
        wait_until(lambda: text in self.text or self.process.poll() is not None, 180, f"up to print {text!r}")
        assert text in self.text, self.text


@contextmanager
def running(tmp_path: Path, command: list[str], settings: Settings | None = None) -> Iterator[Up]:
    """Starts it with a clean environment of settings; kills it if the test leaves it running."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}  # noqa: TID251 - for a child
    if settings is not None:
        for name in ("bootstrap", "redis_url", "topic_prefix", "app_id", "partitions"):
            env[PREFIX + name.upper()] = str(getattr(settings, name))
    output = tmp_path / "output"
    with output.open("wb") as file:
        process = subprocess.Popen([sys.executable, *command], stdout=file, stderr=file, env=env)
    try:
        yield Up(process, output)
    finally:
        process.kill()
        process.wait()


def with_stand_in(tmp_path: Path, *codes: int) -> list[str]:
    stand_in = [sys.executable, str(STAND_IN), str(tmp_path / "starts"), *map(str, codes)]
    return ["-c", WITH_STAND_IN, str(tmp_path / "data"), *stand_in]


def up_command(tmp_path: Path, *arguments: str) -> list[str]:
    gateway = [] if "--gateway-port" in arguments else ["--no-gateway"]
    return ["-m", "streams", "up", "--data-dir", str(tmp_path / "data"), *gateway, *arguments]


def refused(tmp_path: Path, *arguments: str, settings: Settings | None = None) -> str:
    """What `up` prints when it fails by itself; asserts that it does, with exit code 1 and no traceback."""
    with running(tmp_path, up_command(tmp_path, *arguments), settings) as up:
        assert up.process.wait(180 * SLOWER) == 1, up.text
        assert "Error: " in up.text and "Traceback" not in up.text
        return up.text


def gone(children: list[psutil.Process]) -> bool:
    return not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)


def test_whole_life(tmp_path: Path) -> None:
    """Servers, topics and a worker that is restarted; SIGTERM ends all of it with exit code 0 and leaves no process."""
    with running(tmp_path, with_stand_in(tmp_path, 3)) as up:
        up.shows("Ctrl-C stops everything")
        found = re.search(r"Kafka +(\S+)\nRedis +(\S+)\nworker-0 pid \d+, metrics (\S+)\ndata +(\S+)", up.text)
        assert found is not None
        assert found[4] == str(tmp_path / "data")
        up.shows("ended with exit code 3")
        assert "restarting in 1 s" in up.text
        wait_until(lambda: len(list((tmp_path / "starts").glob("*.json"))) == 2, 60, "the second start")
        assert f'"TOUCHSTREAM_BOOTSTRAP": "{found[1]}"' in next((tmp_path / "starts").glob("*.json")).read_text()
        assert asyncio.run(topic_admin.check(Settings(bootstrap=found[1]))) == []
        children = up.children()
        assert len(children) == 3
        up.process.send_signal(signal.SIGTERM)
        assert up.process.wait(180 * SLOWER) == 0, up.text
        assert gone(children)
        assert up.text.rstrip().endswith("stopped")


def test_death_of_kafka_is_fatal(tmp_path: Path) -> None:
    """When Kafka ends by itself, up says so, stops the rest and exits 1."""
    with running(tmp_path, with_stand_in(tmp_path)) as up:
        up.shows("Ctrl-C stops everything")
        children = up.children()
        broker = next(child for child in children if "kafka.Kafka" in child.cmdline())
        broker.kill()
        assert up.process.wait(180 * SLOWER) == 1, up.text
        assert "Kafka ended with signal 9 (SIGKILL)" in up.text
        assert "everything else is stopped" in up.text
        assert gone(children)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent (PR_SET_PDEATHSIG)")
def test_kill_9_leaves_nobody(tmp_path: Path) -> None:
    """After kill -9 of up neither server nor worker is left."""
    with running(tmp_path, with_stand_in(tmp_path)) as up:
        up.shows("Ctrl-C stops everything")
        children = up.children()
        assert len(children) == 3
        up.process.kill()
        wait_until(lambda: gone(children), 30, "all children to die with up")


def test_outside_servers_and_ctrl_c(tmp_path: Path, stack: EmbeddedStack) -> None:
    """With outside addresses nothing is started here, the topics are created there, and Ctrl-C exits 0."""
    settings = fresh_settings(stack)
    with running(tmp_path, up_command(tmp_path, "--workers", "0"), settings) as up:
        up.shows("Ctrl-C stops everything")
        assert up.children() == []
        assert asyncio.run(topic_admin.check(settings)) == []
        up.process.send_signal(signal.SIGINT)
        assert up.process.wait(60 * SLOWER) == 0, up.text
    asyncio.run(topic_admin.delete(settings))


def test_a_ledger_beside_the_workers(tmp_path: Path, stack: EmbeddedStack) -> None:
    """With `--ledger` the ledger's process is started too: its metrics' address is printed, it serves them, and ends with the rest."""
    settings = fresh_settings(stack)
    with running(tmp_path, up_command(tmp_path, "--workers", "0", "--ledger", "--metrics-port", "0"), settings) as up:
        up.shows("Ctrl-C stops everything")
        found = re.search(r"ledger +pid (\d+), metrics (http://127\.0\.0\.1:\d+/metrics)", up.text)
        assert found is not None, up.text
        (child,) = up.children()
        assert child.pid == int(found[1])

        def answers() -> bool:
            try:
                with urllib.request.urlopen(found[2], timeout=5) as answer:
                    return b"touchstream_ledger_lag_records" in answer.read()
            except OSError:
                return False

        wait_until(answers, 60, "the ledger to serve its metrics")
        up.process.send_signal(signal.SIGTERM)
        assert up.process.wait(60 * SLOWER) == 0, up.text
        assert gone([child])
    asyncio.run(topic_admin.delete(settings))


def test_a_gateway_beside_the_workers(tmp_path: Path, stack: EmbeddedStack) -> None:
    """Unless left out, a gateway is started too: its address is printed, it answers there, and it ends with the rest."""
    settings = fresh_settings(stack)
    with running(tmp_path, up_command(tmp_path, "--workers", "0", "--gateway-port", "0"), settings) as up:
        up.shows("Ctrl-C stops everything")
        found = re.search(r"gateway +pid (\d+), checks (http://127\.0\.0\.1:\d+)/v1/checks", up.text)
        assert found is not None, up.text
        (child,) = up.children()
        assert child.pid == int(found[1])

        def answers() -> bool:
            try:
                with urllib.request.urlopen(f"{found[2]}/healthz", timeout=5) as answer:
                    return bool(answer.status == 200)
            except OSError:  # not yet
                return False

        wait_until(answers, 120, "the gateway to answer")
        assert "ready:" not in up.text, "no worker tells what is known"
        up.process.send_signal(signal.SIGTERM)
        assert up.process.wait(60 * SLOWER) == 0, up.text
        assert gone([child])
    asyncio.run(topic_admin.delete(settings))


def test_ready_is_said_once_checks_are_answered(tmp_path: Path, stack: EmbeddedStack) -> None:
    """What is printed at the start only says where things will be; "ready" comes once, and then a check is answered from a whole view."""
    settings = fresh_settings(stack)
    with running(tmp_path, up_command(tmp_path, "--gateway-port", "0", "--metrics-port", "0"), settings) as up:
        up.shows("ready: checks are answered")
        found = re.search(r"checks (http://\S+)", up.text)
        assert found is not None, up.text
        asked = {"customer": {"email": "dana@example.com"}, "channel": "email", "department": "marketing"}
        request = urllib.request.Request(
            found[1], json.dumps(asked).encode(), {"content-type": "application/json"}, method="POST"
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            said = json.load(answer)
        assert (said["allowed"], said["degraded"]) == (True, None)
        up.process.send_signal(signal.SIGTERM)
        assert up.process.wait(60 * SLOWER) == 0, up.text
        assert up.text.count("ready:") == 1
    asyncio.run(topic_admin.delete(settings))


def test_wrong_partition_count_is_refused(tmp_path: Path, settings: Settings) -> None:
    """Topics with another number of partitions than wanted stop the start, each listed with both numbers."""
    text = refused(tmp_path, "--workers", "0", "--partitions", "3", settings=settings)
    assert f"the topics at {settings.bootstrap} are not as they must be" in text
    assert f"{settings.topic_prefix}conflicts: 2 partitions, wanted 3" in text


def test_taken_ports_are_refused(tmp_path: Path, settings: Settings) -> None:
    """A taken port of Redis or of the metrics is named with the option that changes it."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = str(holder.getsockname()[1])
        text = refused(tmp_path, "--redis-port", port, "--kafka-port", "0")
        assert f"port {port} for Redis is taken by" in text and "--redis-port" in text
        text = refused(tmp_path, "--metrics-port", port, settings=settings)
        assert f"port {port} for the metrics of worker-0 is taken by" in text and "--metrics-port" in text


def test_unreachable_servers_are_refused(tmp_path: Path, settings: Settings) -> None:
    """An outside Kafka or Redis that does not answer is named with its address; passwords are not shown."""
    nobody = f"127.0.0.1:{free_port()}"
    text = refused(tmp_path, "--bootstrap", nobody, settings=settings)
    assert f"Kafka cannot be reached at {nobody}" in text
    text = refused(tmp_path, "--redis", f"redis://user:sesame@{nobody}/0", settings=settings)
    assert f"Redis cannot be reached at redis://***@{nobody}/0" in text
    assert "sesame" not in text


def test_second_up_is_refused(tmp_path: Path, settings: Settings) -> None:
    """A second up on the same data directory is refused with the first one's pid."""
    with running(tmp_path, up_command(tmp_path, "--workers", "0"), settings) as first:
        first.shows("Ctrl-C stops everything")
        (tmp_path / "second").mkdir()
        command = ["--data-dir", str(tmp_path / "data"), "--workers", "0"]
        text = refused(tmp_path / "second", *command, settings=settings)
        assert f"in use by another touchstream (pid {first.process.pid})" in text


def test_bad_policy_is_refused_before_the_start(tmp_path: Path) -> None:
    """A mistake in the policy file is shown at once, with nothing started."""
    (tmp_path / "policy.toml").write_text("[double_contact]\nwindow_hour = 3\n")
    text = refused(tmp_path, "--policy", str(tmp_path / "policy.toml"))
    assert "policy.toml" in text
    assert not (tmp_path / "data").exists()
