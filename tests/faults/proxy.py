"""A small TCP proxy on loopback that can delay, or fall silent towards one process: a connection that is half open."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from types import TracebackType
from typing import Self

import psutil

from streams.edge.embedded.ports import LOOPBACK, free_port

PIECE = 65_536


class Proxy:
    """Forwards `port` to `target` (a port, which may change) from a thread of its own, inside `with`."""

    def __init__(self) -> None:
        self.port = free_port()
        self.target = 0
        self.delay = 0.0
        """Seconds that each piece of data waits, in each direction."""
        self._silent: set[int] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy-{self.port}", daemon=True)
        self._server: asyncio.Server | None = None
        self._tasks: dict[asyncio.Task[None], int] = {}

    @property
    def address(self) -> str:
        """host:port for clients."""
        return f"{LOOPBACK}:{self.port}"

    def silence(self, pid: int) -> None:
        """From now on nothing of this process's connections is forwarded, old or new; they stay open."""
        self._silent |= {pid}

    def restore(self) -> None:
        """New connections are forwarded again. Those that were silent end with a reset, as when a router forgot them."""
        was, self._silent = self._silent, set()
        asyncio.run_coroutine_threadsafe(self._reset(was), self._loop).result(30)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(30)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accepted, LOOPBACK, self.port)

    async def _close(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._reset(set(self._tasks.values()))

    async def _reset(self, pids: set[int]) -> None:
        tasks = [task for task, pid in self._tasks.items() if pid in pids]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks[task] = pid = _owner(writer.get_extra_info("peername")[1], self.port)
        with contextlib.suppress(asyncio.CancelledError, OSError):  # either side may end a connection at any time
            await self._forward(reader, writer, pid)
        writer.transport.abort()
        del self._tasks[task]

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pid: int) -> None:
        await self._heard(pid)  # accepted, never answered
        up_reader, up_writer = await asyncio.open_connection(LOOPBACK, self.target)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(reader, up_writer, pid))
                both.create_task(self._pump(up_reader, writer, pid))
        except* (_Ended, OSError):
            pass
        finally:
            up_writer.transport.abort()

    async def _heard(self, pid: int) -> None:
        """Returns at once, or never for a silent process: it is cancelled by the reset."""
        if pid in self._silent:
            await self._loop.create_future()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pid: int) -> None:
        while piece := await reader.read(PIECE):
            if self.delay:
                await asyncio.sleep(self.delay)
            await self._heard(pid)  # a lost packet: TCP sends it again and again
            writer.write(piece)
            await writer.drain()
        raise _Ended


class _Ended(Exception):
    """One side closed the connection."""


def _owner(client_port: int, server_port: int) -> int:
    """The process on the other end of an accepted connection; 0 when it has ended already."""
    for connection in psutil.net_connections("tcp4"):
        if connection.laddr.port == client_port and connection.raddr and connection.raddr.port == server_port:
            return connection.pid or 0
    return 0
