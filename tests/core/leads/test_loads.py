"""How many leads each rep has, counted by partitions that tell each other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.core.leads import loads
from streams.core.leads.loads import Counts, Loads
from streams.core.leads.states import STATES, LeadState
from streams.core.policy import Policy, parse
from tests.core.leads.world import TEAM

LEADS = st.none() | st.builds(
    LeadState, st.just("l"), st.sampled_from(STATES), st.just(1), owner=st.sampled_from([None, "ana", "bo"])
)


@given(st.lists(st.tuples(st.integers(0, 4), LEADS), max_size=40))
def test_kept_is_counted(changes: list[tuple[int, LeadState | None]]) -> None:
    """However leads change hands: what was kept is what counting all of them anew gives, and each change has a higher serial."""
    held: dict[int, LeadState | None] = {}
    kept = Loads()
    for who, lead in changes:
        after = kept.moved(held.get(who), lead, 5)
        assert (after is kept) == (after.own == kept.own)
        assert after is kept or after.serial > kept.serial
        kept, held[who] = after, lead
    assert kept.own == loads.counted(held.values()).own


def test_the_newest_that_was_told_holds() -> None:
    """Of each other partition only the newest counts; it adds to what is here, and survives the changelog."""
    here = Loads({"ana": 2}, 7)
    for told in (Counts(3, 5, {"ana": 1, "bo": 4}), Counts(3, 4, {"ana": 9}), Counts(1, 1, {"ana": 1})):
        here = here.heard(told)
    assert here.total == {"ana": 4, "bo": 4}
    assert here.heard(Counts(3, 5, {})) is here
    assert here.heard(Counts(3, 6, {})).total == {"ana": 3}
    assert loads.decode(loads.encode(here)) == here


def test_it_is_told_by_a_command() -> None:
    """What a partition tells is read as it was; a command without counts is a ValueError."""
    command = loads.telling(4, Loads({"ana": 2}, 7), 9)
    assert loads.told_by(command) == Counts(4, 7, {"ana": 2})
    for entries in ((), (b"{}",), (b"\xff",)):
        with pytest.raises(ValueError):
            loads.told_by(replace(command, entries=entries))


def test_it_costs_nothing_without_a_capacity() -> None:
    """Only a policy with a rep who takes only so many has leads counted."""
    text = TEAM.replace('id = "ana"', 'id = "ana"\ncapacity = 5')
    assert [loads.capped(one) for one in (Policy(), parse(TEAM), parse(text))] == [False, False, True]
