"""Single checks are looked at together, a few looks at a time, and no more wait than can be answered soon. No servers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from redis.exceptions import TimeoutError as TimedOut

from streams.core.govern.records import Contact, Standing
from streams.core.policy import Policy
from streams.gateway import gate as gate_module
from streams.gateway.gate import LOOKS, TOGETHER, Answer, Gate, Unavailable
from streams.gateway.holds import Found
from streams.gateway.people import Person
from streams.gateway.questions import Ask, Seen
from streams.gateway.rules import Rules
from streams.gateway.seeing import _Counted
from streams.settings import Settings


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that stands still for a moment makes no look beside the first one; and looks are made as soon as they may."""
    monkeypatch.setattr(gate_module, "SLOW", 3600.0)
    monkeypatch.setattr(gate_module, "APART", 0.0)


class Slow:
    """Eyes that see nothing, once they may; `looks` are the numbers of questions that were looked at together."""

    def __init__(self) -> None:
        self.looks: list[int] = []
        self.may_see = asyncio.Event()
        self.is_broken = False

    async def see(self, asks: Sequence[Ask], now: int, rules: Rules) -> list[Seen]:
        """As `Eyes.see`."""
        self.looks.append(len(asks))
        await self.may_see.wait()
        if self.is_broken:
            raise RuntimeError("a bug")
        return [Seen(ask, Person(ask.ids, ask.ids), (), ask.standing, Found({}, (), {}), None, ()) for ask in asks]


def ask(n: int) -> Ask:
    """A mail to the n-th customer."""
    return Ask((f"c1-{n}",), Contact(0, "email", "marketing", "sent"), Standing())


async def started(gate: Gate, count: int) -> list[asyncio.Task[Answer]]:
    """So many checks, each asked by somebody else."""
    asked = [asyncio.ensure_future(gate.check_one(ask(n))) for n in range(count)]
    for _ in range(5):
        await asyncio.sleep(0)
    return asked


def gate_of(eyes: Any) -> Gate:
    """A gate with these eyes, that holds nothing."""
    return Gate(Settings(), Policy(), eyes, memory=None)  # type: ignore[arg-type]


def test_what_comes_during_a_look_is_looked_at_together() -> None:
    """All that comes while there is a look under way is one look more, and each is told its own answer."""

    async def story() -> None:
        eyes = Slow()
        gate = gate_of(eyes)
        first, rest = await started(gate, 1), await started(gate, TOGETHER)
        assert eyes.looks == [1]
        eyes.may_see.set()
        answers = await asyncio.gather(*first, *rest)
        assert eyes.looks == [1, TOGETHER]
        assert [answer.seen.person.customer_id for answer in answers[1:]] == [f"c1-{n}" for n in range(TOGETHER)]

    asyncio.run(story())


def test_looks_keep_a_distance(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first check is looked at at once; what comes soon after its look began is looked at together, when the distance is over."""
    monkeypatch.setattr(gate_module, "APART", 0.2)

    async def story() -> None:
        eyes = Slow()
        eyes.may_see.set()
        gate = gate_of(eyes)
        await gate.check_one(ask(0))
        soon = [one for n in range(3) for one in await started(gate, 1)]
        assert eyes.looks == [1]
        await asyncio.gather(*soon)
        assert eyes.looks == [1, 3]

    asyncio.run(story())


def test_nobody_waits_for_a_look_that_gets_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look has had no answer for a while: who comes then is looked at beside it, up to so many looks; then all are answered."""
    monkeypatch.setattr(gate_module, "SLOW", -1.0)

    async def story() -> None:
        eyes = Slow()
        gate = gate_of(eyes)
        asked = [one for _ in range(LOOKS + 3) for one in await started(gate, 1)]
        assert eyes.looks == [1] * LOOKS
        eyes.may_see.set()
        await asyncio.gather(*asked)
        assert eyes.looks == [1] * LOOKS + [3]

    asyncio.run(story())


def test_who_is_told_may_ask_again_at_once() -> None:
    """The next question that comes in the moment of the answer has its look, too."""

    async def story() -> None:
        eyes = Slow()
        eyes.may_see.set()
        gate = gate_of(eyes)
        async with asyncio.timeout(60):
            for n in range(5):
                assert (await gate.check_one(ask(n))).allowed
        assert eyes.looks == [1] * 5

    asyncio.run(story())


def test_who_would_wait_for_long_is_told_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """While as many wait as may, one more is refused at once; the others are answered, and then there is room again."""
    monkeypatch.setattr(gate_module, "MOST_WAITING", 3)

    async def story() -> None:
        eyes = Slow()
        gate = gate_of(eyes)
        asked = await started(gate, 1) + await started(gate, 3)
        with pytest.raises(Unavailable, match="too many checks wait"):
            await gate.check_one(ask(9))
        eyes.may_see.set()
        assert all(answer.allowed for answer in await asyncio.gather(*asked))
        assert (await gate.check_one(ask(9))).allowed

    asyncio.run(story())


def test_a_look_that_fails_is_told_to_those_who_wait_for_it() -> None:
    """A bug while some are looked at: each of them gets it, nobody waits for ever, and the next look is made."""

    async def story() -> None:
        eyes = Slow()
        eyes.is_broken = True
        gate = gate_of(eyes)
        asked = await started(gate, 5)
        eyes.may_see.set()
        told = await asyncio.gather(*asked, return_exceptions=True)
        assert [str(one) for one in told] == ["a bug"] * 5
        eyes.is_broken = False
        assert (await gate.check_one(ask(9))).allowed

    asyncio.run(story())


def test_each_try_that_redis_did_not_answer_is_counted() -> None:
    """A try that fails is told of by its kind, although the next one succeeds."""
    told: list[str] = []
    answers: list[Any] = [TimedOut(), "yes", ConnectionError(), "yes"]

    async def do() -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def fail(error: Exception) -> None: ...

    async def story() -> None:
        retry = _Counted(told.append)
        retry.update_supported_errors([ConnectionError])
        assert [await retry.call_with_retry(do, fail) for _ in range(2)] == ["yes"] * 2
        assert told == ["timeout", "connection"]

    asyncio.run(story())
