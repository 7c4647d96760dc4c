"""Redis is lost in the middle of an erasure, or a worker is slow to take out of the log what an erasure left there."""

from __future__ import annotations

import asyncio

import pytest

from streams.core.identity_facts import Fact, taken_back
from streams.settings import Settings
from tests.edge.test_identity_erasure import NOON, A, B, C, D, cause, end, erase, held, named, take
from tests.support.identities import because, flush, workers

pytestmark = [pytest.mark.stack, pytest.mark.timeout(200), pytest.mark.usefixtures("quick_index")]


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


def test_a_pair_is_linked_anew_while_it_is_taken_out(settings: Settings) -> None:
    """Of what a slow worker takes out of the log, that which a later touch decided anew stays there, in whatever order both are written."""

    async def run() -> None:
        async with workers(settings, 2, refuse_erased=False) as ((first, second), _):
            await take(first, (A,), 0)
            in_flight = await first.index.resolve([(A, B)], lambda _: cause(10))
            gone = await erase(second, A, 20)
            await first.publish(in_flight)
            slow = await second.index.overdue()
            assert [fact.kind for who in slow for fact in who.facts] == ["gone"]
            late = await take(first, (A, B), end(gone) + 10)
            assert late.facts[0].kind == "gone"
            await second.publish(slow)
            await second.mend()
            assert await first.index.overdue() == []
            flush(settings)
            assert (await take(first, (B,), end(gone) + 20)).customer_id == A

    asyncio.run(run())
