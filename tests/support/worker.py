"""A real worker as a child process, and what has come out of it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Self

from streams.edge import crash_points
from streams.settings import PREFIX, Settings, fields
from tests.support.waiting import SLOWER, wait_until


def environment(settings: Settings, **extra: str) -> dict[str, str]:
    """A child's environment: ours without our settings, plus these settings."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}  # noqa: TID251 - passed on to the child
    env.update({PREFIX + name.upper(): str(value) for name, value in fields(settings) if value != ""})
    return env | extra


class Worker:
    """`with Worker(settings) as worker`: started and ready inside, stopped behind it. `log` holds what it has printed."""

    def __init__(self, settings: Settings, **extra: str) -> None:
        self.settings = settings
        self.log: list[str] = []
        self._extra = extra
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> Self:
        """Start it and wait until it processes touches, or has come to its crash point already."""
        command = [sys.executable, "-m", "streams", "worker"]
        self.process = subprocess.Popen(  # the child's own session: a Ctrl-C of the test run does not reach it
            command,
            env=environment(self.settings, **self._extra),
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        wait_until(lambda: self._ready() or self.process.poll() is not None, 120, "the worker to be ready")
        crashed = "TOUCHSTREAM_CRASH_AT" in self._extra and self.process.poll() == crash_points.EXIT_CODE
        assert crashed or self.process.poll() is None, "the worker ended:\n" + "".join(self.log[-40:])
        return self

    def _read(self) -> None:
        assert self.process is not None and self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line)

    def _ready(self) -> bool:
        return any("timelines restored" in line for line in self.log)

    @property
    def metrics_address(self) -> str:
        """host:port of its /metrics."""
        found = re.search(r"metrics on http://([^/]+)/metrics", "".join(self.log))
        assert found, "".join(self.log)
        return found[1]

    def stop(self, how: signal.Signals = signal.SIGTERM, seconds: float = 60) -> int:
        """Signal it and wait for its end; the exit code (negative: the signal that killed it)."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.ended(seconds)

    def ended(self, seconds: float = 60) -> int:
        """Wait for its end, and for all of its log; the exit code."""
        assert self.process is not None
        code = self.process.wait(seconds * SLOWER)
        self._reader.join(30 * SLOWER)
        return code

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.kill()
        self.ended()
        assert self.process.stderr is not None
        self.process.stderr.close()


ROOT = Path(__file__).resolve().parents[2]
