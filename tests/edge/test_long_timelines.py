"""Timelines of several records in the timeline stage: a micro-batch in, the changelog out, and what a worker restores from it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import faust
import pytest
from prometheus_client import CollectorRegistry

from streams.core import published
from streams.core.commands import Command
from streams.core.moving import merge_command
from streams.core.segments import LARGEST
from streams.core.timeline import Timeline, encode
from streams.core.touch import Message
from streams.edge import doubt
from streams.edge.lane import Write
from streams.edge.metrics import Metrics
from streams.edge.restore import Restore
from streams.edge.stages import Timelines
from streams.edge.stages.timelines import POLICY as POLICY_KEY
from streams.edge.store import Store
from streams.edge.topics import IDENTIFIED, changelog
from streams.settings import Settings
from tests.edge.test_stages import (
    CODEC,
    POLICY,
    SETTINGS,
    T0,
    A,
    B,
    command_record,
    identified_record,
    story,
    take,
    touch,
)
from tests.support.lanes import contents, lane_of


@pytest.fixture
def timelines() -> Timelines:
    """The stage with an empty store."""
    return restored()[0]


def restored(*writes: Write, on: Settings = SETTINGS) -> tuple[Timelines, Store]:
    """The stage of a worker that read what these writes left in the changelog."""
    app = faust.App("stages-test", store="touchstream://", autodiscover=False)
    store = app.Table("timelines", key_type=bytes, value_type=bytes).data
    for write in writes:
        for key, value in (write.changelog or {}).items():
            store.partitions[1].put(key, value)
    return Timelines(on, POLICY, CODEC, Metrics(CollectorRegistry()), store), store


def test_a_long_timeline_is_several_records(timelines: Timelines) -> None:
    """Touches that no one record could hold are all kept, in segments that stand in the changelog before the head that names them;
    the worker that restores them knows each touch and counts one customer."""
    long = [touch(f"t-{n:03d}", n, kind="delivered", message=Message(subject="x" * 4000)) for n in range(400)]
    writes = [
        take(timelines, *(identified_record(A, one) for one in long[start : start + 150])) for start in (0, 150, 300)
    ]
    for write in writes:
        keys = list(write.changelog or {})
        assert keys[-1] == A.encode() and all(key.startswith(b"c1-a#") for key in keys[:-1])
        assert len(keys) >= 4
        assert max(len(value or b"") for value in (write.changelog or {}).values()) <= LARGEST
    again, store = restored(*writes)
    assert store.sizes() == (1, sum(map(len, store.partitions[1].values.values())))
    assert set(store.partitions[1].values) == {key for write in writes for key in write.changelog or {}}
    write = take(again, *(identified_record(A, one) for one in (long[0], long[399])))
    assert (write.outputs, write.changelog) == ([], {})


def test_a_long_timeline_that_moves_leaves_nothing(timelines: Timelines) -> None:
    """The segments of a merged customer are deleted in the changelog, behind the value that says where the customer went."""
    long = [touch(f"t-{n:03d}", n, kind="delivered") for n in range(200)]
    first = take(timelines, *(identified_record(B, one) for one in long))
    left = take(timelines, command_record(merge_command(B, A, T0, "ids")))
    keys = list(left.changelog or {})
    assert keys[0] == B.encode() and set(keys[1:]) == set(first.changelog or {}) - {B.encode()}
    assert [value for value in (left.changelog or {}).values() if value is not None] == [encode(Timeline(A))]
    assert restored(first, left)[1].sizes() == (0, len(encode(Timeline(A))))
    assert sum(len(move.entries) for _, _, move in story(left)) == 200


def test_a_timeline_whose_directory_is_too_large_is_shortened(
    timelines: Timelines, caplog: pytest.LogCaptureFixture
) -> None:
    """Where opt-outs of absurd size make even the head too large for a record, the oldest touches go, and it is said; what was
    lost is too old from then on."""
    what: dict[str, Any] = {"direction": "inbound", "kind": "unsubscribed", "message": Message(subject="x" * 8000)}
    channels = ("email", "calls", "linkedin", "ads")
    long = [touch(f"t-{n:04d}", n, channel=channels[n % 4], **what) for n in range(1200)]
    write = take(timelines, *(identified_record(A, one) for one in long))
    head = (write.changelog or {})[A.encode()] or b""
    kept = restored(write)[0]._timeline(1, A).entries
    assert 100 < len(kept) < 1000 and len(head) <= LARGEST
    assert [entry.id for entry in kept] == [one.touch_id for one in long[-len(kept) :]]
    assert f"kept its newest {len(kept)} touches" in caplog.text
    assert [one[2][0] for one in story(take(timelines, identified_record(A, touch("t-early", 1))))] == ["too_old"]


def test_a_timeline_without_its_segment_ends_the_process(timelines: Timelines, monkeypatch: pytest.MonkeyPatch) -> None:
    """A touch that needs a segment which is missing must not be decided without it: the worker leaves, and names the customer."""
    long = [touch(f"t-{n:03d}", n, kind="delivered") for n in range(200)]
    write = take(timelines, *(identified_record(A, one) for one in long))
    (write.changelog or {}).pop(next(iter(write.changelog or {})))
    stage, _ = restored(write)
    assert take(stage, identified_record(A, touch("t-new", 300, kind="delivered"))).outputs == []

    def leave(reason: str, error: BaseException) -> None:
        raise SystemExit(f"{reason}: {error}")

    monkeypatch.setattr(doubt, "leave", leave)  # the real one ends this process
    with pytest.raises(
        SystemExit, match=r"timeline of c1-a in the changelog cannot be read: segment [0-9a-f]{16} .* missing"
    ):
        take(stage, identified_record(A, touch("t-old", 1)))


@pytest.mark.stack
@pytest.mark.timeout(200)
def test_a_restored_worker_goes_on_where_the_log_ends(settings: Settings) -> None:
    """Through real Kafka: a timeline that grows, is written into in the middle, and is restored elsewhere, is the same there, and its
    changelog has each segment before the head that names it, and a null for each that is no more."""
    stage, store = restored(on=settings)
    topic = settings.topic(IDENTIFIED)
    long = [touch(f"t-{n:03d}", n, kind="delivered") for n in range(200)]
    batches = [long[:150], long[150:], [touch("t-old", 20, kind="delivered")]]
    writes = [take(stage, *(replace(identified_record(A, one), topic=topic) for one in batch)) for batch in batches]

    async def through_kafka() -> Store:
        async with lane_of(settings) as (lane, _):
            for write in writes:
                await lane.submit(write)
            await lane.barrier()
        other = restored(on=settings)[1]
        await Restore(settings, other).run({1})
        return other

    other = asyncio.run(through_kafka())
    told = [(record.key, record.value) for record in asyncio.run(contents(settings, changelog(settings)))]
    assert told == [item for write in writes for item in (write.changelog or {}).items()]
    assert [value is None for _, value in told[-3:]] == [False, False, True]
    assert other.partitions[1].values == store.partitions[1].values
    assert other.sizes() == store.sizes()


def test_what_is_no_customers_key_is_no_timeline(timelines: Timelines) -> None:
    """Touches and commands whose customer is the policy's key or a segment's are dead letters; the worker does not take the value that is
    there for a timeline that it cannot read, which would end it, and begins none."""
    first = take(timelines, *(identified_record(A, touch(f"t-{n:03d}", n, kind="delivered")) for n in range(100)))
    segment = next(key for key in first.changelog or {} if b"#" in key).decode()
    timelines._store.write(1, {POLICY_KEY: published.encode(published.made("", "p.toml", "p.ito", T0, None))})
    commands = [
        Command("r-1", customer, kind, T0, "a letter", decided_at=1)
        for customer in (POLICY_KEY.decode(), segment)
        for kind in ("finding_acknowledged", "lead_accepted", "lead_tick", "customer_erased", "customer_merged", "touch_planned")
    ]  # fmt: skip
    touches = [identified_record(customer, touch("t-x")) for customer in (POLICY_KEY.decode(), segment, "")]
    write = take(timelines, *map(command_record, commands), *touches)
    assert {what[0] for topic, _, what in story(write) if topic == "touches.dead-letter"} == {"not_a_touch"}
    assert (len(write.outputs), write.changelog) == (len(commands) + len(touches), {})
