"""Redis is lost in the middle of an erasure."""

from __future__ import annotations

import asyncio

import pytest

from streams.core.identity_facts import Fact, taken_back
from streams.settings import Settings
from tests.edge.test_identity_erasure import NOON, A, B, C, D, held, named, take
from tests.support.identities import because, flush, workers

pytestmark = [pytest.mark.stack, pytest.mark.timeout(200)]


@pytest.mark.parametrize("refuse", [True, False])
def test_redis_is_lost_before_the_null_values(settings: Settings, refuse: bool) -> None:
    """Kafka has the marks of an erasure, and Redis is lost before the null values are written: the same request, read again, and the index
    that was built anew say between them all that the log still has of the person, merges that their timelines were told of, too."""

    async def run() -> None:
        async with workers(settings, refuse_erased=refuse) as ((worker,), _):
            for n, ids in enumerate(((B,), (C,), (D,), (A, B), (B, C))):
                await take(worker, ids, n)
            assert f"told:{C}|{A}" in await held(settings), "of two that no touch named together"
            gone = await worker.index.erase(C, "e1", NOON + 20, because("e1"))
            for id_ in gone.identifiers:
                until = gone.decided_at // 1000
                await worker.send(Fact(id_, id_, "erased", because("e1"), at=gone.decided_at, until=until))
            await worker.publish([])
            flush(settings)
            again = await worker.index.erase(C, "e1", NOON + 20, because("e1"))
            back = [key for fact in await worker.index.to_take_back() for key in taken_back(fact)]
            for key in (*again.log_keys, *back):
                await worker.take_back(key)
            await worker.publish([])
            assert await named(settings) == {D}

    asyncio.run(run())
