"""What a worker says of its view's age is never younger than the view, wherever a touch is on its way."""

from __future__ import annotations

import random
from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from streams.edge.freshness import SLACK_MS, Freshness
from streams.edge.timers import BEHIND_MS, behind

LAST = "touches.identified"
TICK = 250


def looked(known: Freshness, count: int, done: int = 0, end: int = 0) -> int:
    """So many looks at one partition of a topic and of identified touches, all in this state; the time of the last one."""
    start = known._looked_at or 1_000_000
    for n in range(1, count + 1):
        known.look(start + n * TICK, {("touches.email", 0): (done, end), (LAST, 0): (0, 0)}, frozenset())
    return start + count * TICK


def test_a_worker_at_rest_is_fresh_a_moment_later() -> None:
    """Where nothing waits, the view is said to be fresh up to some looks ago, and never up to now: a fetch may be on its way."""
    known = Freshness(LAST)
    looked(known, 1)
    assert known.fresh_at == {}
    at = looked(known, 12)
    assert at - 10 * TICK < known.fresh_at[0] < at - TICK


def test_what_is_not_acknowledged_is_not_there() -> None:
    """All is read and handed to the lane, nothing lags; as long as the write is under way, the view gets no fresher."""
    known = Freshness(LAST)
    at = looked(known, 12)
    before, write = known.fresh_at[0], object()
    for n in range(1, 9):
        known.look(at + n * TICK, {("touches.email", 0): (5, 5), (LAST, 0): (0, 0)}, frozenset({write}))
    assert known.fresh_at[0] <= at and known.fresh_at[0] - before <= 4 * TICK
    at = looked(known, 12, 5, 5)
    assert known.fresh_at[0] > at - 10 * TICK


def test_the_slowest_topic_says_how_fresh_the_view_is() -> None:
    """Newer touches from one topic are in the view while older ones of another still wait: those count."""
    known = Freshness(LAST)
    at = looked(known, 12)
    for n in range(1, 30):
        known.look(
            at + n * TICK,
            {("touches.email", 0): (n, n), ("touches.calls", 0): (0, 7), (LAST, 0): (n, n)},
            frozenset(),
        )
    assert known.fresh_at[0] < at


def test_an_end_that_was_not_fetched_again_says_nothing() -> None:
    """Records wait in the process, so their partition is not fetched: when they are done, only what was there at the fetch counts."""
    known = Freshness(LAST)
    at = looked(known, 12)
    fetched = looked(known, 1, 0, 50)
    later = looked(known, 40, 0, 50)
    looked(known, 1, 50, 50)
    looked(known, 3, 50, 50)
    assert at < fetched < later and known.fresh_at[0] < fetched


def test_partitions_given_out_anew_are_known_anew() -> None:
    """Nothing is said of them until they have been looked at again, and nothing of those that went away."""
    known = Freshness(LAST)
    at = looked(known, 12)
    known.look(at + TICK, {("touches.email", 1): (0, 0), (LAST, 1): (0, 0)}, frozenset())
    assert 0 not in known.fresh_at
    known.forget()
    looked(known, 1)
    assert known.fresh_at == {}


@given(st.integers(0, 2**32), st.integers(2, 400), st.integers(1, 12))
def test_no_touch_is_missing_from_a_view_that_says_it_is_fresh(seed: int, steps: int, most: int) -> None:
    """Touches go through a model of the worker: fetched late, handed over late, written late, to any partition. At no look is one that was
    published before `fresh_at` on its way still."""
    chance = random.Random(seed)
    published: dict[tuple[str, int], list[int]] = {(topic, p): [] for topic in ("a", "b", LAST) for p in (0, 1)}
    fetched = dict.fromkeys(published, 0)
    done = dict.fromkeys(published, 0)
    writes: deque[tuple[object, tuple[str, int] | None, int]] = deque()
    missing: dict[int, int] = {}
    known, now, number = Freshness(LAST), 1_000_000, 0
    for _ in range(steps):
        now += chance.randrange(1, SLACK_MS // 4)
        for place in (("a", 0), ("a", 1), ("b", 0), ("b", 1)):
            for _ in range(chance.randrange(most) if chance.random() < 0.2 else 0):
                number += 1
                published[place].append(number)
                missing[number] = now
        for place, log in published.items():
            if done[place] == fetched[place]:  # else its records wait, and it is not fetched
                fetched[place] = len(log)
            if chance.random() < 0.4:
                upto = min(fetched[place], done[place] + chance.randrange(1, 9))
                for touch in log[done[place] : upto]:
                    to = None if place[0] == LAST else (LAST, chance.randrange(2))
                    writes.append((object(), to, touch))
                done[place] = upto
        for _ in range(chance.randrange(len(writes) + 1) if chance.random() < 0.5 else 0):
            _, to, touch = writes.popleft()
            if to is None:
                del missing[touch]
            else:
                published[to].append(touch)
        if chance.random() < 0.1:
            places = {place: (done[place], fetched[place]) for place in published}
            known.look(now, places, frozenset(write for write, _, _ in writes))
            fresh_at = min((known.fresh_at.get(p, 0) for p in (0, 1)), default=0)
            assert all(at >= fresh_at for at in missing.values())


def test_timers_go_on_under_load() -> None:
    """2,000 touches a second that take a second each are a lag of 2,000 all day long, and no reason for timers to wait;
    a backlog of more than half a minute is, and so is a partition that has just come and of which nothing is known."""
    known, now = Freshness(LAST), 1_000_000
    for n in range(1, 400):
        now += TICK
        done, end = 500 * n, 500 * n + 2_000
        known.look(now, {("touches.email", 0): (done, end), (LAST, 0): (done, end)}, frozenset())
    assert behind([0], known.fresh_at, now) < 5_000 < BEHIND_MS
    assert behind([0, 1], known.fresh_at, now) > BEHIND_MS
    for n in range(130):
        now += TICK
        known.look(now, {("touches.email", 0): (done, end + 500 * n), (LAST, 0): (done, done)}, frozenset())
    assert behind([0], known.fresh_at, now) > BEHIND_MS
    assert behind([], {}, now) == 0
