"""Partitions that go to another worker and come back: each customer's timeline is with the one who has the touches."""

from __future__ import annotations

import re

import pytest

from streams.settings import Settings
from tests.support import histories
from tests.support.drained import wait_drained
from tests.support.publishing import expected, publish, streamed
from tests.support.waiting import wait_until
from tests.support.worker import Worker

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]


def recoveries(worker: Worker) -> list[tuple[int, int]]:
    """Timelines held after each of its recoveries, and changelog records read for it."""
    found = re.findall(r"ready: (\d+) timelines restored in [\d.]+ s; (\d+) records", "".join(worker.log))
    return [(int(timelines), int(records)) for timelines, records in found]


def test_partitions_go_and_come_back(settings: Settings) -> None:
    """A worker that keeps a partition reads nothing of its changelog again; what it gave away and got back, it has as the other one
    left it: the findings are the backtest's."""
    touches = list(histories.touches(seed=8, customers=60, count=900))
    wanted = expected(settings, touches)
    with Worker(settings) as first:
        publish(settings, touches[:300])
        wait_drained(settings)
        before = len(recoveries(first))
        with Worker(settings) as second:
            kept = wait_until(lambda: recoveries(first)[before:], 60, "the first worker's smaller share")
            assert all(held > 0 and read == 0 for held, read in kept), kept
            assert recoveries(second)[-1][0] > 0
            publish(settings, touches[300:600])
            wait_drained(settings)
            before = len(recoveries(first))
            assert second.stop() == 0, "".join(second.log[-30:])

        def whole() -> bool:
            return any(held > kept[-1][0] and read > 0 for held, read in recoveries(first)[before:])

        wait_until(whole, 60, "the first worker's whole share, of which it has read what it had given away")
        publish(settings, touches[600:])
        wait_until(lambda: streamed(settings) == wanted, 120, "the streamed findings to be the backtest's")
        assert first.stop() == 0, "".join(first.log[-30:])
