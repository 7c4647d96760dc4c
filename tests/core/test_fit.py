"""Fit in the score of a hand-off, sentence by sentence."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.engagement import after_all
from streams.core.fit import NOBODY
from streams.core.leads.brief import brief
from streams.core.leads.states import LeadState
from streams.core.outcome import Finding, FitComponent
from streams.core.pipeline import advance
from streams.core.policy import Policy, parse
from streams.core.timeline import EMPTY, Timeline
from streams.core.touch import Account, Customer, Touch
from tests.core import made
from tests.core.made import DAY, HOUR, START, ids, touch
from tests.core.mistakes import one_is_told
from tests.core.segmented import length
from tests.core.strategies import histories, identified, one_customer

FIT = """
[[handoff.fit]]
name = "home"
points = 30
segment = { country = ["ES", "PT"] }
[[handoff.fit]]
name = "key-account"
points = 10
segment = { account = ["acme.example"] }
[[handoff.fit]]
name = "not-served"
points = -40
segment = { country = ["AQ"] }
"""


def found(*touches: Touch, rules: str = "") -> list[Finding]:
    """Hand-offs by the policy with fit."""
    return made.found("handoff", *touches, policy=parse(f"[handoff]\n{rules}{FIT}"))


def of(country: str, domain: str = "") -> dict[str, Any]:
    """What a touch says of the customer."""
    account = Account(None, domain) if domain else None
    return {"customer": Customer(crm_id="C-1", name="Dana Reyes", country=country), "account": account}


def test_fit_counts_toward_the_threshold_and_stands_beside_the_components() -> None:
    """Two clicks of 20 points hand a customer of the home market off, whose 30 points of fit the finding shows apart."""
    history = [touch("mail", "sent", **of("ES")), touch("c1", "clicked", HOUR), touch("c2", "clicked", HOUR)]
    (finding,) = found(*history)
    assert finding.touch_ids == ("c2",)
    assert finding.handoff is not None
    assert (finding.handoff.score, finding.handoff.threshold) == (50.0, 50.0)
    assert [(part.kind, part.points) for part in finding.handoff.components] == [("clicked", 20.0)]
    assert finding.handoff.fit == (FitComponent("home", 30.0),)
    assert "reached a score of 50 (threshold 50, 30 of it for fit: home)" in finding.reason
    assert made.found("handoff", *history) == [], "without fit in the policy"


def test_fit_does_not_decay_and_outlives_the_touch_that_told_of_it() -> None:
    """A touch said the country long before the retention ends; of those points none is gone."""
    history = [
        touch("old", "clicked", 0, **of("ES")),
        *[touch(f"c{n}", "clicked", 300 * DAY) for n in range(2)],
    ]
    (finding,) = found(*history)
    assert finding.handoff is not None
    assert finding.handoff.fit == (FitComponent("home", 30.0),)
    assert [part.points for part in finding.handoff.components] == [20.0]


def test_a_customer_whose_fit_rises_may_pass_the_threshold() -> None:
    """Clicked three times, and then a mail's touch says where the customer lives: that touch crosses, at its time."""
    clicks = [touch(f"c{n}", "clicked", HOUR) for n in range(3)]
    (finding,) = found(*clicks, touch("mail", "sent", 2 * HOUR, **of("pt")))
    assert finding.touch_ids == ("mail",)
    assert finding.handoff is not None
    assert (finding.handoff.trigger, finding.handoff.crossing_touch) == ("score", "mail")
    assert "turned out to be whom we look for on 2 March 2026 at 02:00" in finding.reason


def test_only_a_rise_of_fit_passes() -> None:
    """The same said again sets nothing off, nor does it when it is sales that learns it: sales talks to the customer already."""
    clicks = [touch(f"c{n}", "clicked", HOUR) for n in range(3)]
    assert found(*clicks, touch("call", "answered", 2 * HOUR, "sales", **of("ES"))) == []
    again = touch("mail", "sent", 3 * HOUR, **of("ES"))
    assert found(*clicks, touch("call", "answered", 2 * HOUR, "sales", **of("ES")), again) == []
    assert ids(found(*clicks, touch("m", "sent", 2 * HOUR, **of("ES")), again)) == [("m",)]


def test_nobody_is_handed_off_for_what_they_are_alone() -> None:
    """With fit beyond the threshold the first reaction is needed, and is enough, however small."""
    mails = [touch("m1", "sent", 0, **of("ES")), touch("m2", "sent", HOUR, **of("ES", "acme.example"))]
    assert found(*mails, rules="threshold = 35\n") == []
    assert ids(found(*mails, touch("o", "opened", 2 * HOUR), rules="threshold = 35\n")) == [("o",)]


def test_points_below_zero_keep_customers_away() -> None:
    """Where we sell nothing, seven clicks are not enough, and nine are; who asks is handed off all the same."""
    start = touch("mail", "sent", 0, **of("AQ"))
    clicks = [touch(f"c{n}", "clicked", HOUR) for n in range(9)]
    assert found(start, *clicks[:7]) == []
    assert ids(found(start, *clicks)) == [("c8",)]
    assert ids(found(start, touch("ask", "lead_form", HOUR))) == [("ask",)]


