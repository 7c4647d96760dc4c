"""The main job on real Kafka and Redis: what is streamed out is what the backtest says."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable

import pytest

from streams.core.touch import Touch
from streams.settings import Settings
from tests.support import histories
from tests.support.publishing import expected, publish, streamed
from tests.support.waiting import wait_until
from tests.support.worker import Worker

pytestmark = [pytest.mark.stack, pytest.mark.timeout(400)]


def shuffled_with_repeats(touches: list[Touch], seed: int) -> list[Touch]:
    """The touches in another order, a tenth of them twice."""
    rng = random.Random(seed)
    doubled = [*touches, *rng.sample(touches, len(touches) // 10)]
    rng.shuffle(doubled)
    return doubled


def test_streamed_findings_are_the_backtests(settings: Settings) -> None:
    """Touches in any order, repeated, of customers whose identifiers are linked late, give the backtest's findings in the end."""
    touches = list(histories.touches(seed=4, customers=60, count=1500))
    wanted = expected(settings, touches)
    assert len(wanted) > 100
    with Worker(settings) as worker:
        publish(settings, shuffled_with_repeats(touches, seed=4))
        wait_until(lambda: streamed(settings) == wanted, 180, "the streamed findings to be the backtest's")
        assert worker.stop() == 0, "".join(worker.log[-30:])


def test_two_workers_and_a_restart_change_nothing(make_settings: Callable[..., Settings]) -> None:
    """Two workers share the partitions; one killed in the middle and started again leaves the findings as they must be."""
    settings = make_settings(session_timeout=6.0)
    touches = list(histories.touches(seed=5, customers=80, count=2000))
    wanted = expected(settings, touches)
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
