"""What was pruned stays out of a timeline; only a correction brings a touch back, as a new one."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from streams.core import segments
from streams.core.entry import DELETED, TOMBSTONES, is_opt_out
from streams.core.outcome import Finding
from streams.core.pipeline import Step, advance
from streams.core.policy import DoubleContactPolicy, IncongruencePolicy, Policy, TimelinePolicy, TouchPolicy
from streams.core.timeline import EMPTY, Timeline, standing
from streams.core.touch import Customer, Touch
from tests.core.segmented import length
from tests.core.strategies import HOUR, START, identified

POLICY = Policy(
    touch=TouchPolicy(late_after_days=30_000),
    timeline=TimelinePolicy(retention_days=1),
    double_contact=DoubleContactPolicy(window_hours=24),
    incongruent_message=IncongruencePolicy(window_days=1),
)


def mail(id_: str, hour: float, department: Any = "sales", **details: Any) -> Touch:
    """A mail at an hour of the story."""
    who = Customer(crm_id="C-1")
    touch = Touch(id_, "email", department, "outbound", "sent", START + int(hour * HOUR), who)
    return replace(touch, **details)


def opt_out(id_: str, hour: float, **details: Any) -> Touch:
    """The customer unsubscribes at an hour of the story."""
    return mail(id_, hour, direction="inbound", kind="unsubscribed", **details)


def told(*touches: Touch) -> list[Step]:
    """What each touch did, in this order."""
    steps: list[Step] = []
    for touch in touches:
        steps.append(advance(steps[-1].timeline if steps else EMPTY, identified(touch), POLICY))
    return steps


def ids(timeline: Timeline) -> list[str]:
    """Of the touches that are held."""
    return [entry.id for entry in timeline.entries if entry.kind != DELETED]


def brief(findings: tuple[Finding, ...]) -> list[tuple[str, tuple[str, ...], str, int]]:
    """What was said, as far as it matters here."""
    return [(one.rule, one.touch_ids, one.state, one.revision) for one in findings]


@pytest.fixture(params=[32, 1], autouse=True)
def segment(request: pytest.FixtureRequest) -> Any:
    """Timelines in one piece, and in segments of one touch."""
    with length(request.param):
        assert request.param == segments.LENGTH
        yield


def test_an_older_version_of_what_was_pruned() -> None:
    """A corrected touch was pruned; its first version comes after all, with a time in reach: it is known to be outdated."""
    (*_, step) = told(mail("a", 0, version=2), mail("b", 40), mail("c", 70), mail("a", 60, "marketing"))
    assert (step.outcome, step.findings) == ("outdated", ())
    assert "a" not in ids(step.timeline)


def test_a_pruned_touch_corrected_into_reach() -> None:
    """Two departments mail within a day, and a correction says of the first mail, which was pruned, that it was sent a day later: the
    finding is another one now, so it is another revision."""
    first, second = mail("a", 0, "marketing"), mail("b", 20)
    steps = told(first, second, mail("c", 40), mail("d", 41), mail("a", 30, "marketing", version=2))
    assert brief(steps[1].findings) == [("double_contact", ("a", "b"), "detected", 1)]
    assert "a" not in ids(steps[3].timeline)
    said = brief(steps[4].findings)
    assert ("double_contact", ("a", "b"), "detected", 2) in said
    assert all(revision == 2 for *_, revision in said)


def test_a_later_revision_than_any_forgotten() -> None:
    """A finding was taken away and found again, in four revisions, and forgotten with its touches; corrections bring both back, and it goes
    on from there."""
    one, two = mail("a", 0, "marketing"), mail("b", 2)
    gone, again = mail("b", 2, version=2, deleted=True), mail("b", 2, version=3)
    gone_again, and_again = mail("b", 2, version=4, deleted=True), mail("b", 2, version=5)
    steps = told(one, two, gone, again, gone_again, and_again, mail("c", 60), mail("d", 100))
    assert [revision for step in steps[1:6] for *_, revision in brief(step.findings)] == [1, 2, 3, 4, 5]
    back = told_on(steps[-1].timeline, mail("a", 90, "marketing", version=2), mail("b", 91, version=6))
    assert [one for one in brief(back[1].findings) if one[1] == ("a", "b")] == [
        ("double_contact", ("a", "b"), "detected", 6)
    ]


def told_on(timeline: Timeline, *touches: Touch) -> list[Step]:
    """As `told`, on a timeline."""
    steps: list[Step] = []
    for touch in touches:
        steps.append(advance(steps[-1].timeline if steps else timeline, identified(touch), POLICY))
    return steps


@pytest.mark.parametrize("deleted", [True, False])
def test_an_opt_out_that_was_taken_back(deleted: bool) -> None:
    """A standing opt-out, whose touch was pruned, is deleted or corrected to a mail: a replay does not bring it back."""
    first = opt_out("o", 0)
    taken_back = mail("o", 0, version=2, deleted=deleted)
    steps = told(first, mail("b", 60), mail("c", 90), taken_back, first, mail("d", 91))
    assert brief(steps[1].findings) == [("contact_after_opt_out", ("b", "o"), "detected", 1)]
    assert [one.id for one in standing(steps[2].timeline)] == ["o"]
    assert standing(steps[3].timeline) == ()
    assert (steps[4].outcome, standing(steps[4].timeline)) == ("outdated", ())
    assert steps[5].findings == ()
    assert told_on(steps[5].timeline, taken_back)[0].outcome == "duplicate"


def test_an_opt_out_corrected_into_reach() -> None:
    """A standing opt-out was made later than was said first: it holds from then on, not for contacts before."""
    steps = told(opt_out("o", 0), mail("b", 60), mail("c", 90), opt_out("o", 95, version=2), mail("d", 96))
    assert ("contact_after_opt_out", ("c", "o"), "retracted", 2) in brief(steps[3].findings)
    assert brief(steps[4].findings) == [("contact_after_opt_out", ("d", "o"), "detected", 1)]


def test_a_correction_to_a_time_out_of_reach() -> None:
    """A touch that turns out to be older than the timeline reaches leaves it, and its first version does not come back; nor when the
    correction comes first."""
    steps = told(mail("a", 0), mail("b", 50), mail("c", 60, "marketing"), mail("b", 1, version=2), mail("b", 50))
    assert (steps[3].outcome, brief(steps[3].findings)) == (
        "corrected",
        [("double_contact", ("b", "c"), "retracted", 2)],
    )
    assert (steps[4].outcome, ids(steps[4].timeline)) == ("outdated", ["c"])
    for early in (mail("b", 1, version=2), opt_out("b", 1, version=2), mail("b", 1, version=2, deleted=True)):
        steps = told(opt_out("o", 2), mail("a", 30), mail("c", 60, "marketing"), early, mail("b", 50))
        assert [step.outcome for step in steps[3:]] == ["too_old", "outdated"]


def test_tombstones_have_a_bound() -> None:
    """Of any number of corrected touches only some leave a tombstone, the newest, and none for ever."""
    timeline = told(opt_out("o", 0), *(mail(f"t{n:03}", 1 + n / 100, version=2) for n in range(200)))[-1].timeline
    timeline = told_on(timeline, *(mail(f"u{n}", 60 + n) for n in range(70)))[-1].timeline
    tombstones = [one for one in timeline.opt_outs if not is_opt_out(one)]
    assert 0 < len(tombstones) <= TOMBSTONES
    later = told_on(timeline, *(mail(f"v{n}", 24 * 40 + n) for n in range(70)))[-1].timeline
    assert later.opt_outs == standing(later) != ()