def test_engagement_must_fall_before_it_can_pass_again_not_fit() -> None:
    """With fit of 30 engagement must pass 20, so it must have fallen below 10 first: 40 in all, which is more than half of 50."""
    clicks = [touch("c1", "clicked", 0, **of("ES")), touch("c2", "clicked")]
    for later, count in ((14 * DAY, 1), (14 * DAY + 1, 2)):
        assert (
            len(found(*clicks, *[touch(f"d{n}", "clicked", later) for n in range(2)], rules="cool_down_days = 0\n"))
            == count
        )


def test_the_newest_country_holds_and_a_late_touch_changes_the_past() -> None:
    """Who moved away does not fit any more; when the move is taken back by a deletion, the hand-off is there."""
    clicks = [touch(f"c{n}", "clicked", 2 * HOUR) for n in range(2)]
    moved = touch("moved", "sent", HOUR, **of("FR"))
    assert found(touch("mail", "sent", 0, **of("ES")), moved, *clicks) == []
    deleted = touch("moved", "sent", HOUR, version=2, deleted=True, **of("FR"))
    assert ids(found(touch("mail", "sent", 0, **of("ES")), moved, *clicks, deleted)) == [("c1",)]


def fold(touches: list[Touch], policy: Policy, held: Timeline = EMPTY) -> tuple[Timeline, list[Finding]]:
    """The timeline after the touches, in this order, and the hand-offs that were found."""
    handed: list[Finding] = []
    for one in touches:
        step = advance(held, identified(one), policy)
        held = step.timeline
        handed += [finding for finding in step.findings if finding.rule == "handoff"]
    return held, handed


@pytest.mark.parametrize("segment", [32, 1])
@pytest.mark.parametrize("days", [90, 31])
def test_fit_that_is_published_later_counts_what_is_known(segment: int, days: int) -> None:
    """The country was told long before, and its touch is perhaps pruned; the next touch by itself sets nothing off, the next reaction
    does, with the points for the country."""
    limits = f"[timeline]\nretention_days = {days}\n"
    known = [touch("mail", "sent", **of("ES")), *[touch(f"c{n}", "clicked", 40 * DAY + n) for n in range(3)]]
    with length(segment):
        held, _ = fold(known, parse(limits))
        held, handed = fold([touch("m2", "sent", 40 * DAY + HOUR)], parse(limits + FIT), held)
        assert handed == []
        _, (finding,) = fold([touch("o", "opened", 40 * DAY + 2 * HOUR)], parse(limits + FIT), held)
    assert finding.touch_ids == ("o",) and finding.handoff is not None
    assert finding.handoff.fit == (FitComponent("home", 30.0),)


def test_a_brief_tells_fit_that_is_published_later_at_once() -> None:
    """Sales looks before the next touch comes: the points are there."""
    held, _ = fold([touch("mail", "sent", **of("ES")), touch("c", "clicked", HOUR)], Policy())
    told = brief(held, LeadState("lead", "handed_off", START), parse(FIT), START + DAY)
    assert told.fit == (FitComponent("home", 30.0),)


@settings(max_examples=150, deadline=None)
@given(histories(one_customer), st.lists(st.booleans(), min_size=1, max_size=4), st.sampled_from((32, 1)), st.data())
def test_whenever_fit_was_published(touches: list[Touch], has: list[bool], segment: int, data: st.DataObject) -> None:
    """Policies with fit and without come and go while touches come in any order: what is known of the customer in the end is what is known
    where the policy had fit all the time."""
    with_fit, without = parse(FIT), Policy()
    arrival = data.draw(st.permutations(touches))
    with length(segment):
        always, _ = fold(arrival, with_fit)
        held = EMPTY
        for n, one in enumerate(arrival):
            held, _ = fold([one], with_fit if has[n % len(has)] else without, held)
    assert after_all(held, with_fit.handoff).about == after_all(always, with_fit.handoff).about
    if any(touch.customer.country for touch in touches):
        assert after_all(held, with_fit.handoff).about != NOBODY


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (FIT.replace('"not-served"', '"home"'), "p:11: handoff.fit[2].name: two have the name `home`"),
        (FIT.replace('{ country = ["AQ"] }', "{}"), "p:13: handoff.fit[2].segment: everybody is in an empty segment"),
        (FIT.replace("country = [\"AQ\"]", 'attributes = { tier = ["a"] }'), "p:13: handoff.fit[2].segment.attributes: attributes are"),
        (FIT.replace("points = -40", ""), "handoff.fit[2]: Object missing required field `points`"),
    ],
)  # fmt: skip
def test_a_mistake(text: str, told: str) -> None:
    """One mistake in the policy, one line of text."""
    one_is_told(text, told)
