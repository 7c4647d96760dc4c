"""Erasures in the timeline stage: a micro-batch in, null values and the receipt out."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from streams.core.commands import Command
from streams.core.erasure import TIMELINE, Receipt
from streams.core.policy import ErasurePolicy
from streams.core.timeline import Timeline, encode, segment_keys
from streams.edge.forgetting import Forgetting
from streams.edge.lane import Write
from streams.edge.stages import Timelines
from tests.edge.test_long_timelines import restored
from tests.edge.test_stages import (
    CODEC,
    POLICY,
    SETTINGS,
    T0,
    A,
    B,
    Record,
    call,
    changelog,
    command_record,
    identified,
    identified_record,
    take,
    touch,
)

DECIDED = (T0 + 60 * 60_000) * 1000


def erase(customer: str = A, request: str = "r-1", decided_at: int = DECIDED) -> Command:
    """The command as the requests stage passes it on."""
    return Command(request, customer, "customer_erased", T0, "asked", decided_at=decided_at, requested_by="p.ito")


def receipts(write: Write) -> list[Receipt]:
    """The receipts of a write: each comes before the changelog as decided, and behind it as gone."""
    before, after = (
        [CODEC.decode_receipt(out.value or b"") for out in outs if out.topic == "x.erasures"]
        for outs in (write.outputs, write.after)
    )
    assert not any(one.gone for one in before) and after == [replace(one, gone=True) for one in before]
    return after


@pytest.fixture
def timelines() -> Timelines:
    """The stage with an empty store."""
    return restored()[0]


def test_a_long_timeline_is_erased_with_all_its_segments(timelines: Timelines) -> None:
    """Of 200 touches in segments only the moment of the erasure is left: a null value for each segment, also for one that no timeline
    means any more; the receipt counts touches, findings and segments, and another customer is not touched."""
    long = [touch(f"t-{n:03d}", n, kind="delivered") for n in range(198)]
    spoken = [touch("t-mail", 200), call("t-call", 230)]
    first = take(
        timelines, *(identified_record(A, one) for one in (*long, *spoken)), identified_record(B, touch("b-1"))
    )
    sealed = {key for key in first.changelog or {} if b"#" in key}
    assert len(sealed) >= 3
    orphan = b"c1-a#00ff"
    timelines._store.write(1, {orphan: b"\x03left by a crash"})
    write = take(timelines, command_record(erase()))
    assert write.changelog == {A.encode(): encode(Timeline(erased_at=DECIDED)), orphan: None, **dict.fromkeys(sealed)}
    assert receipts(write) == [
        Receipt("r-1", TIMELINE, A, T0, DECIDED // 1000, "p.ito", touches=200, findings=1, segments=len(sealed) + 1)
    ]
    (withdrawn,) = [CODEC.decode_finding(out.value or b"") for out in write.outputs if out.topic == "x.conflicts"]
    assert (withdrawn.state, withdrawn.evidence, withdrawn.customer_name) == ("retracted", (), None)
    assert withdrawn.cause is not None and withdrawn.cause.kind == "erasure"
    assert set(timelines._store.partitions[1].values) == {A.encode(), B.encode()}
    assert timelines._store.marks() == {A.encode(): DECIDED}


def test_read_again_it_says_the_same_or_nothing_new(timelines: Timelines) -> None:
    """Read again before the changelog had it, an erasure gives the same records; after it, a receipt of nothing, which comes second."""
    before = take(timelines, identified_record(A, touch("t-1")), identified_record(A, call("t-2", 30)))
    done = take(timelines, command_record(erase()))
    again = take(restored(before)[0], command_record(erase()))
    assert (again.outputs, again.changelog) == (done.outputs, done.changelog)
    after = take(restored(before, done)[0], command_record(erase()))
    assert [(one.touches, one.findings, one.segments) for one in receipts(after)] == [(0, 0, 0)]
    assert after.changelog == {}


def test_within_one_micro_batch(timelines: Timelines) -> None:
    """Touches before and after the erasure in one micro-batch: the earlier ones are counted and gone, one that was looked up before
    the erasure is dropped, one that was looked up after it begins a timeline anew."""
    fresh = replace(identified(A, touch("t-3", 90)), resolved_at=DECIDED + 1)
    write = take(
        timelines,
        identified_record(A, touch("t-1")),
        command_record(erase()),
        identified_record(A, touch("t-2")),
        Record("x.touches.identified", CODEC.encode_identified(fresh), 9),
    )
    assert [one.touches for one in receipts(write)] == [1]
    left = changelog(write)[A]
    assert ([entry.id for entry in left.entries], left.erased_at) == (["t-3"], DECIDED)
    assert timelines._store.marks() == {}


def test_two_requests(timelines: Timelines) -> None:
    """A second request for the same person, in whichever order the two arrive, has a receipt of its own, of nothing more."""
    take(timelines, identified_record(A, touch("t-1")))
    take(timelines, command_record(erase(request="r-2", decided_at=DECIDED + 5)))
    (late,) = receipts(take(timelines, command_record(erase(request="r-1"))))
    assert (late.request_id, late.touches) == ("r-1", 0)
    assert timelines._store.marks() == {A.encode(): DECIDED + 5}


def test_a_mark_is_forgotten_after_its_grace(timelines: Timelines) -> None:
    """Once the grace is over the mark is told to go, once a minute; the timeline stage then deletes it. One that came to hold touches
    again stays, and a later erasure has a grace of its own."""
    fresh = replace(identified(B, touch("t-1")), resolved_at=DECIDED + 1)
    take(
        timelines,
        command_record(erase(A)),
        command_record(erase(B)),
        Record("x.touches.identified", CODEC.encode_identified(fresh), 9),
    )
    policy = replace(POLICY, erasure=ErasurePolicy("fresh"))
    forgetting = Forgetting(SETTINGS, policy, CODEC, timelines._store)
    over = DECIDED // 1000 + POLICY.erasure.grace_ms
    assert forgetting.due(over - 1, 0.0).outputs == []
    (out,) = forgetting.due(over, 1.0).outputs
    assert (out.topic, out.key) == ("x.touches.identified", A.encode())
    assert forgetting.due(over, 30.0).outputs == []
    assert forgetting.due(over, 61.0).outputs == [out]
    command = CODEC.decode_command(out.value or b"")

    take(timelines, command_record(erase(A, "r-2", DECIDED + 1)))
    kept = take(timelines, command_record(command))
    assert (kept.outputs, kept.changelog) == ([], {})
    gone = take(timelines, command_record(replace(command, decided_at=DECIDED + 1)))
    assert (gone.outputs, gone.changelog) == ([], {A.encode(): None})
    assert set(timelines._store.partitions[1].values) == {B.encode()}
    assert forgetting.due(2 * over, 200.0).outputs == []


def test_a_mark_stays_where_later_touches_are_refused(timelines: Timelines) -> None:
    """Where later touches of the erased are refused the mark stays for good, so that a touch that is looked up without the index is
    known as theirs by the timeline."""
    take(timelines, command_record(erase()))
    forgetting = Forgetting(SETTINGS, replace(POLICY, erasure=ErasurePolicy("refuse")), CODEC, timelines._store)
    assert forgetting.due(10 * DECIDED, 0.0).outputs == []
    alone = take(timelines, identified_record(A, touch("t-1", 10_000)))
    assert (alone.outputs, alone.changelog) == ([], {})


def test_who_shares_the_timeline_stays(timelines: Timelines) -> None:
    """An erasure that names identifiers takes their touches only: those of another identifier stay with their segments, those that no
    timeline means any more go, and a worker that restores it all knows every touch that stayed."""
    theirs = [replace(identified(A, touch(f"o-{n:03d}", n, kind="delivered")), identifier=B) for n in range(100)]
    first = take(
        timelines,
        *(Record("x.touches.identified", CODEC.encode_identified(one), 9) for one in theirs),
        *(identified_record(A, touch(f"t-{n:03d}", n + 200, kind="delivered")) for n in range(100)),
    )
    before = {key for key in first.changelog or {} if b"#" in key}
    write = take(timelines, command_record(replace(erase(), identifiers=(A,))))
    assert [(one.touches, one.findings) for one in receipts(write)] == [(100, 0)]
    left = restored(first, write)[0]._timeline(1, A)
    assert [entry.id for entry in left.entries] == [one.touch.touch_id for one in theirs]
    held = {key for key in timelines._store.partitions[1].values if b"#" in key}
    assert held == segment_keys(A.encode(), left) != before
    assert restored(first, write)[1].partitions[1].values == timelines._store.partitions[1].values
