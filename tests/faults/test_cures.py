"""What Faust does on its own in two more failures, and what ends the process instead. See README.md for all of them."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Iterator

import faust
import pytest
from faust.events import Event
from faust.types import TP
from faust.types.tuples import ConsumerMessage
from prometheus_client import CollectorRegistry

from streams.core.policy import Policy
from streams.edge import app as app_module
from streams.edge import doubt, watch
from streams.edge.lane import Write
from streams.edge.metrics import Metrics
from streams.edge.transport import Records
from streams.settings import Settings


class Left(BaseException):
    """The process would have ended here. No Exception, so that nothing goes on behind it."""


@pytest.fixture
def left(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The reasons for which the process would have ended."""
    reasons: list[str] = []

    def leave(reason: str, error: BaseException | None = None) -> None:
        reasons.append(reason)
        raise Left

    monkeypatch.setattr(doubt, "leave", leave)
    return reasons


@pytest.fixture(autouse=True)
def swept() -> Iterator[None]:
    """Faust's apps that never ran end here, not in the middle of a later import, where CPython 3.11 stumbles over that (#106905)."""
    yield
    gc.collect()


def test_faust_5_acknowledges_an_event_whose_agent_raised() -> None:
    """Faust puts the event down as processed although the agent raised on it, so the next commit goes past it."""

    async def run() -> list[int]:
        app = faust.App(
            "raises", broker="kafka://127.0.0.1:1", store="memory://", web_enabled=False, autodiscover=False
        )
        consumer, app.consumer_generation_id = app.consumer, 0
        app.flow_control.resume()
        app.topics._acking_topics.add("in")
        queue = app.topic("in", value_type=bytes).clone(is_iterator=True)
        stream = app.stream(queue)
        message = ConsumerMessage("in", 0, 7, 0.0, 0, {}, b"k", b"v", None)
        message.generation_id = 0
        message.incref(1)
        await queue.queue.put(Event(app, b"k", b"v", {}, message))

        async def agent() -> None:
            async for _ in stream:
                raise ValueError("bug")

        with pytest.raises(ValueError, match="bug"):
            await asyncio.wait_for(agent(), 30)
        gc.collect()  # Faust acknowledges when the stream's iterator is closed
        await asyncio.sleep(0.1)
        return list(consumer._acked[TP("in", 0)])

    assert asyncio.run(run()) == [7]


def test_stage_that_raises_ends_the_process(left: list[str]) -> None:
    """Ours leaves, names the records, and marks none of them as done: their offsets cannot be committed."""

    async def run() -> Records:
        app = app_module.create(Settings(app_id="raises"), Policy(), Metrics(CollectorRegistry()))
        gather = app_module.Gather(app, _fails, 10)
        records = Records([_Record()])
        gather.put([records])
        with pytest.raises(Left):
            await gather.run()
        return records

    assert not asyncio.run(run()).done
    assert left == ["processing touches.email[2]@7-7 failed"]


class _Record:
    topic, partition, offset = "touches.email", 2, 7


async def _fails(batches: list[Records]) -> AsyncIterator[Write]:
    raise ValueError("bug")
    yield  # a stage gives its writes one by one


@pytest.mark.parametrize(("silent", "leaves"), [(watch.STUCK_AFTER + 1, True), (watch.STUCK_AFTER - 30, False)])
def test_worker_that_hangs_leaves(left: list[str], silent: float, leaves: bool) -> None:
    """Records that wait without any commit for too long end the process, whatever hangs; a shorter silence does not."""

    async def run() -> None:
        app = app_module.create(Settings(app_id="hangs"), Policy(), Metrics(CollectorRegistry()))
        app.consumer.waiting_since = app.consumer.committed_at = time.monotonic() - silent
        app.consumer.assignment = set
        try:
            watch._measure(app, app.tables["timelines"].data, [], set())
        except Left:
            assert leaves

    asyncio.run(run())
    assert bool(left) == leaves
    assert all("nothing was committed for" in reason for reason in left)
