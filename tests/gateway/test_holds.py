"""Reservations that Redis has lost are built anew by one task, whoever waits for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis
from msgspec.structs import replace

from streams.core.govern.records import Contact, Standing
from streams.core.policy import Policy
from streams.core.reservation import Reservation
from streams.gateway import holds, rules, seeing
from streams.gateway.memory import MemoryLost
from streams.gateway.questions import Ask, Seen
from streams.gateway.seeing import Eyes
from streams.settings import Settings
from tests.gateway.running import now_ms, show
from tests.support.samples import RESERVATION
from tests.support.waiting import wait_until_async

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]
MANY = 500


class Log:
    """Kafka with `MANY` reservations of one person, which takes a while to read; `reads` counts how often it was begun."""

    reads = 0
    may_end: asyncio.Event
    is_away = False

    async def all(self) -> AsyncIterator[tuple[Reservation, int]]:
        """As `Memory.all`."""
        self.reads += 1
        if self.is_away:
            raise MemoryLost("no answer")
        now = now_ms()
        for n in range(MANY):
            if n == MANY // 2:
                await self.may_end.wait()
            id_, touch = f"r-{n}", f"t-{n}"
            yield (
                replace(
                    RESERVATION, reservation_id=id_, state="held", persons=("c1-a",), touch_id=touch, expires_at=now + 60_000
                ),
                now,
            )  # fmt: skip


def lose(settings: Settings) -> None:
    """Redis loses all but a complete view of nobody."""
    with redis.Redis.from_url(settings.redis_url) as client:
        client.flushdb()
    show(settings)


def ask() -> Ask:
    """A mail to the person who has the reservations."""
    return Ask(("c1-a",), Contact(now_ms(), "email", "marketing", "sent"), Standing())


async def soon_seen(eyes: Eyes) -> Seen:
    """What a check sees, as soon as it sees all."""

    async def seen() -> Seen | None:
        (found,) = await eyes.see([ask()], now_ms(), rules.of(Policy()))
        return None if found.gaps else found

    found = await wait_until_async(seen, 30, "all to be seen")
    assert found is not None
    return found


def test_a_long_build_is_made_once_while_checks_are_answered(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reservations take longer to build than a check waits: the first checks wait so long, later ones not at all, all are told what is
    missing; nobody ends the build, which is made once, and then all reservations are seen."""
    monkeypatch.setattr(seeing, "BUILDING", 1.0)
    lose(settings)
    log = Log()

    async def story() -> None:
        log.may_end = asyncio.Event()
        memory: Any = log
        eyes = Eyes(settings, Policy(), memory)
        by = rules.of(Policy())
        try:
            asked = time.monotonic()
            for _ in range(20):
                (seen,) = await eyes.see([ask()], now_ms(), by)
                assert "reservations_incomplete" in seen.gaps
            assert time.monotonic() - asked < 10 * seeing.BUILDING, "who comes later does not wait"
            assert not await eyes.ping() and log.reads == 1
            log.may_end.set()
            seen = await soon_seen(eyes)
            assert len(seen.found.live) == MANY and log.reads == 1
        finally:
            await eyes.close()

    asyncio.run(story())


def test_a_build_that_failed_is_made_again(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kafka cannot be read, so what is missing cannot be told; as soon as it can, the same gateway goes on without waiting for the build
    that it began itself."""
    monkeypatch.setattr(holds, "BUILD_AGAIN", 3600.0)
    lose(settings)
    log = Log()

    async def story() -> None:
        log.may_end = asyncio.Event()
        log.may_end.set()
        log.is_away = True
        memory: Any = log
        eyes = Eyes(settings, Policy(), memory)
        by = rules.of(Policy())
        try:
            for _ in range(3):
                (seen,) = await eyes.see([ask()], now_ms(), by)
                assert "reservations_incomplete" in seen.gaps
            assert log.reads == 1, "not again at once"
            log.is_away = False
            monkeypatch.setattr(holds, "BUILD_AGAIN", 0.0)
            assert len((await soon_seen(eyes)).found.live) == MANY
        finally:
            await eyes.close()

    asyncio.run(story())
