"""A timeline in segments does what the same timeline in one piece does, and its changelog never holds half of a change."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.core import keeping, pipeline, segments
from streams.core.customer import on_command
from streams.core.entry import DamagedError, Entry
from streams.core.moving import merge_command
from streams.core.outcome import Cause
from streams.core.policy import Policy
from streams.core.segments import Entries
from streams.core.timeline import EMPTY, Timeline, decode, encode, encode_head, is_customer, records
from streams.core.touch import Touch
from tests.core.segmented import KEY, Log, emails, length
from tests.core.strategies import CALLS, call_policies, histories, identified, one_customer, policies, with_timeline

CUSTOMER = KEY.decode()


def plain(timeline: Timeline) -> Timeline:
    """The same timeline in one piece."""
    return replace(timeline, entries=tuple(timeline.entries))


def steps_alike(touches: list[Touch], policy: Policy, sealed: int) -> None:
    """Asserts that each touch does the same to the timeline in segments, read and written as bytes, and to the one in one piece."""
    log, whole = Log(), EMPTY
    for touch in touches:
        before = log.timeline()
        with length(sealed):
            step = pipeline.advance(before, identified(touch), policy)
        expected = pipeline.advance(whole, identified(touch), policy)
        assert (step.outcome, step.findings, step.late) == (expected.outcome, expected.findings, expected.late)
        assert plain(step.timeline) == expected.timeline
        assert keeping.recent(step.timeline) <= 2 * sealed
        log.write(before, step.timeline)
        assert len(log.values) == log.kept()
        whole = expected.timeline
    why = Cause("merge", "link")
    assert pipeline.leave(log.timeline(), policy, CUSTOMER, why) == pipeline.leave(whole, policy, CUSTOMER, why)


@settings(max_examples=150, deadline=None)
@given(histories(one_customer, max_size=20), policies, st.integers(1, 3))
def test_segments_change_no_finding(touches: list[Touch], policy: Policy, sealed: int) -> None:
    """Touches in any order: outcome, findings and timeline are at each step those of a timeline without segments."""
    steps_alike(touches, policy, sealed)


@settings(max_examples=100, deadline=None)
@given(histories(one_customer, max_size=24, what=CALLS), call_policies, st.integers(1, 3))
def test_segments_change_no_call(touches: list[Touch], policy: Policy, sealed: int) -> None:
    """Phases of calls that lie in several segments join as they do in one piece."""
    steps_alike(touches, policy, sealed)


@settings(max_examples=100, deadline=None)
@given(histories(one_customer, max_size=20), policies, st.integers(1, 3), st.data())
def test_the_log_holds_the_old_or_the_new(
    touches: list[Touch], policy: Policy, sealed: int, data: st.DataObject
) -> None:
    """However few records of a micro-batch reached the changelog, a worker reads the timeline from before it or from after it."""
    log = Log()
    while touches:
        some = data.draw(st.integers(1, len(touches)))
        now, touches = touches[:some], touches[some:]
        before = after = log.timeline()
        with length(sealed):
            for touch in now:
                after = pipeline.advance(after, identified(touch), policy).timeline
        was, said = plain(before), records(KEY, before, after)
        for key, value in said.items():
            log.put(key, value)
            was = plain(after) if key == KEY else was
            assert plain(log.timeline()) == was
        assert len(log.values) == log.kept()


@settings(max_examples=100, deadline=None)
@given(histories(one_customer, max_size=20), policies, st.integers(1, 3), st.data())
def test_a_crash_amid_the_records_is_made_good(
    touches: list[Touch], policy: Policy, sealed: int, data: st.DataObject
) -> None:
    """After a crash between two records the touches are read again, in other micro-batches: the timeline is the same in the end."""
    log, again, after = Log(), Log(), EMPTY
    half = data.draw(st.integers(0, len(touches)))
    with length(sealed):
        for touch in touches[:half]:
            after = pipeline.advance(after, identified(touch), policy).timeline
        said = list(records(KEY, EMPTY, after).items()) if half else []
        for key, value in said[: data.draw(st.integers(0, len(said)))]:
            log.put(key, value)
        for touch in touches:
            for some in (log, again):
                before = some.timeline()
                some.write(before, pipeline.advance(before, identified(touch), policy).timeline)
    assert plain(log.timeline()) == plain(again.timeline())
    assert {key: log.values[key] for key in again.values if key != KEY} == {
        key: value for key, value in again.values.items() if key != KEY
    }


@settings(max_examples=100, deadline=None)
@given(histories(one_customer, max_size=30), policies, st.integers(10, 12), st.integers(1, 3))
def test_whole_segments_are_pruned(touches: list[Touch], policy: Policy, most: int, sealed: int) -> None:
    """With the smallest bounds, a timeline holds at most a segment more than allowed, each oldest segment has a touch that is to be
    kept, and the standing is that of all touches."""
    policy = with_timeline(policy, max_touches=most, retention_days=2)
    log, unbounded = Log(), EMPTY
    for touch in sorted(touches, key=lambda t: (t.occurred_at, t.touch_id)):
        before = log.timeline()
        with length(sealed):
            after = pipeline.advance(before, identified(touch), policy).timeline
        log.write(before, after)
        unbounded = pipeline.advance(unbounded, identified(touch), with_timeline(policy)).timeline
        kept = log.timeline()
        assert kept.tail == unbounded.tail
        assert tuple(kept.entries) == tuple(unbounded.entries)[-len(kept.entries) :]
        oldest = kept.entries.segments[0].row.count if isinstance(kept.entries, Entries) else 1
        assert len(kept.entries) < most + oldest
        assert kept.entries[-1].at - kept.entries[oldest - 1].at <= policy.timeline.retention_ms
        assert all(at >= kept.entries[0].at for _, at in kept.revisions.values())
        assert len(log.values) == log.kept()


def long_timeline(count: int) -> tuple[Log, Timeline]:
    """A log with so many deliveries, one an hour, and the timeline in it."""
    log, timeline = Log(), EMPTY
    for entry in emails(*(hour * 3_600_000 for hour in range(count))):
        timeline = pipeline.add(timeline, entry, Policy(), CUSTOMER).timeline
    log.write(EMPTY, timeline)
    return log, log.timeline()


def test_a_touch_in_order_reads_and_writes_no_segment() -> None:
    """However long the timeline is, a touch at its end loads nothing else, and writes as many bytes as it does on a short one but for
    the directory: at 900 touches less than a tenth of them all."""
    written = {}
    for count in (72, 872):
        log, timeline = long_timeline(count)
        (new,) = emails(count * 3_600_000)
        after = pipeline.add(timeline, replace(new, id="new"), Policy(), CUSTOMER).timeline
        changed = records(KEY, timeline, after)
        assert (list(changed), log.loaded) == ([KEY], [])
        written[count] = len(changed[KEY] or b"")
    assert written[872] - written[72] < 4 * 800
    assert written[872] < sum(map(len, log.values.values())) / 10


def test_an_old_touch_rewrites_one_segment() -> None:
    """A touch in the middle of a long timeline writes its segment and the head, and takes the old segment out, in this order."""
    log, timeline = long_timeline(500)
    after = pipeline.add(timeline, replace(emails(250 * 3_600_000 + 1)[0], id="new"), Policy(), CUSTOMER).timeline
    (new, written), (head, _), (old, gone) = log.write(timeline, after).items()
    assert (head, gone) == (KEY, None)
    assert new.startswith(b"c1-x#") and old.startswith(b"c1-x#")
    assert not is_customer(written or b"") and is_customer(log.values[KEY])
    assert log.timeline().entries[251].id == "new"


def test_a_full_segment_is_split() -> None:
    """A segment that many old touches come into becomes two before it is too long."""
    log, timeline = long_timeline(100)
    for n in range(60):
        entry = replace(emails(3_600_000 + n)[0], id=f"new{n}")
        after = pipeline.add(timeline, entry, Policy(), CUSTOMER).timeline
        log.write(timeline, after)
        timeline = log.timeline()
        assert isinstance(timeline.entries, Entries)
        assert max(part.row.count for part in timeline.entries.segments) <= 2 * segments.LENGTH
    assert len(timeline.entries) == 160
    assert len(log.values) == log.kept()


def test_a_merged_customer_leaves_no_segment() -> None:
    """A long timeline that moves to another id takes all its entries along, and the log keeps where it went and nothing else."""
    log, timeline = long_timeline(300)
    effect = on_command(timeline, merge_command(CUSTOMER, "c0-a", 0, "link"), Policy())
    assert sum(len(command.entries) for command in effect.commands) == 300
    log.write(timeline, effect.timeline)
    assert log.values == {KEY: encode(effect.timeline)} and effect.timeline.entries == ()


def test_the_layout_of_the_first_release_is_read() -> None:
    """A long timeline that the first release wrote in one piece is read as it was, and is in segments once a touch has come."""
    data = (Path(__file__).parent / "timeline_layout_1.bin").read_bytes()
    timeline = decode(data)
    assert (len(timeline.entries), timeline.entries[0].id, timeline.entries[-1].id) == (100, "t11-13", "t11-66")
    assert (len(timeline.revisions), timeline.tail.handed_off_at) == (21, 1_772_736_900_000)
    assert decode(encode(timeline)) == decode(encode_head(timeline)) == timeline
    new = replace(timeline.entries[-1], at=timeline.entries[-1].at + 1, id="new")
    step = pipeline.add(timeline, new, Policy(), CUSTOMER)
    assert step.outcome == "applied"
    log = Log()
    log.values[KEY] = data
    log.write(timeline, step.timeline)
    assert len(log.values) > 2
    assert log.timeline().entries == (*timeline.entries, new)
    assert encode(log.timeline())[:1] == data[:1]


def test_any_change_counts_the_engagement_anew() -> None:
    """Entries put in, replaced and taken out at random places: the engagement is that of the timeline built from what is left."""
    rng = random.Random(5)
    kinds = ("clicked", "opened", "lead_form", "delivered")
    made = [Entry(n * 10**7, f"t{n}", "email", "marketing", "inbound", rng.choice(kinds)) for n in range(60)]
    with length(4):
        timeline = EMPTY
        for entry in made:
            timeline = pipeline.add(timeline, entry, Policy(), CUSTOMER).timeline
        while len(made) > 1:
            i = rng.randrange(len(made))
            new = [replace(made[i], kind=rng.choice(kinds))] if rng.random() < 0.2 else []
            made[i : i + 1] = new
            timeline = keeping.spliced(timeline, i, 1, tuple(new), Policy())
            afresh = EMPTY
            for entry in made:
                afresh = pipeline.add(afresh, entry, Policy(), CUSTOMER).timeline
            assert (plain(timeline).entries, timeline.tail) == (plain(afresh).entries, afresh.tail)


def test_a_head_too_large_is_made_smaller() -> None:
    """Large entries are sealed before there are many of them; only when the directory itself is too large do the oldest go."""
    timeline = EMPTY
    for n, touch in enumerate(emails(*range(40))):
        entry = replace(touch, label="x" * 1000, kind="unsubscribed", channel=f"channel {n}")
        timeline = pipeline.add(timeline, entry, Policy(), CUSTOMER).timeline
    few = keeping.fitted(timeline, Policy(), 100_000)
    assert few is timeline
    sealed = keeping.fitted(
        replace(timeline, entries=tuple(replace(e, kind="sent") for e in timeline.entries)), Policy(), 9000
    )
    assert (len(sealed.entries), len(encode_head(sealed)) <= 9000) == (40, True)
    shorter = keeping.fitted(timeline, Policy(), 30_000)
    assert 1 <= len(shorter.entries) < 40
    assert shorter.entries[-1].id == "t39"


@given(st.binary(max_size=60))
def test_arbitrary_heads_never_raise_anything_else(data: bytes) -> None:
    """Whatever stands behind the layout's byte of a head is a timeline or a DamagedError."""
    try:
        assert isinstance(decode(b"\x02" + data), Timeline)
    except DamagedError as error:
        assert "damaged timeline" in str(error)


def test_a_head_cut_short_is_refused() -> None:
    """A head that lost its end anywhere raises DamagedError."""
    whole = encode_head(long_timeline(80)[1])
    for end in range(1, len(whole), 7):
        with pytest.raises(DamagedError, match="damaged timeline"):
            decode(whole[:end])
