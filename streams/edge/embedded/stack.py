"""Both servers on one data directory: `with EmbeddedStack(path) as stack: stack.bootstrap, stack.redis_url`."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from streams.edge.embedded import jars
from streams.edge.embedded.errors import StackError, from_os_error
from streams.edge.embedded.kafka import Broker
from streams.edge.embedded.redis import RedisServer

# Less, and a broker with a few topics ends within minutes, with its data cut off in the middle.
MIN_FREE_BYTES = 500 * 1024 * 1024


class EmbeddedStack:
    """Kafka, Redis or both. `start` and `stop` block; one instance belongs to one thread. See `Broker`, `RedisServer`."""

    def __init__(
        self,
        data_dir: Path | str,
        kafka_port: int = 9092,
        redis_port: int = 6379,
        *,
        kafka: bool = True,
        redis: bool = True,
        kafka_config: Mapping[str, str] | None = None,
        min_free_bytes: int = MIN_FREE_BYTES,
        progress: jars.Progress = jars.silent,
    ) -> None:
        """Starts nothing yet.

        Args:
            data_dir: kept between runs; only one stack at a time can use it.
            kafka_port, redis_port: 0 takes a free one.
            kafka, redis: False leaves that one out.
            progress: is given a line of text and returns a context manager that is open while that is under way.
        """
        self.data = Path(data_dir).expanduser().resolve()
        self.broker = Broker(self.data, kafka_port, config=kafka_config, progress=progress) if kafka else None
        self.redis = RedisServer(self.data, redis_port, progress=progress) if redis else None
        self._min_free_bytes = min_free_bytes
        self._lock = DataDirLock(self.data)

    @property
    def bootstrap(self) -> str:
        """Address of Kafka, `host:port`."""
        return self.kafka_server.bootstrap

    @property
    def redis_url(self) -> str:
        """Address of Redis, database 0."""
        if self.redis is None:
            raise StackError("this stack was made without Redis")
        return self.redis.url

    @property
    def kafka_server(self) -> Broker:
        """The broker, for those who know that there is one."""
        if self.broker is None:
            raise StackError("this stack was made without Kafka")
        return self.broker

    def start(self) -> None:
        """Returns when both servers answer; when one fails, the other is stopped again.

        Raises:
            StackError: the data directory cannot be used or is in use, or a server cannot be started.
        """
        self._lock.acquire()
        try:
            self._check_space()
            end_leftovers(self.data)
            for server in (self.redis, self.broker):
                if server is not None:
                    server.start()
                    self.remember_children()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stops Redis, then Kafka, and frees the data directory. Can be called twice."""
        try:
            for server in (self.redis, self.broker):
                if server is not None:
                    server.stop()
        finally:
            self._lock.release()

    def failures(self) -> list[str]:
        """The servers that ended by themselves, each with the end of its log; empty while all is well."""
        from streams.edge.embedded.process import died

        children = [
            server.child for server in (self.broker, self.redis) if server is not None and server.child is not None
        ]
        return [str(died(child, code)) for child in children if (code := child.exit_code()) is not None]

    def remember_children(self, *others: int) -> None:
        """Writes down the pids of both servers and of `others`, for `end_leftovers` of the next start."""
        servers = [
            server.child.pid for server in (self.broker, self.redis) if server is not None and server.child is not None
        ]
        known = []
        for pid in (*servers, *others):
            try:
                known.append([pid, psutil.Process(pid).create_time()])
            except psutil.NoSuchProcess:
                continue
        path = self.data / "children.json"
        try:
            path.with_suffix(".new").write_text(json.dumps(known), encoding="utf-8")
            path.with_suffix(".new").replace(path)
        except OSError as error:
            raise from_os_error(error, "write down the running servers", path) from None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _check_space(self) -> None:
        free = shutil.disk_usage(self.data).free
        if free < self._min_free_bytes:
            raise StackError(
                f"only {free // 2**20} MiB are free at {self.data}, and the embedded servers need {self._min_free_bytes // 2**20};"
                f" free some, or choose another place with --data-dir"
            )


class DataDirLock:
    """Keeps a second stack off a data directory. The kernel drops it with the process, however that ends."""

    def __init__(self, data: Path) -> None:
        self._path = data / "lock"
        self._file: int | None = None

    def acquire(self) -> None:
        """Takes the lock and writes our pid into the file.

        Raises:
            StackError: the directory cannot be written, or another process holds it.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise from_os_error(error, "use the data directory", self._path.parent) from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(file, 0)
            os.pwrite(file, str(os.getpid()).encode(), 0)
        except BlockingIOError:
            other = os.pread(file, 32, 0).decode() or "unknown"
            os.close(file)
            raise StackError(
                f"the data directory {self._path.parent} is in use by another touchstream (pid {other}); stop that one, or choose"
                f" another directory with --data-dir"
            ) from None
        except OSError as error:
            os.close(file)
            raise from_os_error(error, "lock the data directory", self._path) from None
        self._file = file

    def release(self) -> None:
        """Nothing when it is not held."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def end_leftovers(data: Path) -> list[int]:
    """Kills children of an earlier run that outlived it (possible where the kernel does not do it); returns their pids.

    Call it with the lock held. A pid that was given to another program since is told apart by its start time.
    """
    path = data / "children.json"
    if not path.exists():
        return []
    try:
        known = [(int(pid), float(created)) for pid, created in json.loads(path.read_text(encoding="utf-8"))]
    except (ValueError, TypeError):  # cut off by a full disk; whom it named cannot be known
        known = []
    ended = []
    for pid, created in known:
        try:
            process = psutil.Process(pid)
            if abs(process.create_time() - created) < 1.0:
                process.kill()
                process.wait(10)
                ended.append(pid)
        except psutil.NoSuchProcess:
            continue
    path.unlink()
    return ended
