"""Reservations in Redis, changed atomically (`holds.lua`); complete or known not to be.

They are in Kafka too (`streams.gateway.memory`), and Redis says for which run of the server they are complete: after a flush or a restart,
which may have lost the last second, they are built from there before anybody relies on them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal
from uuid import uuid4

import msgspec
from msgspec import Struct
from redis.exceptions import ResponseError

from streams.core.reservation import Reservation
from streams.edge.reservations import SCRIPT, key_prefix
from streams.gateway.memory import Memory, MemoryLost
from streams.settings import Settings

log = logging.getLogger("touchstream.gateway")

VERSION = b"#v"
POLL = 0.05
ATTEMPTS = 5
LEAST_TTL_MS = 1000

LOADED = 200
"""Reservations that one pipeline puts into Redis: a trip each would take minutes for some ten thousand, and all in one would hold up the
checks that go on beside it."""

BUILD_AGAIN = 1.0
"""Seconds after a build that failed until the next one."""

PATIENCE = 10.0
"""Seconds for which a reservation waits while all of them are built anew."""

encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Reservation).decode

Outcome = Literal["held", "done", "changed", "lost"]


class Found(Struct, frozen=True):
    """What stands under some ids: the reservations that count, the ids of those that ended, and the word of each id at that moment."""

    live: dict[str, Reservation]
    gone: tuple[str, ...]
    words: dict[str, bytes]


class Holds:
    """One for each gateway process. RedisError when Redis is away; `MemoryLost` (see `Memory`) when Kafka is, and needed."""

    def __init__(self, settings: Settings, client: Any, memory: Memory) -> None:
        self._redis, self._memory = client, memory
        self._prefix = key_prefix(settings)
        self._script = client.register_script(SCRIPT)
        self._run = ""
        self._token = ""
        self._building: asyncio.Task[None] | None = None
        self._missing_since: float | None = None
        self._failed_at = -BUILD_AGAIN

    async def close(self) -> None:
        """End a build that is under way."""
        if self._building is not None:
            self._building.cancel()
            await asyncio.wait({self._building})

    async def connected(self, connection: Any) -> None:
        """A connection was made, perhaps to another server, or to the same one restarted: asks which run of it this is."""
        await connection.send_command("INFO", "server")
        info = (await connection.read_response()).decode()
        self._run = info.partition("run_id:")[2].split()[0]

    def is_complete(self, answer: bytes | None) -> bool:
        """Whether the reservations are complete, by what stands under `ready`."""
        return answer is not None and answer == self._run.encode()

    def found(self, ids: Sequence[str], answers: Sequence[Mapping[bytes, bytes]], now: int) -> Found:
        """What the hashes of these ids say of them, at `now` (UTC ms)."""
        live: dict[str, Reservation] = {}
        gone: dict[str, None] = {}
        words = {}
        for id_, fields in zip(ids, answers, strict=True):
            words[id_] = fields.get(VERSION, b"")
            for name, value in fields.items():
                if name != VERSION:
                    one = decode(value)
                    if one.is_live(now):
                        live[one.reservation_id] = one
                    else:
                        gone[one.reservation_id] = None
        return Found(live, tuple(gone), words)

    async def get(self, reservation_id: str) -> tuple[Reservation, bytes] | None:
        """A reservation and its record as it stands; None when nobody knows it."""
        value = None
        for _ in range(ATTEMPTS):
            ready, value = await self._redis.mget(f"{self._prefix}ready", f"{self._prefix}of:{reservation_id}")
            if self.is_complete(ready):
                break
            if not await self.complete(PATIENCE):
                raise MemoryLost("the reservations are being built anew from Kafka; ask again")
        return None if value is None else (decode(value), value)

    async def hold(self, one: Reservation, found: Found, guards: Sequence[str], now: int, known: bytes) -> Outcome:
        """Hold it, if nothing has changed under the guards since `found`, and under its own id there still is the record `known` (`get`;
        empty when there was none): two customers have no guard in common, but may be asked for with one touch id."""
        places = _places(one)
        watched = [item for id_ in guards for item in (id_, found.words[id_])]
        operands: list[Any] = [one.reservation_id, known, encode(one), _ttl(one, now)]
        operands += [len(places), *places, len(found.gone), *found.gone]
        outcome: Outcome = await self._do("hold", self._run, uuid4().hex, *operands, *watched)
        return outcome

    async def settle(self, old: bytes, new: Reservation, now: int) -> Outcome:
        """Replace its record, if it is still the old one."""
        places = _places(new)
        keep = int(new.is_live(now))
        operands = [new.reservation_id, old, encode(new), _ttl(new, now), keep, len(places), *places]
        outcome: Outcome = await self._do("settle", self._run, uuid4().hex, *operands)
        return outcome

    async def stands(self, one: Reservation) -> bool:
        """Whether Redis has it as it is, and was not lost since."""
        pipe = self._redis.pipeline(transaction=True)
        pipe.get(f"{self._prefix}ready")
        pipe.get(f"{self._prefix}of:{one.reservation_id}")
        ready, value = await pipe.execute()
        return self.is_complete(ready) and value == encode(one)

    async def is_erased(self, reservation_id: str) -> bool:
        """Whether its customer was erased, a short time ago."""
        return bool(await self._redis.exists(f"{self._prefix}gone:{reservation_id}"))

    async def complete(self, seconds: float) -> bool:
        """Whether Redis has all reservations. If it has not, they are built from the log, by a task that goes on whether somebody waits
        for it or not; this waits until `seconds` after they were first found missing at most, so that of many who ask in a long build
        only the first ones wait."""
        now = time.monotonic()
        since = self._missing_since or now
        if self._building is None:
            if self._missing_since is None:
                self._missing_since = since
            elif now - self._failed_at < BUILD_AGAIN:
                return False
            self._building = asyncio.get_running_loop().create_task(self._complete())
            self._building.add_done_callback(self._built)
        building = self._building
        await asyncio.wait({building}, timeout=max(0.0, since + seconds - now))
        if building.done():
            building.result()
            return True
        return False

    def _built(self, building: asyncio.Task[None]) -> None:
        self._building = None
        if building.cancelled():
            return
        if (error := building.exception()) is None:
            self._missing_since = None
            return
        self._failed_at = time.monotonic()
        log.warning("reservations cannot be built anew: %s: %s", type(error).__name__, error)

    async def _complete(self) -> None:
        while True:
            if not self._run:
                await self._redis.ping()  # connects
            before, self._token = self._token, uuid4().hex
            state = await self._do("begin", self._run, self._token, before)
            if state == 0:
                return
            if state == 1:
                try:
                    await self._build(self._token)
                except ResponseError as error:
                    if not str(error).startswith("LOST"):
                        raise
            else:
                await asyncio.sleep(POLL)

    async def _build(self, token: str) -> None:
        together: list[tuple[Reservation, int]] = []
        async for one in self._memory.all():
            together.append(one)
            if len(together) == LOADED:
                await self._load(token, together)
                together = []
        if together:
            await self._load(token, together)
        await self._do("ready", token, self._run)

    async def _load(self, token: str, together: Sequence[tuple[Reservation, int]]) -> None:
        pipe = self._redis.pipeline(transaction=False)
        for one, now in together:
            places = _places(one)
            operands = [one.reservation_id, encode(one), _ttl(one, now), int(one.is_live(now)), len(places), *places]
            await self._script(args=["load", self._prefix, token, uuid4().hex, *operands], client=pipe)
        for answer in await pipe.execute(raise_on_error=False):  # redis-py's own error has the record in its text
            if isinstance(answer, Exception):
                raise answer

    async def _do(self, operation: str, *operands: Any) -> Any:
        answer = await self._script(args=[operation, self._prefix, *operands])
        return answer.decode() if isinstance(answer, bytes) else answer


def _places(one: Reservation) -> list[str]:
    return [*one.persons, *([one.account] if one.account else [])]


def _ttl(one: Reservation, now: int) -> int:
    return max(one.expires_at - now, LEAST_TTL_MS)
