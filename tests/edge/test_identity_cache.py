"""What a worker remembers of the identity index: fewer questions, the same answers."""

from __future__ import annotations

import asyncio

import pytest
import redis

from streams.core.identity_facts import Fact, Resolved
from streams.edge.identity_cache import Settled
from streams.settings import Settings
from tests.support.identities import flush, workers

A, B, C, D = "c1-a", "c2-b", "c3-c", "c4-d"


def test_what_is_still_to_be_told_is_not_remembered() -> None:
    """An answer with facts is asked for again, until the log has them."""
    settled = Settled()
    settled.put((B,), Resolved(B, (Fact(B, B),)))
    assert settled.get([(B,)]) == [None]
    settled.put((B,), Resolved(B))
    assert settled.get([(B,), (C,)]) == [Resolved(B), None]


def test_customers_that_are_gone_are_forgotten() -> None:
    """Answers that name a customer who goes by another id do not hold, nor are they remembered afterwards."""
    settled = Settled()
    settled.put((C,), Resolved(B))
    known = settled.get([(C,), (D,)])
    assert settled.hold(known)
    settled.drop([B])
    assert not settled.hold(known)
    settled.put((D,), Resolved(B))
    assert settled.get([(C,), (D,)]) == [None, None]
    settled.put((C,), Resolved(A))
    assert settled.get([(C,)]) == [Resolved(A)]


def test_memory_is_bounded() -> None:
    """Two generations are kept; what is used stays, what is not used goes. Too many changes clear all."""
    settled = Settled(generation=10)
    for n in range(100):
        settled.put((f"c5-{n}",), Resolved(f"c5-{n}"))
        settled.get([("c5-0",)])
    answers = settled.get([(f"c5-{n}",) for n in range(100)])
    assert answers[0] == Resolved("c5-0")
    assert 10 <= sum(answer is not None for answer in answers) <= 20
    era = settled.era
    settled.drop([f"gone {n}" for n in range(11)])
    assert settled.era > era
    assert settled.get([("c5-0",)]) == [None]


@pytest.mark.stack
@pytest.mark.timeout(200)
def test_settled_touches_ask_nothing(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A touch that is settled sends none of its ids; another worker's merge, its trimmed notice, or a flush has it asked again."""

    async def run() -> None:
        async with workers(settings, 2) as ((first, second), _):
            asked: list[list[str]] = []
            real = first.index._run

            async def noted(operation: str, operands: list[str]) -> list[list[bytes]]:
                if operation == "resolve":
                    asked.append(list(operands[2::2]))
                return await real(operation, operands)

            await first.touch((B, C), (D,))
            monkeypatch.setattr(first.index, "_run", noted)
            for _ in range(3):
                assert await first.touch((B, C), (D,)) == [B, D]
            assert asked == [[f"{B} {C}", D], [], []]
            asked.clear()
            await second.touch((A, C))
            assert await first.touch((B, C), (D,)) == [A, D]
            assert await first.touch((B, C), (D,)) == [A, D]
            assert asked == [[], [f"{B} {C}"], []]
            asked.clear()
            with redis.Redis.from_url(settings.redis_url) as client:
                client.delete(f"touchstream:{settings.app_id}:id:changes")
                client.incr(f"touchstream:{settings.app_id}:id:changed")
            assert await first.touch((B, C), (D,)) == [A, D]
            assert asked == [[], [f"{B} {C}", D]]
            asked.clear()
            flush(settings)
            assert await first.touch((B, C), (D,)) == [A, D]
            assert asked[-1] == [f"{B} {C}", D]

    asyncio.run(run())


@pytest.mark.stack
@pytest.mark.timeout(200)
def test_new_connections_are_no_outage(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many connections as a worker opens at its start each cast doubt on an answer; it is asked again, nothing is decided alone."""

    async def run() -> None:
        async with workers(settings, 2) as ((first, second), _):
            await second.touch((B, C), (D,))
            real, doubts = first.index._run, 5

            async def doubted(operation: str, operands: list[str]) -> list[list[bytes]]:
                nonlocal doubts
                answer = await real(operation, operands)
                if operation == "resolve" and doubts:
                    doubts -= 1
                    first.index.suspect()
                return answer

            monkeypatch.setattr(first.index, "_run", doubted)
            assert await first.touch((C,), (D,)) == [B, D]
            assert not doubts

    asyncio.run(run())
