"""A worker that ends at the worst moments, then starts again: nothing lost, nothing doubled."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from streams import settings as settings_module
from streams.core.outcome import Finding
from streams.core.touch import Touch
from streams.edge import crash_points
from streams.edge.codec import Codec
from streams.edge.crash_points import LEDGER_POINTS, POINTS
from streams.edge.topics import CONFLICTS, HANDOFFS
from streams.settings import Settings, SettingsError
from tests.support import histories
from tests.support.lanes import contents
from tests.support.publishing import expected, publish, streamed
from tests.support.waiting import wait_until
from tests.support.worker import Worker

pytestmark = [pytest.mark.stack, pytest.mark.timeout(400)]


def test_settings_know_the_points() -> None:
    """Each crash point can be set, with a pass of 1 or more; anything else is refused by name."""
    for point in (*POINTS, *LEDGER_POINTS):
        assert settings_module.load({"TOUCHSTREAM_CRASH_AT": f"{point}:12"}).crash_at == f"{point}:12"
    for wrong in ("nowhere:1", "after_commit", "after_commit:0", "after_commit:x", "after_commit:1;before_commit:1"):
        with pytest.raises(SettingsError, match="TOUCHSTREAM_CRASH_AT"):
            settings_module.load({"TOUCHSTREAM_CRASH_AT": wrong})


def test_unset_point_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the setting, passing a point calls a function that does nothing; another point's passes do not count."""
    monkeypatch.setattr(crash_points, "_reached", crash_points._reached)
    ended: list[int] = []
    monkeypatch.setattr(crash_points.os, "_exit", ended.append)
    crash_points.arm("")
    assert crash_points._reached is crash_points._nothing
    crash_points.arm("after_commit:2")
    for point in ("after_commit", *POINTS[:-1]):
        crash_points.reach(point)
    assert ended == []
    crash_points.reach("after_commit")
    assert ended == [crash_points.EXIT_CODE]


def crash_and_go_on(settings: Settings, point: str, touches: list[Touch]) -> tuple[list[Finding], str]:
    """The worker ends at its second pass of the point and is started again. What stands in the end, and the first one's log."""
    wanted = expected(settings, touches)
    with Worker(settings, TOUCHSTREAM_CRASH_AT=f"{point}:2") as worker:
        process, rest = worker.process, list(touches)
        assert process is not None
        while process.poll() is None and rest:
            publish(settings, rest[:20])
            del rest[:20]
        assert worker.ended() == crash_points.EXIT_CODE
        log = "".join(worker.log)
    publish(settings, rest)

    with Worker(settings) as again:
        wait_until(
            lambda: streamed(settings) == wanted, 120, f"the findings to be the backtest's after a crash at {point}"
        )
        assert again.stop() == 0, "".join(again.log[-30:])
    return streamed(settings), log


def test_crash_at_each_point(make_settings: Callable[..., Settings]) -> None:
    """For each crash point: after a crash at its second pass and a new start, the final findings are the backtest's, and
    whatever stands twice in the alert topics under one finding id and revision has one content."""
    touches = list(histories.touches(seed=9, customers=25, count=400))
    random.Random(9).shuffle(touches)
    installations = {
        point: make_settings(session_timeout=6.0, commit_interval=0.3, max_batch_records=25) for point in POINTS
    }
    with ThreadPoolExecutor(len(POINTS)) as pool:
        runs = {p: pool.submit(crash_and_go_on, installations[p], p, touches) for p in POINTS}
        for point, run in runs.items():
            stands, log = run.result()
            assert f"crash point {point}:2" in log
            assert len(stands) > 30
            assert doubled(installations[point]) == [], point


def doubled(settings: Settings) -> list[tuple[str, int]]:
    """Finding ids and revisions with more than one content."""
    codec = Codec()
    seen: dict[tuple[str, int], set[bytes]] = defaultdict(set)
    for name in (CONFLICTS, HANDOFFS):
        for record in asyncio.run(contents(settings, settings.topic(name))):
            finding = codec.decode_finding(record.value)
            seen[finding.finding_id, finding.revision].add(record.value)
    return [key for key, values in seen.items() if len(values) > 1]
