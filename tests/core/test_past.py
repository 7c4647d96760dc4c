"""The past may change in any way and reach the workers in any order: what holds in the end is what the facts say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.core.commands import Command
from streams.core.customer import on_command, on_touch
from streams.core.moving import merge_command, split_command
from streams.core.policy import Policy, TimelinePolicy, TouchPolicy
from streams.core.timeline import EMPTY
from streams.core.touch import Customer, IdentifiedTouch, Touch
from tests.core import past
from tests.core.oracle import DoubtfulError
from tests.core.past_events import Event, Plan
from tests.core.past_histories import (
    acknowledgements,
    consents,
    crowds,
    cuts,
    decisions,
    decisions_of_crowds,
    erasures,
    histories,
    schedules,
)
from tests.core.past_world import World, scheduled, wrong
from tests.core.segmented import length
from tests.core.strategies import HOUR, START, one_customer, policies, with_leads

never_late = (policies | with_leads).map(lambda policy: replace(policy, touch=TouchPolicy(late_after_days=30_000)))


def holds(events: Sequence[Event], schedule: Sequence[int], policy: Policy, world: World) -> None:
    """Asserts that nothing is wrong when the world has come to its end."""
    world.run(events, scheduled(schedule))
    try:
        found = wrong(world, policy)
    except DoubtfulError:
        assume(False)
    assert found is None


@settings(max_examples=150, deadline=None)
@given(histories(acknowledgements), schedules, never_late, st.integers(1, 3))
def test_corrections_and_merges(events: list[Event], schedule: list[int], policy: Policy, partitions: int) -> None:
    """Touches late, twice, corrected, deleted, also before they come, of persons who meet; some findings acknowledged; lanes and
    partitions crash: the oracle's findings, each revision with one content, none retracted that somebody acts on."""
    holds(events, schedule, policy, World(policy, partitions))


@settings(max_examples=150, deadline=None)
@given(histories(acknowledgements, cuts), schedules, never_late, st.integers(1, 3))
def test_splits(events: list[Event], schedule: list[int], policy: Policy, partitions: int) -> None:
    """So also when links are cut, before and after touches that rest on them, and however slow a lane is."""
    holds(events, schedule, policy, World(policy, partitions))


@settings(max_examples=150, deadline=None)
@given(histories(cuts, who=crowds), schedules, never_late, st.integers(1, 3), st.integers(1, 3))
def test_guards(events: list[Event], schedule: list[int], policy: Policy, partitions: int, shared_after: int) -> None:
    """Records that contradict each other stay apart, until a cut ends that; what an identifier had linked before it was known as shared
    comes apart, with its touches and findings."""
    policy = replace(policy, identity=replace(policy.identity, shared_after=shared_after))
    holds(events, schedule, policy, World(policy, partitions))


@settings(max_examples=150, deadline=None)
@given(histories(decisions_of_crowds, who=crowds), schedules, never_late, st.integers(1, 3), st.integers(1, 3))
def test_joins(events: list[Event], schedule: list[int], policy: Policy, partitions: int, shared_after: int) -> None:
    """Two whom somebody declares to be one person are one, whatever kept them apart, and come apart when somebody cuts that, with their
    touches and findings: of what was decided of two the last holds."""
    policy = replace(policy, identity=replace(policy.identity, shared_after=shared_after))
    holds(events, schedule, policy, World(policy, partitions))


@settings(max_examples=100, deadline=None)
@given(histories(decisions, decisions, erasures), schedules, never_late, st.integers(1, 3), st.booleans())
def test_joins_and_erasures(
    events: list[Event], schedule: list[int], policy: Policy, partitions: int, refuse: bool
) -> None:
    """An erasure is of all that is one person, also by a join, and forgets that the two were joined."""
    holds(events, schedule, policy, World(policy, partitions, refuse=refuse))


@settings(max_examples=150, deadline=None)
@given(histories(consents, consents, cuts, erasures), schedules, never_late, st.integers(1, 3), st.booleans())
def test_consent(events: list[Event], schedule: list[int], policy: Policy, partitions: int, refuse: bool) -> None:
    """So also with records of consent, late, said anew and taken back, of persons who meet, part and are erased."""
    holds(events, schedule, policy, World(policy, partitions, refuse=refuse))


@settings(max_examples=150, deadline=None)
@given(histories(cuts, erasures), schedules, never_late, st.integers(1, 3), st.booleans())
def test_erasures(events: list[Event], schedule: list[int], policy: Policy, partitions: int, refuse: bool) -> None:
    """What happened before its person was erased comes back by no merge, split, correction or crash; what happens later counts, if policy
    has it so; and nobody else loses anything."""
    holds(events, schedule, policy, World(policy, partitions, refuse=refuse))


@settings(max_examples=150, deadline=None)
@given(histories(who=one_customer, max_size=12), policies, st.sampled_from((0.5, 1, 2)))
def test_too_late(events: list[Event], policy: Policy, days: float) -> None:
    """No rule looks at a touch that was published too late; opt-outs, corrections and deletions always count."""
    policy = replace(policy, touch=TouchPolicy(late_after_days=days))
    holds(events, [], policy, World(policy, 1))


