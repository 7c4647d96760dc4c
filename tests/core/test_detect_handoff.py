"""`handoff`, sentence by sentence."""

from __future__ import annotations

import pytest

from streams.core import keeping
from streams.core.detect import handoff
from streams.core.entry import Entry
from streams.core.outcome import Finding, ScoreComponent
from streams.core.policy import HandoffPolicy, Policy
from streams.core.timeline import EMPTY
from streams.core.touch import Touch
from streams.core.touch_check import LATEST_MS
from tests.core import made
from tests.core.made import DAY, HOUR, START, ids, touch


def found(*touches: Touch, **rules: object) -> list[Finding]:
    """Hand-offs only, under the default policy with changes."""
    return made.found("handoff", *touches, policy=Policy(handoff=HandoffPolicy(**rules)))  # type: ignore[arg-type]


def clicks(count: int, first: int = 0, name: str = "click") -> list[Touch]:
    """Clicks in one minute."""
    return [touch(f"{name}{n}", "clicked", first + n) for n in range(count)]


def test_the_score_must_reach_the_threshold() -> None:
    """Four clicks are 40 points and nothing; the fifth makes 50, which is enough."""
    assert found(*clicks(4), half_life_days=36_500) == []
    (finding,) = found(*[touch(f"c{n}", "clicked") for n in range(5)])
    assert (finding.finding, finding.touch_ids) == ("handoff", ("c4",))
    assert finding.handoff is not None
    assert (finding.handoff.trigger, finding.handoff.score, finding.handoff.threshold) == ("score", 50.0, 50.0)


def test_interest_halves_in_a_half_life() -> None:
    """A click two half-lives ago counts a quarter; the components say so and add up to the score."""
    history = [touch("a", "clicked"), touch("b", "opened", 14 * DAY), touch("c", "lead_form", 28 * DAY)]
    (finding,) = found(*history)
    assert finding.handoff is not None
    assert finding.handoff.components == (
        ScoreComponent("clicked", 1, 2.5),
        ScoreComponent("lead_form", 1, 50.0),
        ScoreComponent("opened", 1, 0.5),
    )
    assert finding.handoff.score == 53.0


@pytest.mark.parametrize("kind", ["lead_form", "replied"])
def test_who_asks_is_handed_over_at_once(kind: str) -> None:
    """A lead form or a reply sets off a hand-off whatever the score, also when the kind has no weight."""
    for weights in ({kind: 1}, {}):
        (finding,) = found(touch("ask", kind), threshold=1000, weights=weights)
        assert finding.handoff is not None
        assert (finding.handoff.trigger, finding.handoff.crossing_touch) == ("request", "ask")


def test_only_reactions_to_the_listed_departments_count() -> None:
    """A reply to sales does not hand off, nor does an outbound touch; a meeting counts in either direction."""
    assert found(touch("a", "replied", 0, "sales")) == []
    assert found(touch("a", "replied", 0, "sales"), departments=("marketing", "sales")) != []
    assert found(touch("a", "lead_form", direction="outbound")) == []
    assert ids(found(touch("a", "meeting"))) == [("a",)]


def test_a_weight_of_zero_takes_a_kind_out() -> None:
    """A kind without points neither adds to the score nor stands among its components."""
    (finding,) = found(touch("a", "opened"), touch("b", "replied", HOUR), weights={"opened": 0, "replied": 50})
    assert finding.handoff is not None
    assert [part.kind for part in finding.handoff.components] == ["replied"]


@pytest.mark.parametrize(("apart", "count"), [(30 * DAY - 1, 1), (30 * DAY, 2)])
def test_no_second_hand_off_within_the_cool_down(apart: int, count: int) -> None:
    """A second request hands off again exactly when the cool-down is over, not a millisecond before."""
    assert len(found(touch("a", "replied"), touch("b", "replied", apart))) == count


def test_the_score_must_have_fallen_before_it_can_pass_again() -> None:
    """Kept near the threshold it does not hand off again after the cool-down; once below half of it, it does."""
    steady = [touch(f"s{n:02d}", "clicked", n * DAY) for n in range(60)]
    assert ids(found(*steady)) == [("s05",)]
    assert ids(found(*steady, *clicks(5, 150 * DAY, "again"))) == [("s05",), ("again4",)]
    assert ids(found(*steady, *clicks(5, 80 * DAY, "again"))) == [("s05",)]


def test_exactly_the_rearming_part_of_the_threshold_is_not_below_it() -> None:
    """A half-life after the hand-off the score is exactly half the threshold, which does not arm; a millisecond later it does."""
    for later, count in ((0, 1), (1, 2)):
        history = [touch(f"c{n}", "clicked") for n in range(5)] + [
            touch(f"d{n}", "clicked", 14 * DAY + later) for n in range(3)
        ]
        assert len(found(*history, cool_down_days=0)) == count


def test_the_due_time_and_the_recent_campaigns() -> None:
    """Sales is due four hours later; campaigns of the last thirty days are named once, newest first, older ones are not."""
    history = [
        touch("old", "sent", 0, campaign="winter"),
        touch("a", "sent", 1 * HOUR, campaign="spring"),
        touch("b", "opened", 2 * HOUR, campaign="webinar"),
        touch("c", "sent", 3 * HOUR, campaign="spring"),
        touch("ask", "lead_form", 30 * DAY),
        touch("later", "sent", 31 * DAY, campaign="summer"),
    ]
    (finding,) = found(*history)
    assert finding.handoff is not None
    assert finding.handoff.recent_campaigns == ("spring", "webinar")
    assert finding.handoff.due_at == START + 30 * DAY + 4 * HOUR


def test_the_rule_can_be_turned_off() -> None:
    """`enabled = false` hands nobody off."""
    assert found(touch("a", "lead_form"), enabled=False) == []


def test_a_request_at_the_end_of_time_is_due_by_then() -> None:
    """Years have four digits: in the last minutes of the year 9999 sales have until its end."""
    ask = Entry(LATEST_MS - 300_000, "ask", "ads", "marketing", "inbound", "lead_form")
    after = keeping.spliced(EMPTY, 0, 0, (ask,), Policy())
    (finding,) = handoff.find(after, 0, 1, Policy(), "c1-a")
    assert finding.handoff is not None and finding.handoff.due_at == LATEST_MS
