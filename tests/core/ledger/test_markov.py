"""Removal effects against the definition, reckoned with exact fractions by another way."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.ledger import markov
from streams.core.ledger.attribution import State

A, B, C = ("marketing", "email"), ("marketing", "ads"), ("sales", "calls")
journeys = st.lists(st.tuples(st.lists(st.sampled_from([A, B, C]), max_size=5), st.booleans()), max_size=12)


def chain(walks: list[tuple[list[State], bool]]) -> markov.Steps:
    """The steps of all walks."""
    steps: markov.Steps = Counter()
    for states, won in walks:
        markov.count(steps, states, won)
    return steps


def won_without(steps: markov.Steps, removed: State | None) -> float:
    """How probably a walk ends won, by walking on until all but a billionth of the walkers have arrived."""
    leaving: Counter[State] = Counter()
    for (here, _), times in steps.items():
        leaving[here] += times
    there, arrived = {markov.START: 1.0}, 0.0
    while sum(there.values()) > 1e-12:
        moved: dict[State, float] = {}
        for (here, to), times in steps.items():
            walkers = there.get(here, 0.0) * times / leaving[here]
            if to == markov.WON:
                arrived += walkers
            elif to not in (markov.LOST, removed):
                moved[to] = moved.get(to, 0.0) + walkers
        there = moved
    return arrived


@settings(deadline=None)
@given(journeys)
def test_effects_are_what_walking_without_a_state_loses(walks: list[tuple[list[State], bool]]) -> None:
    """For any journeys, the effect of each state is the share of won walks that need it."""
    steps = chain(walks)
    effects = markov.removal_effects(steps)
    assert effects.keys() == {state for states, _ in walks for state in states}
    every = won_without(steps, None)
    for state, effect in effects.items():
        expected = 1 - won_without(steps, state) / every if every > 1e-9 else 0
        assert effect == pytest.approx(markov.SCALE * expected, abs=10)


def test_an_example_by_hand() -> None:
    """Journeys A-B won, A lost, B-A won: the chances from A and B solve two equations, and removal leaves one term each."""
    walks: list[tuple[list[State], bool]] = [([A, B], True), ([A], False), ([B, A], True)]
    effects = markov.removal_effects(chain(walks))
    # Start: A 2/3, B 1/3. A: B 1/3, lost 1/3, won 1/3. B: won 1/2, A 1/2. Let a, b be the chances: a = b/3 + 1/3, b = 1/2 + a/2.
    a = Fraction(3, 5)
    b = Fraction(4, 5)
    every = Fraction(2, 3) * a + Fraction(1, 3) * b
    without_a, without_b = Fraction(1, 3) * Fraction(1, 2), Fraction(2, 3) * Fraction(1, 3)
    assert effects[A] == round(markov.SCALE * (1 - without_a / every))
    assert effects[B] == round(markov.SCALE * (1 - without_b / every))


def test_nothing_won_has_no_effect() -> None:
    """Without a won journey all effects are 0, and without any there are none."""
    assert markov.removal_effects(chain([([A, B], False)])) == {A: 0, B: 0}
    assert markov.removal_effects(chain([([], True)])) == {}
