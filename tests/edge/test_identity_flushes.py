"""Redis is flushed while decisions that only it knew are on their way to Kafka, and others are made without them meanwhile."""

from __future__ import annotations

import asyncio
import random

import pytest

from streams.core.identity_facts import Resolved
from streams.edge import identity_index
from streams.settings import Settings
from tests.support.identities import flush, workers
from tests.support.timelines import Timelines, settled

A, B, C, D = "c1-a", "c2-b", "c3-c", "c4-d"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits is overdue from the first moment on."""
    monkeypatch.setattr(identity_index, "OVERDUE_AFTER", 0)


@pytest.mark.parametrize(
    "lost", ["a cut", "a link that a cut would have known", "a merge", "a cut that is asked for again"]
)
def test_decisions_that_a_flush_took(settings: Settings, lost: str) -> None:
    """What comes to light after a flush is told anew: whatever was answered without it, each touch gets to its customer in the end, and an
    index that is built from the log says the same."""

    async def run() -> None:
        async with workers(settings, 2) as ((first, second), _):
            timelines = Timelines(random.Random(3))

            async def publish(answers: list[Resolved], touches: bool = True) -> None:
                timelines.take(answers, touches)
                await first.publish(answers)
                timelines.deliver()

            async def touch(*ids: str) -> None:
                await publish(await second.resolve(ids))

            if lost == "a cut":
                await touch(A, D)
                waiting = list((await first.ask(A, D)).waiting)
                flush(settings)
                answers = await second.resolve((D,))  # still A's, as far as the log knows
                await publish(waiting, touches=False)
                await publish(answers)
                expected = {A: A, D: D}
            elif lost == "a link that a cut would have known":
                for ids in ((B,), (C, D)):
                    await touch(*ids)
                waiting = await first.resolve((B, D))  # C goes by B
                flush(settings)
                await publish(list((await second.ask(C, D)).waiting), touches=False)
                await publish(waiting)
                expected = {B: B, C: C, D: B}
            elif lost == "a merge":
                waiting = await first.resolve((C,), (B, C))  # C goes by B
                flush(settings)
                await touch(B)
                await touch(A, B)  # B is told to go to A, with what is known to be B's
                await publish(waiting)
                expected = {A: A, B: A, C: A}
            else:
                for ids in ((B, D), (A, D)):
                    await touch(*ids)
                waiting = list((await first.ask(A, D)).waiting)
                flush(settings)
                await touch(A, B)
                await publish(list((await second.ask(A, D, "r2")).waiting), touches=False)
                await publish(waiting, touches=False)
                expected = {A: A, B: A, D: A}
            await settled(first, timelines)
            for rebuilt in (False, True):
                if rebuilt:
                    flush(settings)
                assert await second.customers(*expected) == list(expected.values())
            assert not (astray := timelines.astray(expected.__getitem__)), astray

    asyncio.run(run())
