"""One customer's touches, in any order, twice, or by way of another id, end in the findings of the backtest."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.core import backtest, customer, pipeline
from streams.core.entry import Entry, entry_of
from streams.core.outcome import Cause, Finding
from streams.core.policy import HOUR_MS, MINUTE_MS, DoubleContactPolicy, IncongruencePolicy, Policy
from streams.core.timeline import EMPTY, Timeline, decode, encode
from streams.core.touch import CALL_KINDS, Customer, Touch
from tests.core.strategies import (
    CALLS,
    HOUR,
    ID_KEY,
    NOW,
    REGION,
    START,
    call_policies,
    histories,
    identified,
    one_customer,
    policies,
    with_timeline,
)


def plain(findings: Iterable[Finding]) -> list[Finding]:
    """Standing findings without what the order of arrival decides, and without the customer's id (and what is made of it)."""
    return sorted(
        (replace(f, revision=1, state="detected", customer="", finding_id="", cause=None) for f in findings),
        key=lambda f: (f.event_time, f.rule, f.touch_ids),
    )


def expected(touches: list[Touch], policy: Policy) -> list[Finding]:
    """The backtest's findings."""
    return plain(backtest.run(touches, policy, id_key=ID_KEY, region=REGION, now=NOW).findings)


class Consumer:
    """Reads the alert topics: keeps the highest revision of each id, and minds that revisions only ever rise."""

    def __init__(self) -> None:
        self.known: dict[str, Finding] = {}

    def take(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            old = self.known.get(finding.finding_id)
            if old is None:
                assert (finding.revision, finding.state) == (1, "detected")
            else:
                assert finding.revision == old.revision + 1
                assert (finding.state == "detected") == (old.state == "retracted")
                was, now = (replace(one, state="", revision=0, cause=None) for one in (old, finding))
                assert finding.state != "retracted" or was == now
            self.known[finding.finding_id] = finding

    def standing(self, customer: str | None = None) -> list[Finding]:
        found = backtest.standing(self.known)
        return plain(f for f in found if customer is None or f.customer == customer)


class Customers:
    """The timeline stage without Kafka: some timelines, each kept as bytes, and one consumer."""

    def __init__(self, policy: Policy) -> None:
        self.policy, self.values, self.consumer = policy, dict[str, bytes](), Consumer()

    def timeline(self, customer: str) -> Timeline:
        return decode(self.values[customer]) if customer in self.values else EMPTY

    def touch(self, touch: Touch, customer: str = "c1-x") -> pipeline.Step:
        step = pipeline.advance(self.timeline(customer), identified(touch, customer), self.policy)
        return self._keep(customer, step)

    def entry(self, entry: Entry, customer: str) -> pipeline.Step:
        return self._keep(customer, pipeline.add(self.timeline(customer), entry, self.policy, customer))

    def leave(self, customer: str, into: str) -> tuple[Entry, ...]:
        rest, findings, entries = pipeline.leave(self.timeline(customer), self.policy, customer, Cause("merge", "link"))
        self.values[customer] = encode(replace(rest, merged_into=into))
        self.consumer.take(findings)
        return entries

    def _keep(self, customer: str, step: pipeline.Step) -> pipeline.Step:
        self.values[customer] = encode(step.timeline)
        self.consumer.take(step.findings)
        return step


@settings(max_examples=300, deadline=None)
@given(histories(one_customer), policies)
def test_any_order_of_arrival_ends_in_the_backtests_findings(touches: list[Touch], policy: Policy) -> None:
    """Touches in random order: what stands in the end has the content of the backtest's; revisions rise by one."""
    arrives_in_any_order(touches, policy)


@settings(max_examples=300, deadline=None)
@given(histories(one_customer, max_size=20, what=CALLS), call_policies)
def test_phases_of_calls_may_come_in_any_order(touches: list[Touch], policy: Policy) -> None:
    """A phase that comes late changes which phases after it stand for a call: the end is the backtest's all the same."""
    arrives_in_any_order(touches, policy)


def arrives_in_any_order(touches: list[Touch], policy: Policy) -> None:
    """Asserts that findings and timeline end as those of the ordered touches."""
    stream, ordered = Customers(policy), Customers(policy)
    for touch in touches:
        assert stream.touch(touch).outcome == "applied"
    for touch in sorted(touches, key=lambda t: (t.occurred_at, t.touch_id)):
        assert not ordered.touch(touch).late
    assert stream.consumer.standing() == expected(touches, policy)
    assert replace(stream.timeline("c1-x"), revisions={}) == ordered.timeline("c1-x")


@settings(max_examples=100, deadline=None)
@given(histories(one_customer), policies, st.data())
def test_a_repeated_touch_changes_nothing(touches: list[Touch], policy: Policy, data: st.DataObject) -> None:
    """A touch that comes again, at any later point, is a duplicate: no finding, and the timeline is the same object."""
    timeline = EMPTY
    for n, touch in enumerate(touches):
        timeline = pipeline.advance(timeline, identified(touch), policy).timeline
        again = data.draw(st.integers(0, n))
        step = pipeline.advance(timeline, identified(touches[again]), policy)
        assert (step.outcome, step.findings) == ("duplicate", ())
        assert step.timeline is timeline


@settings(max_examples=200, deadline=None)
@given(histories(one_customer), policies, st.data())
def test_a_customer_who_moves_takes_everything_along(touches: list[Touch], policy: Policy, data: st.DataObject) -> None:
    """Two ids joined at any moment: the old id's findings are retracted, the new id's are as if it had been one always."""
    stream = Customers(policy)
    leaves_after = data.draw(st.integers(0, len(touches)))
    moving: list[Entry] = []
    for n, touch in enumerate([*touches, None]):
        if n == leaves_after:
            moving = list(stream.leave("c2-b", "c1-a"))
        while moving and data.draw(st.booleans()):
            stream.entry(moving.pop(data.draw(st.integers(0, len(moving) - 1))), "c1-a")
        if touch is not None:
            old_id = data.draw(st.booleans()) and n < leaves_after
            stream.touch(touch, "c2-b" if old_id else "c1-a")
    for entry in moving:
        stream.entry(entry, "c1-a")
        assert stream.entry(entry, "c1-a").outcome == "duplicate"
    assert stream.consumer.standing("c2-b") == []
    assert stream.consumer.standing("c1-a") == expected(touches, policy)
    assert replace(stream.timeline("c2-b"), revisions={}) == Timeline(merged_into="c1-a")


@settings(max_examples=200, deadline=None)
@given(histories(one_customer, max_size=30), policies, st.integers(10, 12))
def test_in_order_the_bound_of_a_timeline_holds(touches: list[Touch], policy: Policy, most: int) -> None:
    """With the smallest bounds, a timeline never holds more than allowed, and its engagement is that of all touches."""
    policy = with_timeline(policy, max_touches=most, retention_days=2)
    stream, unbounded = Customers(policy), EMPTY
    for touch in sorted(touches, key=lambda t: (t.occurred_at, t.touch_id)):
        stream.touch(touch)
        unbounded = pipeline.advance(unbounded, identified(touch), with_timeline(policy)).timeline
        kept = stream.timeline("c1-x")
        assert 1 <= len(kept.entries) <= most
        assert kept.entries[-1].at - kept.entries[0].at <= policy.timeline.retention_ms
        assert len(kept.opt_outs) <= 4
        assert kept.tail == unbounded.tail
        assert all(at >= kept.entries[0].at for _, at in kept.revisions.values())
    assert stream.consumer.standing() == expected(touches, policy)


@settings(max_examples=200, deadline=None)
@given(histories(one_customer, max_size=24), policies)
def test_in_order_the_retention_loses_no_finding(touches: list[Touch], policy: Policy) -> None:
    """A retention that covers the windows and one call gives the same findings as one that keeps everything."""
    # Recent campaigns look back 30 days and would be cut; they are not what is tested here.
    touches = [replace(touch, campaign=None) for touch in touches]
    policy = replace(policy, incongruent_message=IncongruencePolicy(window_days=1))
    window = max(policy.double_contact.window_ms, policy.incongruent_message.window_ms)
    days = (window + max(24 * HOUR_MS, policy.calls.join_ms)) / (24 * HOUR_MS)
    assert expected(touches, with_timeline(policy, retention_days=days)) == expected(touches, policy)


def touch(id_: str, at: int, **changes: object) -> Touch:
    """An email of marketing's, unless changed."""
    base = Touch(id_, "email", "marketing", "outbound", "sent", at, Customer(crm_id="C-1"))
    return replace(base, **changes)


def test_an_opt_out_survives_pruning() -> None:
    """An unsubscribe long off the timeline still makes the next email a conflict, with the opt-out as evidence."""
    policy = with_timeline(Policy(), retention_days=30)
    stream = Customers(policy)
    stream.touch(touch("stop", START, direction="inbound", kind="unsubscribed"))
    stream.touch(touch("click", START + 200 * 24 * HOUR, direction="inbound", kind="clicked"))
    assert [entry.id for entry in stream.timeline("c1-x").opt_outs] == ["stop"]
    (finding,) = stream.touch(touch("mail", START + 201 * 24 * HOUR)).findings
    assert (finding.rule, finding.touch_ids) == ("contact_after_opt_out", ("mail", "stop"))


def test_an_opt_out_is_never_too_late() -> None:
    """An unsubscribe that arrives after the retention still amends the past; any other touch of that age is refused."""
    stream = Customers(with_timeline(Policy(), retention_days=30))
    stream.touch(touch("mail", START))
    old = START - 60 * 24 * HOUR
    assert stream.touch(touch("older mail", old)).outcome == "too_old"
    step = stream.touch(touch("stop", old, direction="inbound", kind="unsubscribed"))
    assert (step.outcome, step.late) == ("applied", True)
    assert [finding.touch_ids for finding in step.findings] == [("mail", "stop")]
    assert stream.touch(touch("stop", old, direction="inbound", kind="unsubscribed")).outcome == "duplicate"


def test_an_opt_out_moves_with_its_customer() -> None:
    """An unsubscribe that had left the old id's timeline still holds under the new id."""
    stream = Customers(with_timeline(Policy(), retention_days=30))
    stream.touch(touch("stop", START, direction="inbound", kind="unsubscribed"), "c2-b")
    stream.touch(touch("click", START + 200 * 24 * HOUR, direction="inbound", kind="clicked"), "c2-b")
    stream.touch(touch("mail", START + 201 * 24 * HOUR), "c1-a")
    found = [finding for entry in stream.leave("c2-b", "c1-a") for finding in stream.entry(entry, "c1-a").findings]
    assert [(finding.customer, finding.touch_ids) for finding in found] == [("c1-a", ("mail", "stop"))]


def test_another_content_under_a_known_id_is_refused() -> None:
    """The first content of a touch id stands; the dead letter says so."""
    stream = Customers(Policy())
    stream.touch(touch("a", START))
    before = stream.timeline("c1-x")
    effect = customer.on_touch(before, identified(touch("a", START, department="sales")), Policy())
    assert (effect.outcome, effect.findings, effect.timeline) == ("refused", (), before)
    assert effect.refused is not None
    assert effect.refused[0] == "id_conflict"
    assert "touch_id a was used before with other content" in effect.refused[1]


@pytest.mark.parametrize(("ahead", "refused"), [(0, False), (60 * MINUTE_MS, False), (60 * MINUTE_MS + 1, True)])
def test_the_future_has_a_border(ahead: int, refused: bool) -> None:
    """Exactly `max_future_minutes` ahead is still taken, a millisecond more is not, and the detail names the knob."""
    problem = pipeline.receive(touch("a", START + ahead), START, Policy())
    assert (problem is not None) == refused
    if problem is not None:
        assert problem[0] == "occurred_in_future"
        assert "touch.max_future_minutes" in problem[1]


def test_a_phase_that_comes_late_takes_the_call_over() -> None:
    """The first phase of a call, arriving last, retracts the finding of the phase that stood for the call."""
    stream = Customers(Policy())
    stream.touch(touch("mail", START))
    call = {"channel": "calls", "department": "sales", "interaction_id": "i1"}
    (first,) = stream.touch(touch("answered", START + HOUR + 20_000, kind="answered", **call)).findings
    gone, new = stream.touch(touch("dialed", START + HOUR, kind="dialed", **call)).findings
    assert (gone.finding_id, gone.state, gone.revision) == (first.finding_id, "retracted", 2)
    assert (new.touch_ids, new.state, new.revision) == (("dialed", "mail"), "detected", 1)


def test_a_late_phase_changes_calls_beyond_its_own_reach() -> None:
    """Phases 50 minutes apart hang together like dominoes: one that comes late moves the start of the call after the next."""
    policy = Policy(double_contact=DoubleContactPolicy(window_hours=1))
    minute = HOUR // 60
    rows = (
        ("b", "dialed", 0),
        ("c", "answered", 50),
        ("mail", "sent", 65),
        ("d", "dialed", 70),
        ("a", "answered", -30),
    )
    touches = [
        touch(id_, START + at * minute, kind=kind, department="marketing" if kind == "sent" else "sales")
        for id_, kind, at in rows
    ]
    stream = Customers(policy)
    told = [[(f.touch_ids, f.state) for f in stream.touch(touch).findings] for touch in touches]
    assert told == [
        [],
        [],
        [],
        [(("d", "mail"), "detected")],
        [(("d", "mail"), "retracted"), (("c", "mail"), "detected")],
    ]
    assert stream.consumer.standing() == expected(touches, policy)


def appended_cost(count: int) -> int:
    """Python function calls that appending `count` touches to one timeline takes."""
    calls = 0

    def tally(frame: object, event: str, arg: object) -> None:
        nonlocal calls
        calls += event == "call"

    rng = random.Random(1)
    kinds = [
        ("sent", "outbound"),
        ("opened", "inbound"),
        ("delivered", "outbound"),
        *[(k, "outbound") for k in sorted(CALL_KINDS)],
    ]
    timeline = EMPTY
    sys.setprofile(tally)
    try:
        for n in range(count):
            kind, direction = rng.choice(kinds)
            entry = entry_of(identified(touch(f"t{n}", START + n * 2 * HOUR, kind=kind, direction=direction)))
            timeline = pipeline.add(timeline, entry, Policy(), "c1-x").timeline
    finally:
        sys.setprofile(None)
    return calls


def test_appending_does_not_grow_quadratically() -> None:
    """Four times the touches take about four times the function calls (sixteen would be quadratic)."""
    assert appended_cost(800) < 6 * appended_cost(200)
