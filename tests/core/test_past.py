"""The past may change in any way and reach the workers in any order: what holds in the end is what the facts say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.core.policy import Policy, TouchPolicy
from tests.core import past
from tests.core.oracle import DoubtfulError
from tests.core.past_histories import acknowledgements, cuts, erasures, histories, schedules
from tests.core.past_world import Event, World, scheduled, wrong
from tests.core.strategies import one_customer, policies

never_late = policies.map(lambda policy: replace(policy, touch=TouchPolicy(late_after_days=30_000)))


def holds(events: Sequence[Event], schedule: Sequence[int], policy: Policy, world: World) -> None:
    """Asserts that nothing is wrong when the world has come to its end."""
    world.run(events, scheduled(schedule))
    try:
        found = wrong(world, policy)
    except DoubtfulError:
        assume(False)
    assert found is None


@settings(max_examples=100, deadline=None)
@given(histories(acknowledgements), schedules, never_late, st.integers(1, 3))
def test_corrections_and_merges(events: list[Event], schedule: list[int], policy: Policy, partitions: int) -> None:
    """Touches late, twice, corrected, deleted, also before they come, of persons who meet; some findings acknowledged; lanes and
    partitions crash: the oracle's findings, each revision with one content, none retracted that somebody acts on."""
    holds(events, schedule, policy, World(policy, partitions))


@settings(max_examples=100, deadline=None)
@given(histories(acknowledgements, cuts), schedules, never_late, st.integers(1, 3))
def test_splits(events: list[Event], schedule: list[int], policy: Policy, partitions: int) -> None:
    """So also when links are cut, before and after touches that rest on them, and however slow a lane is."""
    holds(events, schedule, policy, World(policy, partitions))


@settings(max_examples=100, deadline=None)
@given(histories(cuts, erasures), schedules, never_late, st.integers(1, 3), st.booleans())
def test_erasures(events: list[Event], schedule: list[int], policy: Policy, partitions: int, refuse: bool) -> None:
    """What happened before its person was erased comes back by no merge, split, correction or crash; what happens later counts, if policy
    has it so; and nobody else loses anything."""
    holds(events, schedule, policy, World(policy, partitions, refuse=refuse))


@settings(max_examples=100, deadline=None)
@given(histories(who=one_customer, max_size=12), policies, st.sampled_from((0.5, 1, 2)))
def test_too_late(events: list[Event], policy: Policy, days: float) -> None:
    """No rule looks at a touch that was published too late; opt-outs, corrections and deletions always count."""
    policy = replace(policy, touch=TouchPolicy(late_after_days=days))
    holds(events, [], policy, World(policy, 1))


def test_many_histories() -> None:
    """Some hundred histories by seed, in more of a hurry than hypothesis: nothing is wrong, and everything happens in them."""
    outcomes = Counter[str]()
    problems = {seed: past.problem(past.case(seed, "ack,cut,erase"), outcomes) for seed in range(500)}
    assert not {seed: found for seed, found in problems.items() if found}
    assert {"applied", "corrected", "deleted", "duplicate", "outdated", "forwarded", "erased"} <= outcomes.keys()
