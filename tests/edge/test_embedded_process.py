"""Children: output in a file, stopped with a deadline, dead with their parent."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from streams.edge.embedded.errors import from_os_error
from streams.edge.embedded.process import Child, died, exit_text
from tests.support.waiting import wait_until

STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
)
PARENT = """
import sys, threading, time
from pathlib import Path
from streams.edge.embedded.process import Child
children = []
def start():
    children.append(Child("sleeper", [sys.executable, "-c", "import time; time.sleep(600)"], Path(sys.argv[1])))
starter = threading.Thread(target=start)
starter.start()
starter.join()
print(children[0].pid, flush=True)
time.sleep(600)
"""


def python(code: str, log: Path, name: str = "child") -> Child:
    return Child(name, [sys.executable, "-c", code], log)


def alive(pid: int) -> bool:
    """Whether the process runs; one that nobody has reaped yet does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_output_goes_to_the_log_and_the_error_shows_its_end(tmp_path: Path) -> None:
    """What a child printed since its own start, and how it ended, is in the error about its end."""
    log = tmp_path / "logs" / "child.log"
    assert python("print('an earlier run')", log).wait(60) == 0
    child = python("import sys; print('to stdout'); sys.exit('to stderr')", log)
    assert child.wait(60) == 1
    text = str(died(child, 1))
    assert "exit code 1" in text and str(log) in text
    assert "to stdout" in text and "to stderr" in text
    assert "an earlier run" not in text
    assert "an earlier run" in log.read_text()


def test_full_disk_is_named_as_such(tmp_path: Path) -> None:
    """A child that ends because the disk is full is reported as that, with the remedy, not with its stack trace."""
    child = python("import os, sys; sys.exit(os.strerror(28))", tmp_path / "log")
    assert child.wait(60) == 1
    text = str(died(child, 1))
    assert "no space left at" in text and "--data-dir" in text


def test_os_errors_are_translated(tmp_path: Path) -> None:
    """A full disk and a missing right each name the path and the option."""
    full = from_os_error(OSError(errno.ENOSPC, "x"), "write it", tmp_path)
    denied = from_os_error(OSError(errno.EACCES, "x"), "write it", tmp_path)
    assert (
        str(full) == f"cannot write it: no space left at {tmp_path}; free some, or choose another place with --data-dir"
    )
    assert f"{tmp_path} is not writable" in str(denied)


def test_large_log_is_put_aside(tmp_path: Path) -> None:
    """A log over 10 MiB becomes <log>.1 at the next start, so that logs do not grow without end."""
    log = tmp_path / "child.log"
    log.write_bytes(b"x" * (10 * 1024 * 1024 + 1))
    assert python("print('fresh')", log).wait(60) == 0
    assert log.read_text() == "fresh\n"
    assert (tmp_path / "child.log.1").stat().st_size > 10 * 1024 * 1024


def test_stop_kills_what_ignores_sigterm(tmp_path: Path) -> None:
    """SIGTERM first; a child that does not care gets SIGKILL after the deadline."""
    child = python(STUBBORN, tmp_path / "log")
    wait_until(lambda: "up" in child.last_lines(), 60, "the child to ignore SIGTERM")
    assert child.stop(0.3) == -signal.SIGKILL


def test_paused_child_can_be_stopped(tmp_path: Path) -> None:
    """A child that is paused still ends by SIGTERM, at once."""
    child = python("import time; print('up', flush=True); time.sleep(600)", tmp_path / "log")
    wait_until(lambda: "up" in child.last_lines(), 60, "the child to run")
    child.pause()
    wait_until(lambda: psutil.Process(child.pid).status() == psutil.STATUS_STOPPED, 60, "the child to be paused")
    assert child.stop(60) == -signal.SIGTERM


def test_missing_program(tmp_path: Path) -> None:
    """A program that does not exist ends the child with a line that names it."""
    child = Child("nothing", [str(tmp_path / "nothing")], tmp_path / "log")
    assert child.wait(60) == 1
    assert f"cannot run {tmp_path / 'nothing'}" in child.last_lines()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent (PR_SET_PDEATHSIG)")
def test_child_dies_with_a_killed_parent(tmp_path: Path) -> None:
    """After kill -9 of the parent the child is gone, though the thread that asked for it had ended long before."""
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path / "log")], stdout=subprocess.PIPE, text=True)
    with parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.kill()
    wait_until(lambda: not alive(pid), 30, f"the child {pid} to die with its parent")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent (PR_SET_PDEATHSIG)")
def test_child_does_not_start_without_its_parent() -> None:
    """When the parent died before the child could ask to die with it, the program is not run at all."""
    launcher = Path(sys.modules[Child.__module__].__file__ or "").with_name("launch.py")
    other = str(os.getpid() + 1)
    done = subprocess.run(
        [sys.executable, launcher, other, "/bin/echo", "ran"], capture_output=True, text=True, timeout=180
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert f"parent {other} is gone" in done.stderr


def test_exit_text() -> None:
    """Exit codes and signals are told apart, and signals named."""
    assert [exit_text(3), exit_text(-9), exit_text(-250)] == ["exit code 3", "signal 9 (SIGKILL)", "signal 250"]