W, A, B = "c1-w", "c2-a", "c3-b"


def mail(id_: str, customer: str, identifier: str, at: int, published_at: int = 1) -> IdentifiedTouch:
    """A touch of an identifier, looked up at a moment."""
    touch = Touch(id_, "email", "sales", "outbound", "sent", published_at, Customer(crm_id="-"))
    return IdentifiedTouch(customer, touch, (), published_at, identifier=identifier, resolved_at=at)


def test_a_slow_touch_of_one_who_was_split_off() -> None:
    """A person of three ids: the touch of one is so slow that its customer was merged, and given back by a split that left this id where
    it was. The timeline that the slow touch comes to is open again, and still sends it on: it was told whose ids went."""
    policy = Policy()
    merged = on_command(EMPTY, merge_command(A, W, 1, "link", 3, (W, A, B)), policy).timeline
    opened = on_touch(merged, mail("later", A, "", 5), policy).timeline
    slow = on_touch(opened, mail("slow", A, B, 2), policy)
    assert slow.outcome == "forwarded" and slow.forward is not None
    assert (slow.forward.customer_id, slow.forward.resolved_at) == (W, 3)
    back = on_command(opened, merge_command(A, W, 1, "link", 3, (W, A, B)), policy)
    assert (back.outcome, back.timeline.entries) == ("duplicate", opened.entries)


def test_a_slow_erasure() -> None:
    """An erasure that comes after touches of later events, which policy lets start afresh, leaves these, and what had left before it
    still goes where it belongs."""
    policy = Policy()
    split = on_command(EMPTY, split_command(A, B, (B,), 1, "split", 3_000), policy).timeline
    held = split
    for one in (mail("before", A, "", 2_000, published_at=2), mail("since", A, "", 9_000, published_at=8)):
        held = on_touch(held, one, policy).timeline
    erasure = Command("e", A, "customer_erased", 5, "asked", decided_at=5_000, identifiers=(A,))
    rest = on_command(held, erasure, policy).timeline
    assert [entry.id for entry in rest.entries] == ["since"]
    assert on_touch(rest, mail("mine", A, "", 2_500), policy).outcome == "erased"
    assert on_touch(rest, mail("theirs", A, B, 2_500), policy).outcome == "forwarded"


def test_revisions_of_touches_that_come_back() -> None:
    """A touch leaves by a split and comes back by a merge, older than all that is left of its timeline, but not than what was pruned:
    its finding goes on from the revision that took it away."""
    policy = replace(Policy(), timeline=TimelinePolicy(retention_days=1))
    form = mail("form", A, B, 1, published_at=START + 20 * HOUR)
    form = replace(form, touch=replace(form.touch, kind="lead_form", direction="inbound", department="marketing"))
    timeline = on_touch(EMPTY, mail("old", A, "", 1, published_at=START + HOUR), policy).timeline
    (found,) = on_touch(timeline, form, policy).findings
    timeline = on_touch(timeline, form, policy).timeline
    away = on_command(timeline, split_command(A, B, (B,), 1, "split", 2), policy)
    assert [(one.state, one.revision) for one in away.findings] == [("retracted", 2)]
    (moved,) = away.commands
    newest = on_touch(away.timeline, mail("new", A, "", 3, published_at=START + 30 * HOUR), policy).timeline
    assert [entry.id for entry in newest.entries] == ["new"]
    back = on_command(newest, replace(moved, customer_id=A, source_customer_id=B, decided_at=4), policy)
    again = [one for one in back.findings if one.finding_id == found.finding_id]
    assert [(one.state, one.revision) for one in again] == [("detected", 3)]


def test_a_plan_for_one_whom_sales_has() -> None:
    """A plan of marketing collides with the lead that a form makes; where no team takes leads, with nothing."""
    who = Customer(crm_id="C-1")
    mail = Plan(Touch("p0", "email", "marketing", "outbound", "sent", START + 500 * HOUR, who))
    form = Touch("t0", "ads", "marketing", "inbound", "lead_form", START + 8 * HOUR, who)
    for teams, expected in ((True, ["handoff", "planned_conflict"]), (False, ["handoff"])):
        of = past.Case([mail, form], [], 1, crashes=False, refuse=False, teams=teams)
        world = World(past.policy_of(of), of.partitions)
        holds(of.events, of.schedule, past.policy_of(of), world)
        assert [one.rule for one in world.emitted] == expected


@pytest.mark.parametrize("segment", [32, 1])
def test_many_histories(segment: int) -> None:
    """Some hundred histories by seed, in more of a hurry than hypothesis, on timelines in one piece or in segments: nothing is wrong, and
    everything happens in them."""
    outcomes = Counter[str]()
    with length(segment):
        problems = {
            seed: past.problem(past.case(seed, "ack,cut,join,erase,plan,consent,guard"), outcomes)
            for seed in range(500)
        }
    assert not {seed: found for seed, found in problems.items() if found}
    assert {"applied", "corrected", "deleted", "duplicate", "outdated", "forwarded", "erased"} <= outcomes.keys()
