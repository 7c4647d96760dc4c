"""The main job on real Kafka and Redis: what is streamed out is what the backtest says."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from streams import Client
from streams.core import backtest
from streams.core.outcome import Finding
from streams.core.policy import Policy
from streams.core.touch import Touch
from streams.settings import Settings
from tests.support import histories
from tests.support.waiting import wait_until
from tests.support.worker import Worker, findings

pytestmark = [pytest.mark.stack, pytest.mark.timeout(400)]


def comparable(found: list[Finding]) -> list[Finding]:
    """Findings without what depends on the order of arrival: revision, and detected or amended."""
    return [replace(finding, revision=1, state="detected") for finding in found]


def expected(settings: Settings, touches: list[Touch]) -> list[Finding]:
    """What the backtest finds in the same touches."""
    now = time.time_ns() // 1_000_000
    return backtest.run(touches, Policy(), id_key=settings.id_key, region=settings.default_region, now=now).findings


def publish(settings: Settings, touches: list[Touch]) -> None:
    """All touches into Kafka, acknowledged."""
    with Client.sync(settings=settings) as client:
        client.send_many(touches)


def streamed(settings: Settings) -> list[Finding]:
    """What a consumer of the alert topics holds to be true now."""
    return comparable(backtest.standing(asyncio.run(findings(settings))))


def shuffled_with_repeats(touches: list[Touch], seed: int) -> list[Touch]:
    """The touches in another order, a tenth of them twice."""
    rng = random.Random(seed)
    doubled = [*touches, *rng.sample(touches, len(touches) // 10)]
    rng.shuffle(doubled)
    return doubled


def test_streamed_findings_are_the_backtests(settings: Settings) -> None:
    """Touches in any order, repeated, of customers whose identifiers are linked late, give the backtest's findings in the end."""
    touches = list(histories.touches(seed=4, customers=60, count=1500))
    wanted = comparable(expected(settings, touches))
    assert len(wanted) > 100
    with Worker(settings) as worker:
        publish(settings, shuffled_with_repeats(touches, seed=4))
        wait_until(lambda: streamed(settings) == wanted, 180, "the streamed findings to be the backtest's")
        assert worker.stop() == 0, "".join(worker.log[-30:])


def test_two_workers_and_a_restart_change_nothing(make_settings: Callable[..., Settings]) -> None:
    """Two workers share the partitions; one killed in the middle and started again leaves the findings as they must be."""
    settings = make_settings(session_timeout=6.0)
    touches = list(histories.touches(seed=5, customers=80, count=2000))
    wanted = comparable(expected(settings, touches))
    stream = shuffled_with_repeats(touches, seed=5)
    with Worker(settings) as first, Worker(settings) as second:
        publish(settings, stream[:700])
        second.stop(signal.SIGKILL)
        publish(settings, stream[700:1400])
        with Worker(settings) as third:
            publish(settings, stream[1400:])
            wait_until(lambda: streamed(settings) == wanted, 240, "the streamed findings to be the backtest's")
            assert third.stop() == 0, "".join(third.log[-30:])
        assert first.stop() == 0, "".join(first.log[-30:])
