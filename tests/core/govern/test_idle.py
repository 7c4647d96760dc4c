"""The slot search leaves out rules that are idle; it may leave out none that would hinder something."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.entry import Entry
from streams.core.govern import compiled
from streams.core.govern.check import scene_of, usual
from streams.core.govern.compiled import KINDS
from streams.core.govern.records import NOTHING, Contact, Standing
from streams.core.govern.ruling import Ruling
from streams.core.policy import Policy
from tests.core.govern import worlds
from tests.core.govern.worlds import DAY, HOUR, START

LOOKS_AT_NO_SCENE = {"quiet_hours", "holidays", "stale_offer"}
"""What these ask is in each contact, and the clock."""

few = st.one_of(st.just(NOTHING), worlds.standings)
"""Often nothing: rules are idle then."""


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=150, deadline=None)
@given(
    worlds.histories(4),
    few,
    st.lists(worlds.contacts, max_size=2),
    st.lists(worlds.contacts, min_size=1, max_size=4),
    st.data(),
)
def test_an_idle_rule_hinders_nothing(
    kind: str,
    history: tuple[Entry, ...],
    standing: Standing,
    planned: list[Contact],
    asked: list[Contact],
    data: st.DataObject,
) -> None:
    """Whatever is known of a customer, a rule that is idle lets every contact pass, at its own time and at every other one."""
    policy: Policy = data.draw(worlds.policies((kind,), most=1))
    ready = compiled.of(policy)
    scene = scene_of(ready, history, standing, START, "", sorted(map(usual, planned), key=lambda one: one.at))
    (ruling,) = ready.rulings
    if not ruling.idle(scene):
        return
    instants = (
        [START + n * DAY for n in range(-5, 25)]
        + [one.at for one in (*history, *asked)]
        + [one.at - HOUR for one in planned]
    )
    for contact in map(usual, asked):
        for t in instants:
            assert ruling.hinders(contact, t, scene, True) is None
            assert ruling.hinders(contact, t, scene, False) is None


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=20, deadline=None)
@given(st.data())
def test_where_nothing_is_known_every_rule_that_can_be_is_idle(kind: str, data: st.DataObject) -> None:
    """Of a customer of whom nothing is known, each rule about contacts, reactions or standing is left out, unless it is against the
    unknown; the others always are asked."""
    ready = compiled.of(data.draw(worlds.policies((kind,), most=1)))
    (ruling,) = ready.rulings
    idle = ruling.idle(scene_of(ready, (), NOTHING, START))
    assert idle is (kind not in LOOKS_AT_NO_SCENE and getattr(ruling.rule, "unknown", "allow") == "allow")
    assert (type(ruling).idle is Ruling.idle) is (kind in LOOKS_AT_NO_SCENE)
