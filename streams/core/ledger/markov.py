"""Removal effects: how many of the conversions would be lost if a state were not there.

Journeys are walks of a first-order Markov chain from the start over states to one of two ends, won or not. The removal effect of a state
is 1 - P(won without it) / P(won), where a walk that comes to the removed state is lost (Anderl et al. 2016, "Mapping the
customer journey"). This needs all journeys at once, so it is for batches; it is the only module of the core with numpy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from streams.core.ledger.attribution import State

START: State = ("", "start")
WON: State = ("", "won")
LOST: State = ("", "lost")

SCALE = 10**9
"""Effects are whole numbers of this part, so that the last bits of a float decide over no cent."""

Steps = Counter[tuple[State, State]]


def count(steps: Steps, states: Iterable[State], won: bool) -> None:
    """Take one journey into the chain; without any state it says nothing."""
    at = START
    for state in states:
        steps[at, state] += 1
        at = state
    if at is not START:
        steps[at, WON if won else LOST] += 1


def removal_effects(steps: Steps) -> dict[State, int]:
    """The effect of each state, 0 to SCALE. All are 0 when no journey was won."""
    states = sorted({state for step in steps for state in step} - {START, WON, LOST})
    everyone = [START, *states]
    index = {state: i for i, state in enumerate(everyone)}
    moves = np.zeros((len(everyone), len(everyone)))
    wins = np.zeros(len(everyone))
    for (here, there), times in sorted(steps.items()):
        if there == WON:
            wins[index[here]] += times
        elif there != LOST:
            moves[index[here], index[there]] += times
    leaving = np.zeros(len(everyone))
    for (here, _), times in steps.items():
        leaving[index[here]] += times
    leaving[leaving == 0] = 1
    moves, wins = moves / leaving[:, None], wins / leaving
    every = _won(moves, wins, range(len(everyone)))
    if every == 0:
        return dict.fromkeys(states, 0)
    without = [_won(moves, wins, [j for j in range(len(everyone)) if j != index[state]]) for state in states]
    return {state: max(0, round(SCALE * (1 - rest / every))) for state, rest in zip(states, without, strict=True)}


def _won(moves: np.ndarray, wins: np.ndarray, kept: Sequence[int]) -> float:
    """How probably a walk over the kept states, from the first of them, ends won."""
    part = np.ix_(kept, kept)
    return float(np.linalg.solve(np.eye(len(kept)) - moves[part], wins[list(kept)])[0])
