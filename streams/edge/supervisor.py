"""Workers, and a gateway and a ledger beside them, as child processes: started with our settings, restarted with growing delays,
stopped together."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from streams import settings as settings_module
from streams.edge.embedded.process import Child, exit_text
from streams.settings import PREFIX, Settings

STOP_SECONDS = 30.0  # the last micro-batch is written and committed; afterwards it is read again, so nothing is lost
COMMAND = (sys.executable, "-m", "streams", "worker")
GATEWAY_COMMAND = (sys.executable, "-m", "streams", "gateway")
LEDGER_COMMAND = (sys.executable, "-m", "streams", "ledger")


@dataclass(slots=True)
class Backoff:
    """Delay before the next restart: doubles from `first` to `longest`, starts again after `healthy` seconds of life."""

    first: float = 1.0
    longest: float = 30.0
    healthy: float = 60.0
    _next: float = field(default=0.0, init=False)

    def delay(self, lived: float) -> float:
        """Seconds to wait after a process that lived for `lived` seconds."""
        delay = self.first if lived >= self.healthy or not self._next else self._next
        self._next = min(delay * 2, self.longest)
        return delay


def environment(settings: Settings) -> dict[str, str]:
    """The environment in which a child's `settings.load()` gives `settings`.

    Ours, and on top only what options changed: a secret that came from a file stays in its file.
    """
    ours = settings_module.load()
    changed = {
        PREFIX + name.upper(): str(value)
        for name, value in settings_module.fields(settings)
        if value != getattr(ours, name)
    }
    return {**os.environ, **changed}  # noqa: TID251 - passes it on, reads no setting


@dataclass(slots=True)
class _Slot:
    name: str
    settings: Settings
    command: tuple[str, ...]
    child: Child | None = None
    started: float = 0.0
    start_at: float = 0.0
    backoff: Backoff = field(default_factory=Backoff)


class Workers:
    """A fixed number of workers, a gateway and a ledger if wanted. Call `step` a few times a second; all happens in the caller's thread."""

    def __init__(
        self,
        settings: Settings,
        metrics_ports: Sequence[int],
        logs: Path,
        say: Callable[[str], None],
        *,
        command: Sequence[str] = COMMAND,
        gateway_port: int | None = None,
        ledger_port: int | None = None,
    ) -> None:
        """Starts nothing yet.

        Args:
            metrics_ports: one a worker.
            logs: directory of their logs, `worker-<n>.log`.
            say: is given a line for people about each end and restart.
            command: what is run as a worker; tests put another program here.
            gateway_port: where the gateway listens; None starts none.
            ledger_port: where the ledger's metrics are; None starts none.
        """
        self._logs = logs
        self._say = say
        self._workers = [
            _Slot(f"worker-{number}", msgspec.structs.replace(settings, metrics_port=port), tuple(command))
            for number, port in enumerate(metrics_ports)
        ]
        self._gateways = (
            []
            if gateway_port is None
            else [_Slot("gateway", msgspec.structs.replace(settings, gateway_port=gateway_port), GATEWAY_COMMAND)]
        )
        self._ledgers = (
            []
            if ledger_port is None
            else [_Slot("ledger", msgspec.structs.replace(settings, metrics_port=ledger_port), LEDGER_COMMAND)]
        )
        self._slots = [*self._workers, *self._gateways, *self._ledgers]

    def pids(self) -> list[int]:
        """Of the processes that run."""
        return [slot.child.pid for slot in self._slots if slot.child is not None]

    def table(self) -> list[tuple[str, int, int]]:
        """Name, metrics port and pid of each worker that runs."""
        return [(s.name, s.settings.metrics_port, s.child.pid) for s in self._workers if s.child is not None]

    def gateway(self) -> tuple[int, int] | None:
        """Port and pid of the gateway, if it runs."""
        return next(((s.settings.gateway_port, s.child.pid) for s in self._gateways if s.child is not None), None)

    def ledger(self) -> tuple[int, int] | None:
        """Metrics port and pid of the ledger, if it runs."""
        return next(((s.settings.metrics_port, s.child.pid) for s in self._ledgers if s.child is not None), None)

    def step(self) -> bool:
        """Notices ended workers and starts those that are due; returns whether anything changed."""
        changed = False
        for slot in self._slots:
            now = time.monotonic()
            code = None if slot.child is None else slot.child.exit_code()
            if slot.child is not None and code is not None:
                delay = slot.backoff.delay(now - slot.started)
                slot.start_at = now + delay
                # 0 is an end too that nobody here asked for: without it, fewer workers than wanted would go unnoticed.
                self._say(
                    f"{slot.name} (pid {slot.child.pid}) ended with {exit_text(code)} after {now - slot.started:.0f} s;"
                    f" restarting in {delay:g} s; the end of its log ({slot.child.log}):\n{slot.child.last_lines()}"
                )
                slot.child = None
                changed = True
            elif slot.child is None and now >= slot.start_at:
                log = self._logs / f"{slot.name}.log"
                slot.child = Child(slot.name, slot.command, log, env=environment(slot.settings))
                slot.started = time.monotonic()
                changed = True
        return changed

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """SIGTERM to all, and SIGKILL to those that still run after `seconds`."""
        running = [slot.child for slot in self._slots if slot.child is not None]
        for child in running:
            child.terminate()
        deadline = time.monotonic() + seconds
        for child in running:
            if child.wait(max(deadline - time.monotonic(), 0)) is None:
                self._say(f"{child.name} (pid {child.pid}) did not end within {seconds:g} s and is killed")
                child.kill()
        for slot in self._slots:
            slot.child = None
