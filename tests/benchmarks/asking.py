"""An HTTP client for one kind of request, which costs so little that it does not take the cores from what it measures: aiohttp's takes as
long for a request as the gateway for its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LENGTH = b"content-length:"


class _Connection(asyncio.Protocol):
    """One request at a time; answers are those of uvicorn: a length, no chunks."""

    def __init__(self) -> None:
        self._had = bytearray()
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name

    def data_received(self, data: bytes) -> None:
        self._had += data
        head = self._had.find(b"\r\n\r\n")
        if head < 0:
            return
        at = bytes(self._had[:head]).lower().index(LENGTH) + len(LENGTH)
        end = head + 4 + int(self._had[at : self._had.index(b"\r\n", at)])
        if len(self._had) >= end and self._answer is not None:
            self._answer.set_result((int(self._had[9:12]), bytes(self._had[head + 4 : end])))
            del self._had[:end]
            self._answer = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None:
            self._answer.set_exception(exc or ConnectionError("the gateway ended the connection"))

    async def post(self, request: bytes) -> tuple[int, bytes]:
        """Status and body."""
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self._answer


class Asker:
    """Posts bodies to one address; more than `connections` at once wait for their turn."""

    def __init__(self, url: str, connections: Iterable[_Connection]) -> None:
        parts = urlsplit(url)
        self._head = (
            f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n".encode()
        )
        self._free: asyncio.LifoQueue[_Connection] = asyncio.LifoQueue()
        for connection in connections:
            self._free.put_nowait(connection)

    async def post(self, body: bytes) -> bytes:
        """The body of the answer, which must have the status 200."""
        connection = await self._free.get()
        status, told = await connection.post(b"%bContent-Length: %d\r\n\r\n%b" % (self._head, len(body), body))
        self._free.put_nowait(connection)
        assert status == 200, told
        return told


@asynccontextmanager
async def asker(url: str, connections: int) -> AsyncIterator[Asker]:
    """An `Asker` with so many connections."""
    parts, loop = urlsplit(url), asyncio.get_running_loop()
    opened = [
        (await loop.create_connection(_Connection, parts.hostname or "", parts.port or 80))[1]
        for _ in range(connections)
    ]
    try:
        yield Asker(url, opened)
    finally:
        for connection in opened:
            connection.transport.close()
