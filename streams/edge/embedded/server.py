"""What the two servers have in common: start and wait for a real answer, stop, kill, pause, resume."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from streams.edge.embedded import jars
from streams.edge.embedded.errors import StackError
from streams.edge.embedded.ports import LOOPBACK, answers, claim
from streams.edge.embedded.process import Child, died


class Server(ABC):
    """One server on loopback. A port of 0 takes a free one at the first start and keeps it over later ones."""

    name: ClassVar[str]
    port_option: ClassVar[str]
    start_seconds: ClassVar[float]
    stop_seconds: ClassVar[float]

    def __init__(self, data: Path, port: int, progress: jars.Progress) -> None:
        """Starts nothing yet; `data` is the directory of the whole stack."""
        self.port = port
        self.child: Child | None = None
        self.home = data / self.name.lower()
        self.logs = data / "logs"
        self.progress = progress

    @property
    def address(self) -> str:
        """`host:port`; the port is known after `start`."""
        return f"{LOOPBACK}:{self.port}"

    @abstractmethod
    def prepare(self) -> None:
        """What takes place before the port is claimed and is reported by itself: finding or fetching the program."""

    @abstractmethod
    def command(self) -> list[str]:
        """Writes what the program reads at its start, and returns how to call it."""

    @abstractmethod
    def responds(self) -> bool:
        """Whether the server, whose port accepts connections, does its work."""

    @property
    @abstractmethod
    def log(self) -> Path:
        """Where the program's own output goes."""

    @property
    def more_logs(self) -> Sequence[Path]:
        """Further files to read when something is wrong."""
        return ()

    def start(self) -> None:
        """Returns when the server really answers. Nothing when it runs already.

        Raises:
            StackError: the program is missing, the port taken, the data not usable, or the server ended or did not
                answer within `start_seconds`.
        """
        if self.child is not None and self.child.exit_code() is None:
            return
        self.prepare()
        self.port = claim(self.port, self.name, self.port_option)
        with self.progress(f"starting {self.name}"):
            self.child = Child(self.name, self.command(), self.log)
            self._await_ready(self.child)

    def stop(self, *, kill: bool = False) -> None:
        """SIGTERM, and SIGKILL after `stop_seconds`; with `kill` SIGKILL at once. Nothing when it does not run."""
        if self.child is not None:
            if kill:
                self.child.kill()
            else:
                self.child.stop(self.stop_seconds)
            self.child = None

    def pause(self) -> None:
        """Stops it in its tracks (SIGSTOP): connections stay open, nothing is answered."""
        self._running().pause()

    def resume(self) -> None:
        """Ends `pause`."""
        self._running().resume()

    def failure(self) -> str | None:
        """How it ended, when it ended by itself, with the end of its log."""
        code = None if self.child is None else self.child.exit_code()
        return None if self.child is None or code is None else str(died(self.child, code, self.more_logs))

    def _running(self) -> Child:
        if self.child is None:
            raise StackError(f"{self.name} is not running")
        return self.child

    def _await_ready(self, child: Child) -> None:
        deadline = time.monotonic() + self.start_seconds
        while True:
            code = child.exit_code()
            if code is not None:
                raise died(child, code, self.more_logs)
            if answers(self.port) and self.responds():
                return
            if time.monotonic() > deadline:
                tail = child.last_lines()
                child.kill()
                where = ", ".join(str(path) for path in (self.log, *self.more_logs))
                raise StackError(
                    f"{self.name} did not answer at {self.address} within {self.start_seconds:.0f} s; the end of its log"
                    f" ({where}):\n{tail}"
                )
            time.sleep(0.05)
