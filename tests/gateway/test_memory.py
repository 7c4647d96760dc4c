"""While Kafka takes nothing, nobody waits for it but who sees whether it does again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from streams.edge.codec import Codec
from streams.edge.publisher import PublishError, Record
from streams.gateway import memory
from streams.gateway.memory import AGAIN, Memory, MemoryLost
from streams.settings import Settings
from tests.support.samples import RESERVATION


class Kafka:
    """A producer that takes records, or does not."""

    is_away = True

    async def publish(self, record: Record) -> None:
        if self.is_away:
            raise PublishError("no answer")


def test_one_a_second_sees_whether_kafka_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails closes the way for all; each second one is let through; a write that is taken opens it."""
    now = [100.0]
    monkeypatch.setattr(memory.time, "monotonic", lambda: now[0])
    kafka: Any = Kafka()
    kept = Memory(Settings(), Codec(), kafka)

    def admitted() -> bool:
        try:
            kept.admit()
        except MemoryLost as error:
            assert str(error) == "no answer"
            return False
        return True

    async def story() -> None:
        assert admitted() and not kept.is_lost
        with pytest.raises(MemoryLost, match="no answer"):
            await kept.write(RESERVATION)
        assert kept.is_lost and not admitted()
        now[0] += AGAIN
        assert [admitted(), admitted()] == [True, False]
        kafka.is_away = False
        await kept.write(RESERVATION)
        assert not kept.is_lost and [admitted(), admitted()] == [True, True]

    asyncio.run(story())
