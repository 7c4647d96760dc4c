"""Worker processes: their settings, their restarts, their end."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import psutil
import pytest

from streams import settings as settings_module
from streams.edge.supervisor import Backoff, Workers, environment
from streams.settings import Settings
from tests.support.waiting import wait_until

STAND_IN = Path(__file__).parents[1] / "support" / "stand_in_worker.py"


def workers(directory: Path, said: list[str], *codes: int, ports: tuple[int, ...] = (9464,)) -> Workers:
    """Workers whose n-th start ends with the n-th code; later ones run on."""
    command = (sys.executable, str(STAND_IN), str(directory / "starts"), *map(str, codes))
    return Workers(Settings(bootstrap="127.0.0.1:1"), ports, directory / "logs", said.append, command=command)


def starts(directory: Path) -> list[dict[str, str]]:
    """The settings that each start so far was given, as variables."""
    return [json.loads(path.read_text()) for path in (directory / "starts").glob("*.json")]


def test_delays_double_up_to_the_longest() -> None:
    """Quick deaths wait 1, 2, 4 ... 30 s."""
    backoff = Backoff()
    assert [backoff.delay(0.1) for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]


def test_health_resets_the_delay() -> None:
    """After a minute of life the next delay is the first one again, and doubling starts anew."""
    backoff = Backoff()
    assert [backoff.delay(lived) for lived in (0, 0, 0, 59.9, 60, 0)] == [1, 2, 4, 8, 1, 2]


def test_environment_reproduces_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that loads its environment gets exactly the settings it is meant to have."""
    monkeypatch.setenv("TOUCHSTREAM_PARTITIONS", "7")
    monkeypatch.setenv("TOUCHSTREAM_LOG_LEVEL", "DEBUG")
    wanted = settings_module.load(bootstrap="127.0.0.1:1234", partitions=4, metrics_port=0)
    assert settings_module.load(environment(wanted)) == wanted
    assert "PATH" in environment(wanted)


def test_secret_from_a_file_stays_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret that was given as a file is handed on as that file, not in clear."""
    (tmp_path / "key").write_text("very secret")
    monkeypatch.setenv("TOUCHSTREAM_ID_KEY_FILE", str(tmp_path / "key"))
    settings = settings_module.load(metrics_port=0)
    assert "very secret" not in environment(settings).values()
    assert settings_module.load(environment(settings)).id_key == "very secret"


def test_each_worker_has_its_settings_and_all_stop_on_sigterm(tmp_path: Path) -> None:
    """Two workers get the servers' addresses and a metrics port each; stop ends both in order."""
    said: list[str] = []
    pair = workers(tmp_path, said, ports=(9464, 9465))
    assert pair.step()
    children = [psutil.Process(pid) for pid in pair.pids()]
    try:
        wait_until(lambda: len(starts(tmp_path)) == 2, 60, "both workers to start")
        given = starts(tmp_path)
        assert {start["TOUCHSTREAM_BOOTSTRAP"] for start in given} == {"127.0.0.1:1"}
        assert {settings_module.load(start).metrics_port for start in given} == {9464, 9465}
        assert not pair.step(), "nothing to do while both run"
    finally:
        pair.stop()
    assert not any(child.is_running() for child in children)
    assert said == []


def test_failed_worker_is_restarted_with_a_line_that_says_all(tmp_path: Path) -> None:
    """A worker that ends is restarted, and the line names pid, exit code, delay and the end of its log."""
    said: list[str] = []
    one = workers(tmp_path, said, 3, 0)
    one.step()
    pids = one.pids()
    try:
        wait_until(lambda: one.step() and said, 60, "the end to be noticed")
        assert one.pids() == []
        for part in (f"worker-0 (pid {pids[0]})", "exit code 3", "restarting in 1 s", "worker-0.log", "start 0"):
            assert part in said[0]
        wait_until(lambda: one.step() and len(said) == 2, 60, "the second end to be noticed")
        assert "exit code 0" in said[1] and "restarting in 2 s" in said[1]
        wait_until(lambda: one.step() and len(starts(tmp_path)) >= 2 and one.pids(), 60, "the third start")
    finally:
        one.stop()


def test_worker_ended_by_a_signal_is_named_so(tmp_path: Path) -> None:
    """A worker that the kernel or a person killed is reported with the signal's name."""
    said: list[str] = []
    one = workers(tmp_path, said)
    one.step()
    try:
        psutil.Process(one.pids()[0]).send_signal(signal.SIGKILL)
        wait_until(lambda: one.step() and said, 60, "the end to be noticed")
        assert "signal 9 (SIGKILL)" in said[0]
    finally:
        one.stop()


def test_stop_kills_after_the_deadline(tmp_path: Path) -> None:
    """A worker that does not react to SIGTERM is killed after the deadline, and that is said."""
    said: list[str] = []
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    )
    one = Workers(Settings(), (9464,), tmp_path, said.append, command=(sys.executable, "-c", stubborn))
    one.step()
    child = psutil.Process(one.pids()[0])
    wait_until(lambda: "up" in (tmp_path / "worker-0.log").read_text(), 60, "the worker to ignore SIGTERM")
    one.stop(seconds=0.2)
    assert not child.is_running()
    assert "did not end within 0.2 s and is killed" in said[0]
