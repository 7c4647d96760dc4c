"""Whose work it was: a deal's amount divided among the touches before it, by seven models, each to the cent.

==========  ===============================================================================================
first       all to the first touch point
last        all to the last
linear      the same to each
time_decay  half as much for every `half_life_days` that a touch point lies before the last one
position    `position_ends` to the first and the last each, the rest to those between
shapley     the same to each *state* of the journey, a state being a department in a channel, and within it to each touch
markov      to each state in proportion to its removal effect (`streams.core.ledger.markov`), within it the same to each touch
==========  ===============================================================================================

For a game whose coalitions earn what the journeys within them brought, the Shapley value of a state is just that: each journey's value
in equal parts to its states (Zhao et al. 2018, "Shapley Value Methods for Attribution Modeling in Online Advertising").
A deal without a touch point goes to nobody, under a name of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import lcm

from streams.core.ledger.money import apportion
from streams.core.ledger.policy import LedgerPolicy, Model
from streams.core.ledger.types import DAY_MS, JourneyTouch

State = tuple[str, str]
"""A department in a channel."""

# A weight of this much is 1; finer differences than a millionth of a millionth do not matter for money.
_ONE = 10**12


def state_of(touch: JourneyTouch) -> State:
    """Where a touch point stands in a Markov chain or a coalition."""
    return (touch.department, touch.channel)


def weights(
    model: Model, touches: Sequence[JourneyTouch], policy: LedgerPolicy, effects: Mapping[State, int] | None = None
) -> list[int]:
    """What each touch point gets, as whole numbers in proportion. `effects` are the removal effects, for "markov" only.

    The touch points are those of one journey in order, at least one.
    """
    n = len(touches)
    if model == "first":
        return [1] + [0] * (n - 1)
    if model == "last":
        return [0] * (n - 1) + [1]
    if model == "time_decay":
        half_life = policy.half_life_days * DAY_MS
        # Counted from the last touch point, not from the close: the proportions are the same, and none is lost to rounding.
        return [round(_ONE * 2.0 ** ((touch.at - touches[-1].at) / half_life)) for touch in touches]
    if model == "position" and n > 2:
        ends = Fraction(repr(policy.position_ends))  # as it was written: 0.4 is two fifths
        end = ends.numerator * (n - 2)
        return [end] + [ends.denominator - 2 * ends.numerator] * (n - 2) + [end]
    if model in ("shapley", "markov"):
        return _by_state(touches, effects if model == "markov" and effects is not None else {})
    return [1] * n


def _by_state(touches: Sequence[JourneyTouch], effects: Mapping[State, int]) -> list[int]:
    states = [state_of(touch) for touch in touches]
    counts = Counter(states)
    worth = {state: effects.get(state, 0) for state in counts}
    if not any(worth.values()):  # no chain to ask, or one to which none of these states matters
        worth = dict.fromkeys(counts, 1)
    common = lcm(*counts.values())
    return [worth[state] * (common // counts[state]) for state in states]


def credits(
    model: Model,
    amount: int,
    touches: Sequence[JourneyTouch],
    policy: LedgerPolicy,
    effects: Mapping[State, int] | None = None,
) -> list[int]:
    """The amount (in its currency's smallest unit) divided among the touch points; the parts sum to it exactly."""
    return apportion(amount, weights(model, touches, policy, effects))
