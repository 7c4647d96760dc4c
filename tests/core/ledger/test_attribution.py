"""The models: what each gives to whom, and that every one divides a deal to the cent."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.ledger.attribution import credits, state_of, weights
from streams.core.ledger.policy import MODELS, LedgerPolicy, Model
from streams.core.ledger.types import DAY_MS, JourneyTouch

DEPARTMENTS = {"email": "marketing", "ads": "marketing", "calls": "sales"}


def point(day: float, channel: str = "email") -> JourneyTouch:
    """A touch point on some day, by the department of its channel."""
    return JourneyTouch(
        int(day * DAY_MS), f"{channel}-{day}", DEPARTMENTS[channel], channel, None, None, None, "outbound", "sent"
    )


paths = st.lists(st.builds(point, st.floats(0, 90), st.sampled_from(list(DEPARTMENTS))), min_size=1, max_size=30).map(
    lambda points: tuple(sorted(points, key=lambda one: (one.at, one.touch_id)))
)
policies = st.builds(
    LedgerPolicy, half_life_days=st.floats(0.001, 1000), position_ends=st.sampled_from([0, 0.1, 1 / 3, 0.4, 0.5])
)
effects = st.dictionaries(
    st.sampled_from([("marketing", "email"), ("marketing", "ads"), ("sales", "calls")]), st.integers(0, 10**9)
)


@settings(deadline=None)
@given(st.sampled_from(MODELS), st.integers(-(10**12), 10**12), paths, policies, effects)
def test_every_model_divides_every_deal_to_the_cent(
    model: Model, amount: int, path: tuple[JourneyTouch, ...], policy: LedgerPolicy, effect: dict[tuple[str, str], int]
) -> None:
    """Whatever the path, the amount and the policy, the credits of a deal sum to its amount; no weight is negative."""
    assert sum(credits(model, amount, path, policy, effect)) == amount
    assert all(weight >= 0 for weight in weights(model, path, policy, effect))


@settings(deadline=None)
@given(st.sampled_from(MODELS), st.integers(0, 10**12), st.integers(2, 50), paths, policies, effects)
def test_a_deal_of_many_times_the_amount_gives_many_times_the_credit(
    model: Model,
    amount: int,
    times: int,
    path: tuple[JourneyTouch, ...],
    policy: LedgerPolicy,
    effect: dict[tuple[str, str], int],
) -> None:
    """Credit scales with the amount, but for the rounding of less than a cent a touch point on either side."""
    once = credits(model, amount, path, policy, effect)
    many = credits(model, times * amount, path, policy, effect)
    assert all(abs(big - times * small) <= times for small, big in zip(once, many, strict=True))


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("first", [10_000, 0, 0, 0]),
        ("last", [0, 0, 0, 10_000]),
        ("linear", [2_500, 2_500, 2_500, 2_500]),
        ("position", [4_000, 1_000, 1_000, 4_000]),
        ("time_decay", [667, 1_333, 2_667, 5_333]),  # 1 : 2 : 4 : 8 of 15, a week apart each
        ("shapley", [1_667, 1_667, 3_333, 3_333]),  # three states; email has two touch points
        ("markov", [1_250, 1_250, 2_500, 5_000]),  # effects 1 : 1 : 2, email's halved
    ],
)  # fmt: skip
def test_each_model_on_one_path(model: Model, expected: list[int]) -> None:
    """A hundred euros over two mails, an ad and a call, a week apart each: what each model gives, as reckoned by hand."""
    path = (point(0), point(7), point(14, "ads"), point(21, "calls"))
    effect = {("marketing", "email"): 100, ("marketing", "ads"): 100, ("sales", "calls"): 200}
    assert credits(model, 10_000, path, LedgerPolicy(), effect) == expected


@pytest.mark.parametrize("model", MODELS)
def test_short_paths(model: Model) -> None:
    """One touch point gets all; of two, position-based gives each a half, since nobody stands between."""
    assert credits(model, 99, (point(1),), LedgerPolicy()) == [99]
    if model == "position":
        assert credits(model, 100, (point(1), point(2, "calls")), LedgerPolicy()) == [50, 50]


def test_a_chain_that_knows_nothing_is_no_reason_to_lose_money() -> None:
    """Without removal effects, or with none for these states, Markov divides as Shapley does."""
    path = (point(0), point(7), point(14, "ads"))
    alike = credits("shapley", 10_001, path, LedgerPolicy())
    assert credits("markov", 10_001, path, LedgerPolicy(), {("sales", "calls"): 5}) == alike
    assert credits("markov", 10_001, path, LedgerPolicy()) == alike


@settings(deadline=None)
@given(st.lists(st.tuples(paths, st.integers(1, 10**6)), min_size=1, max_size=6))
def test_shapley_is_the_shapley_value_of_the_game(journeys: list[tuple[tuple[JourneyTouch, ...], int]]) -> None:
    """A coalition of states earns what the journeys within it brought. By the definition, over all orders of joining, each state's
    value is what the model gives its touch points, up to a cent a touch point."""
    from itertools import permutations

    players = sorted({state_of(touch) for path, _ in journeys for touch in path})

    def earned(coalition: set[tuple[str, str]]) -> int:
        return sum(value for path, value in journeys if {state_of(touch) for touch in path} <= coalition)

    orders = list(permutations(players))
    value = dict.fromkeys(players, Fraction())
    for order in orders:
        for i, player in enumerate(order):
            value[player] += Fraction(earned(set(order[: i + 1])) - earned(set(order[:i])), len(orders))
    given_ = dict.fromkeys(players, 0)
    for path, amount in journeys:
        for touch, part in zip(path, credits("shapley", amount, path, LedgerPolicy()), strict=True):
            given_[state_of(touch)] += part
    slack = sum(len(path) for path, _ in journeys)
    assert all(abs(given_[player] - value[player]) <= slack for player in players)
