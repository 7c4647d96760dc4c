"""Both servers on one data directory: `with EmbeddedStack(path) as stack: stack.bootstrap, stack.redis_url`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from streams.edge.embedded import jars
from streams.edge.embedded.data_dir import DataDir
from streams.edge.embedded.errors import StackError
from streams.edge.embedded.kafka import Broker
from streams.edge.embedded.redis import RedisServer
from streams.edge.embedded.server import Server

# With less, a broker with a few topics ends within minutes, with its data cut off in the middle.
MIN_FREE_BYTES = 500 * 1024 * 1024


class EmbeddedStack:
    """Kafka, Redis or both; `start` and `stop` block. `broker` and `redis` can be stopped, killed and paused alone."""

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
            progress: is given a line of text, and returns a context manager that is open while that is under way.
        """
        self.data = Path(data_dir).expanduser().resolve()
        self._broker = Broker(self.data, kafka_port, config=kafka_config, progress=progress) if kafka else None
        self._redis = RedisServer(self.data, redis_port, progress=progress) if redis else None
        self._min_free_bytes = min_free_bytes
        self._data_dir = DataDir(self.data)

    @property
    def broker(self) -> Broker:
        """Kafka.

        Raises:
            StackError: the stack was made without it.
        """
        if self._broker is None:
            raise StackError("this stack was made without Kafka")
        return self._broker

    @property
    def redis(self) -> RedisServer:
        """Redis.

        Raises:
            StackError: the stack was made without it.
        """
        if self._redis is None:
            raise StackError("this stack was made without Redis")
        return self._redis

    @property
    def bootstrap(self) -> str:
        """Address of Kafka, `host:port`."""
        return self.broker.bootstrap

    @property
    def redis_url(self) -> str:
        """Address of Redis, database 0."""
        return self.redis.url

    def servers(self) -> list[Server]:
        """Those of this stack, in the order in which they are started and stopped: Redis, Kafka."""
        return [server for server in (self._redis, self._broker) if server is not None]

    def start(self) -> None:
        """Returns when both servers answer; when one fails, the other is stopped again.

        Raises:
            StackError: the data directory cannot be used or is in use, or a server cannot be started.
        """
        try:
            self._data_dir.acquire(self._min_free_bytes)
            for server in self.servers():
                server.start()
                self.remember_children()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stops Redis, then Kafka, and frees the data directory. Can be called twice."""
        try:
            for server in self.servers():
                server.stop()
        finally:
            self._data_dir.release()

    def failures(self) -> list[str]:
        """The servers that ended by themselves, each with the end of its log; empty while all is well."""
        return [failure for server in self.servers() if (failure := server.failure()) is not None]

    def remember_children(self, *others: int) -> None:
        """Writes down the pids of the servers and of `others`, so that the next start can end them if we cannot."""
        self._data_dir.remember([*(server.child.pid for server in self.servers() if server.child is not None), *others])

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
