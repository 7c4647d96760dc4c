"""A crash between the acknowledgement of findings and that of the timelines: what is read again publishes the same."""

from __future__ import annotations

import random
from dataclasses import dataclass

import faust
from prometheus_client import CollectorRegistry

from streams.core import backtest, pipeline
from streams.core.commands import Command
from streams.core.entry import encode_entry, entry_of
from streams.core.outcome import Finding
from streams.core.policy import Policy
from streams.edge.codec import Codec
from streams.edge.metrics import Metrics
from streams.edge.stages import Timelines
from streams.settings import Settings
from tests.core.segmented import length
from tests.support import histories

CODEC = Codec()
SETTINGS = Settings()
CUSTOMER = "c1-a"


@dataclass(frozen=True)
class Record:
    """One record of touches.identified."""

    offset: int
    value: bytes
    topic: str = "touches.identified"
    partition: int = 0
    key: bytes = CUSTOMER.encode()
    timestamp: int = histories.START


def records(seed: int) -> list[Record]:
    """Touches of one customer in any order and, somewhere between them, a timeline that moves to it, as the topic holds them."""
    rng = random.Random(seed)
    touches = [pipeline.identify(t, CUSTOMER, t.occurred_at) for t in histories.touches(seed, 1, 14, days=3)]
    moved = tuple(encode_entry(entry_of(touch)) for touch in touches[9:])
    command = Command(
        "m", CUSTOMER, "timeline_moved", histories.START, "link", source_customer_id="c2-b", entries=moved
    )
    values = [CODEC.encode_identified(touch) for touch in touches[:9]]
    values.insert(rng.randrange(10), CODEC.encode_command(command))
    return [Record(offset, value) for offset, value in enumerate(values)]


def run(stream: list[Record], size: int) -> list[Finding]:
    """Findings that a new worker publishes, in order, when it takes the stream in micro-batches of a size."""
    app = faust.App("replay-test", store="touchstream://", autodiscover=False)
    store = app.Table("timelines", key_type=bytes, value_type=bytes).data
    stage = Timelines(SETTINGS, Policy(), CODEC, Metrics(CollectorRegistry()), store)
    writes = [stage.decide(0, stream[start : start + size]) for start in range(0, len(stream), size)]
    outputs = [out for write in writes for out in write.outputs if out.topic in ("conflicts", "handoffs")]
    return [CODEC.decode_finding(out.value) for out in outputs]


def test_a_replay_publishes_what_was_published() -> None:
    """Whatever part was published before the crash, and however the micro-batches fall the second time, every (finding,
    revision) has one content, and consumers end with what an undisturbed run gives them."""
    published = 0
    for seed in range(150):
        rng = random.Random(seed)
        stream = records(seed)
        with length(rng.choice((1, 32))):  # with segments, or in one piece
            whole = run(stream, len(stream))
            before = run(stream[: rng.randint(1, len(stream))], rng.randint(1, 5))
            again = run(stream, rng.randint(1, 5))
        contents: dict[tuple[str, int], Finding] = {}
        for finding in (*before, *again):
            assert contents.setdefault((finding.finding_id, finding.revision), finding) == finding
        known: dict[str, Finding] = {}
        undisturbed: dict[str, Finding] = {}
        backtest.fold(known, [*before, *again])
        backtest.fold(undisturbed, whole)
        assert known == undisturbed
        published += len(before)
    assert published > 100
