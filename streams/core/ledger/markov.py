"""Removal effects: how many of the conversions would be lost if a state were not there.

Journeys are walks of a first-order Markov chain from the start over states to one of two ends, won or not. The removal effect of a state
is 1 - P(won without it) / P(won), where a walk that comes to the removed state is lost (Anderl et al. 2016, "Mapping the
customer journey"). This needs all journeys of a period at once. The chains are small, a state being a department in a channel: so
plain elimination is enough.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

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
    moves = [[0.0] * len(everyone) for _ in everyone]
    wins = [0.0] * len(everyone)
    leaving: Counter[State] = Counter()
    for (here, _), times in steps.items():
        leaving[here] += times
    for (here, there), times in sorted(steps.items()):
        if there == WON:
            wins[index[here]] = times / leaving[here]
        elif there != LOST:
            moves[index[here]][index[there]] = times / leaving[here]
    every = _won(moves, wins, range(len(everyone)))
    if every == 0:
        return dict.fromkeys(states, 0)
    without = [_won(moves, wins, [j for j in range(len(everyone)) if j != index[state]]) for state in states]
    return {state: max(0, round(SCALE * (1 - rest / every))) for state, rest in zip(states, without, strict=True)}


def _won(moves: Sequence[Sequence[float]], wins: Sequence[float], kept: Sequence[int]) -> float:
    """How probably a walk over the kept states, from the first of them, ends won: x = wins + moves x, solved for the first.

    Gaussian elimination from the last state to the first; every walk ends, so no pivot is near 0.
    """
    rows = [[(i == j) - moves[i][j] for j in kept] + [wins[i]] for i in kept]
    for last in range(len(rows) - 1, 0, -1):
        pivot = rows[last]
        for row in rows[:last]:
            factor = row[last] / pivot[last]
            if factor:
                for j in range(last):
                    row[j] -= factor * pivot[j]
                row[-1] -= factor * pivot[-1]
    return rows[0][-1] / rows[0][0]
