"""`double_contact`, sentence by sentence; `test_oracle` proves it on whole histories."""

from __future__ import annotations

import pytest

from streams.core.outcome import Finding
from streams.core.policy import CallsPolicy, DoubleContactPolicy, Policy
from streams.core.touch import KINDS, Actor, Touch
from tests.core import made
from tests.core.made import DAY, HOUR, MINUTE, ids, touch


def found(*touches: Touch, policy: Policy | None = None) -> list[Finding]:
    """Double contacts only."""
    return made.found("double_contact", *touches, policy=policy)


@pytest.mark.parametrize(("apart", "count"), [(0, 1), (DAY - 1, 1), (DAY, 0), (DAY + 1, 0)])
def test_exactly_a_day_apart_is_no_conflict(apart: int, count: int) -> None:
    """A millisecond less than the window is a conflict, the window itself is none."""
    assert len(found(touch("a", "sent"), touch("b", "sent", apart, "sales"))) == count


def test_the_window_is_the_policys() -> None:
    """With a window of one hour, two hours apart is no conflict, and half an hour is one of the policy's severity."""
    policy = Policy(double_contact=DoubleContactPolicy(window_hours=1, severity="low"))
    history = [touch("a", "sent"), touch("b", "sent", 2 * HOUR, "sales"), touch("c", "sent", 2 * HOUR + 30 * MINUTE)]
    (finding,) = found(*history, policy=policy)
    assert (finding.touch_ids, finding.severity) == (("b", "c"), "low")
    assert found(*history, policy=Policy(double_contact=DoubleContactPolicy(enabled=False))) == []


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("impression", "ad_click", "profile_view")])
def test_only_what_reaches_the_customer_is_a_contact(kind: str) -> None:
    """Sent, messages, connection requests and calls are contacts; reports about them and reactions are none."""
    contact = kind in ("sent", "message_sent", "connection_request", "dialed", "answered", "voicemail")
    assert bool(found(touch("a", "sent"), touch("b", kind, HOUR, "sales"))) == contact
    inbound = touch("b", kind, HOUR, "sales", direction="inbound")
    assert found(touch("a", "sent"), inbound) == []


def test_one_finding_for_each_later_contact_with_the_nearest_of_each_other_department() -> None:
    """A third department's contact names the nearest contact of both others, and no more; its own do not count."""
    history = [
        touch("m1", "sent"),
        touch("m2", "sent", HOUR),
        touch("s1", "sent", 2 * HOUR, "sales"),
        touch("v1", "sent", 3 * HOUR, "service"),
        touch("v2", "sent", 4 * HOUR, "service"),
    ]
    findings = found(*history)
    assert ids(findings) == [("m2", "s1"), ("m2", "s1", "v1"), ("m2", "s1", "v2")]
    assert [proof.role for proof in findings[1].evidence] == ["earlier_contact", "earlier_contact", "contact"]
    assert [proof.touch_id for proof in findings[1].evidence] == ["m2", "s1", "v1"]
    assert findings[1].event_time == history[3].occurred_at


def test_equal_times_are_ordered_by_touch_id() -> None:
    """Of two contacts in one millisecond the one with the greater id is the later, whatever comes first in the file."""
    (finding,) = found(touch("b", "sent", 0, "sales"), touch("a", "sent"))
    assert [(proof.touch_id, proof.role) for proof in finding.evidence] == [("a", "earlier_contact"), ("b", "contact")]
    assert finding.reason.endswith("less than a minute later.")


JO, KIM = Actor("jo", "J. Okafor"), Actor("kim", "Kim Lee")


def call(id_: str, kind: str, after: int, actor: Actor | None = JO, interaction: str | None = None) -> Touch:
    """A phase of a call by sales, an hour and more after marketing's email."""
    return touch(id_, kind, HOUR + after, "sales", actor=actor, interaction_id=interaction)


@pytest.mark.parametrize(
    ("phases", "calls"),
    [
        ([call("b", "dialed", 0), call("c", "answered", MINUTE)], ["b"]),
        ([call("b", "dialed", 0), call("c", "answered", MINUTE), call("d", "voicemail", 2 * MINUTE)], ["b"]),
        ([call("b", "dialed", 0), call("c", "dialed", MINUTE)], ["b", "c"]),
        ([call("b", "dialed", 0), call("c", "answered", HOUR)], ["b", "c"]),
        ([call("b", "dialed", 0), call("c", "answered", HOUR - 1)], ["b"]),
        ([call("b", "dialed", 0), call("c", "answered", MINUTE, KIM)], ["b", "c"]),
        ([call("b", "dialed", 0), call("c", "answered", 5 * HOUR, KIM, "i"), call("a", "dialed", HOUR, JO, "i")], ["b", "a"]),
        ([call("b", "dialed", 0, JO, "i"), call("c", "dialed", MINUTE, JO, "i")], ["b"]),
        ([call("b", "dialed", 0, JO, "i"), call("c", "answered", MINUTE, JO, "j")], ["b", "c"]),
        ([call("b", "dialed", 0), call("c", "no_answer", MINUTE)], ["b"]),
        ([call("b", "dialed", 0, None), call("c", "answered", MINUTE, None)], ["b"]),
    ],
    ids=["two phases", "three", "redial", "an hour apart", "just less", "two reps", "one interaction", "repeated report",
         "two interactions", "no answer", "nobody named"],
)  # fmt: skip
def test_the_phases_of_a_call_are_one_contact(phases: list[Touch], calls: list[str]) -> None:
    """Joined by interaction id, else by rep and nearness; a phase that comes again is another call."""
    findings = found(touch("0", "sent"), *phases)
    assert ids(findings) == [("0", id_) for id_ in calls]


def test_calls_can_be_joined_over_more_than_a_day() -> None:
    """`join_minutes` above a day is honoured however the neighbourhood of a touch is cut out of the timeline."""
    policy = Policy(calls=CallsPolicy(join_minutes=36 * 60))
    history = [
        touch("a", "dialed", 0, "sales", actor=JO),
        touch("b", "sent", 30 * HOUR),
        touch("c", "answered", 31 * HOUR, "sales", actor=JO),
    ]
    assert found(*history, policy=policy) == []
    assert ids(found(*history)) == [("b", "c")]


def test_how_calls_join_is_decided_further_back_than_the_window_looks() -> None:
    """Whether a phase begins a call depends on the phases before it, however short the window: here the third begins one."""
    policy = Policy(double_contact=DoubleContactPolicy(window_hours=0.1))
    history = [
        touch("1", "dialed", 0, "sales", actor=JO),
        touch("2", "answered", 50 * MINUTE, "sales", actor=JO),
        touch("mail", "sent", 65 * MINUTE),
        touch("3", "dialed", 70 * MINUTE, "sales", actor=JO),
    ]
    assert ids(found(*history, policy=policy)) == [("3", "mail")]
