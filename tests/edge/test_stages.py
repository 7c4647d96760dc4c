"""The two stages without Kafka: a micro-batch of records in, the whole ordered `Write` out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import faust
import msgspec
import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from streams.core import backtest
from streams.core.commands import Command
from streams.core.dead_letter import letter_key
from streams.core.entry import decode_entry
from streams.core.identify import nodes
from streams.core.identity_facts import Fact, Resolved, cause_of, resolve_alone
from streams.core.identity_facts import decode as fact_of
from streams.core.identity_graph import Graph
from streams.core.moving import merge_command
from streams.core.outcome import Finding
from streams.core.policy import Policy
from streams.core.timeline import Timeline, decode
from streams.core.touch import Customer, IdentifiedTouch, Message, Origin, Touch
from streams.core.touch_check import LATEST_MS
from streams.edge.codec import Codec
from streams.edge.lane import Out, Write
from streams.edge.metrics import Metrics
from streams.edge.stages import Ingest, Timelines
from streams.settings import Settings

SETTINGS, POLICY, CODEC = Settings(topic_prefix="x."), Policy(), Codec()
T0 = 1_772_409_600_000
MINUTE = 60_000
A, B, C = "c1-a", "c2-b", "c3-c"
KEY = (letter_key(b"key", SETTINGS.id_key) or b"").decode()


@dataclass
class Record:
    """What a consumed record has, as far as the stages look."""

    topic: str
    value: bytes | None
    offset: int = 0
    partition: int = 1
    key: bytes | None = b"key"
    timestamp: int = T0 + 5


@dataclass
class MemoryIndex:
    """The identity index in memory: links touches, reports what came to light."""

    graph: Graph = field(default_factory=Graph)
    known: dict[str, None] = field(default_factory=dict)
    log: list[Fact] = field(default_factory=list)

    async def resolve(self, touches: Sequence[tuple[str, ...]], cause: Callable[[int], bytes]) -> list[Resolved]:
        return [self._one(ids, cause(n)) for n, ids in enumerate(touches)]

    def _one(self, ids: tuple[str, ...], cause: bytes) -> Resolved:
        before = {self.graph.find(one) for one in ids if one in self.known}
        blocked = len(self.graph.blocked)
        winner = self.graph.link(ids, cause)
        facts = [Fact(winner, one, cause=cause) for one in ids if one not in self.known]
        facts += self.graph.blocked[blocked:]
        if len(self.graph.blocked) == blocked:
            facts += [Fact(root, winner, "told", cause) for root in sorted(before) if root != winner]
        self.known.update(dict.fromkeys(ids))
        return Resolved(winner, tuple(facts))

    async def logged(self, facts: Sequence[Fact]) -> None:
        self.log += facts

    async def overdue(self) -> list[Resolved]:
        return []


class AbsentIndex(MemoryIndex):
    """The index while Redis is away."""

    async def resolve(self, touches: Sequence[tuple[str, ...]], cause: Callable[[int], bytes]) -> list[Resolved]:
        return [resolve_alone(ids, cause(n)) for n, ids in enumerate(touches)]


def touch(touch_id: str, minute: int = 0, **changes: Any) -> Touch:
    """A mail of marketing."""
    values: dict[str, Any] = {
        "channel": "email",
        "department": "marketing",
        "direction": "outbound",
        "kind": "sent",
        "customer": Customer(email="dana@example.com"),
    }
    return Touch(touch_id=touch_id, occurred_at=T0 + minute * MINUTE, **{**values, **changes})


def call(touch_id: str, minute: int, **changes: Any) -> Touch:
    """A call of sales."""
    return touch(touch_id, minute, channel="calls", department="sales", kind="answered", **changes)


def ids_of(customer: Customer) -> tuple[str, ...]:
    """The ids of a customer's identifiers."""
    return nodes(customer, SETTINGS.id_key, SETTINGS.default_region)


def identified(customer_id: str, one: Touch) -> IdentifiedTouch:
    """The touch as the ingest stage sends it on."""
    return IdentifiedTouch(customer_id, one, (), T0 + 1)


def identified_record(customer_id: str, one: Touch) -> Record:
    """Its record."""
    return Record("x.touches.identified", CODEC.encode_identified(identified(customer_id, one)), 7)


def command_record(command: Command) -> Record:
    """A command's record."""
    return Record("x.touches.identified", CODEC.encode_command(command), 8)


def read(out: Out) -> tuple[str, str | None, Any]:
    """An output for people: topic without prefix, key, decoded value."""
    decoders: dict[str, Callable[[bytes], Any]] = {
        "touches.identified": lambda value: (
            CODEC.decode_command(value) if CODEC.is_command(value) else CODEC.decode_identified(value)
        ),
        "conflicts": CODEC.decode_finding,
        "handoffs": CODEC.decode_finding,
        "touches.dead-letter": lambda value: (
            CODEC.decode_dead_letter(value).reason,
            CODEC.decode_dead_letter(value).origin,
        ),
        "identities": lambda value: fact_of(b"a|b", value).cause,
    }
    topic = out.topic.removeprefix("x.")
    return topic, None if out.key is None else out.key.decode(), decoders[topic](out.value)


def story(write: Write) -> list[tuple[str, str | None, Any]]:
    """All outputs of a write, in order."""
    return [read(out) for out in write.outputs]


def changelog(write: Write) -> dict[str, Timeline]:
    """The timelines that a write makes last."""
    return {key.decode(): decode(value or b"") for key, value in (write.changelog or {}).items()}


@pytest.fixture
def metrics() -> Metrics:
    """Counters of their own."""
    return Metrics(CollectorRegistry())


@pytest.fixture
def timelines(metrics: Metrics) -> Timelines:
    """The stage with an empty store."""
    app = faust.App("stages-test", store="touchstream://", autodiscover=False)
    store = app.Table("timelines", key_type=bytes, value_type=bytes).data
    return Timelines(SETTINGS, POLICY, CODEC, metrics, store)


def take(stage: Timelines, *records: Record) -> Write:
    """One micro-batch of partition 1."""
    return asyncio.run(stage.run(1, records))


def ingest(index: MemoryIndex, metrics: Metrics, *records: Record) -> Write:
    """One micro-batch through the ingest stage, its write done."""
    stage = Ingest(SETTINGS, POLICY, CODEC, metrics, index)  # type: ignore[arg-type]

    async def run() -> Write:
        write = await stage.run(records)
        assert write.done is not None
        await write.done()
        return write

    return asyncio.run(run())


def counted(metrics: Metrics, **labels: str) -> float:
    """touchstream_touches_total of some labels."""
    return metrics.registry.get_sample_value("touchstream_touches_total", labels) or 0.0


def test_ingest_sends_good_on_and_bad_away(metrics: Metrics) -> None:
    """A micro-batch with a bad record in the middle: its dead letter with its address, the others under their customer's id with
    the producer's time, their address and the claims of their message, the customer's id in the identity log once."""
    said = touch("t-1", message=Message(text="The Pro plan is €49 per month."))
    index, customer = MemoryIndex(), ids_of(said.customer)[0]
    values = [CODEC.encode_touch(said), b"garbage", CODEC.encode_touch(touch("t-2"))]
    write = ingest(index, metrics, *(Record("x.touches.email", value, 40 + i) for i, value in enumerate(values)))
    (_, _, first), (_, _, second) = story(write)[1], story(write)[3]
    cause = cause_of(said, T0 + 5, Origin("x.touches.email", 1, 40))
    assert story(write) == [
        ("touches.dead-letter", KEY, ("undecodable", Origin("x.touches.email", 1, 41))),
        ("touches.identified", customer, IdentifiedTouch(customer, said, first.claims, T0 + 5, Origin("x.touches.email", 1, 40))),
        ("identities", f"{customer}|{customer}", cause),
        ("touches.identified", customer, IdentifiedTouch(customer, touch("t-2"), (), T0 + 5, Origin("x.touches.email", 1, 42))),
    ]  # fmt: skip
    assert [(claim.kind, claim.value) for claim in first.claims] == [("price", "49 EUR/month")] and second.claims == ()
    assert [out.timestamp for out in write.outputs if out.topic == "x.touches.identified"] == [T0 + 5, T0 + 5]
    assert (write.changelog, index.log) == (None, [Fact(customer, customer, cause=cause)])
    assert [counted(metrics, channel="email", outcome=outcome) for outcome in ("identified", "rejected")] == [2, 1]


def test_ingest_tells_a_merged_customer(metrics: Metrics) -> None:
    """Two customers turn out to be one: the touch that shows it goes to the stronger id; the log has the link; the other is told."""
    mail, phone = Customer(email="dana@example.com"), Customer(phone="+14155550100")
    both = Customer(email=mail.email, phone=phone.phone)
    winner, loser = ids_of(both)
    index = MemoryIndex()
    ingest(
        index,
        metrics,
        *(Record("x.touches.email", CODEC.encode_touch(touch(c.email or "p", customer=c))) for c in (mail, phone)),
    )
    write = ingest(index, metrics, Record("x.touches.email", CODEC.encode_touch(touch("t-3", customer=both)), 9))
    merge = merge_command(loser, winner, T0 + 5, "t-3")
    told = index.log[-1]
    assert (told.a, told.b, told.kind) == (loser, winner, "told")
    assert story(write)[0][:2] == ("touches.identified", winner)
    assert story(write)[1:] == [("touches.identified", loser, merge)]


def test_ingest_logs_what_was_told_once_it_is_safe(metrics: Metrics) -> None:
    """That a timeline was told of its merge is written to the log by the next mending, not beside the command: a rebuilt index takes
    the log's word for it."""
    fact = Fact("c2-b", "c1-a", "told", b"{}")
    stage = Ingest(SETTINGS, POLICY, CODEC, metrics, MemoryIndex())  # type: ignore[arg-type]

    async def run() -> tuple[Write, Write, Write]:
        before = await stage.mend()
        await stage.logged([fact, Fact("c1-a", "c1-a")])
        return before, await stage.mend(), await stage.mend()

    before, then, after = asyncio.run(run())
    assert (before.outputs, after.outputs) == ([], [])
    assert story(then) == [("identities", "told:c2-b|c1-a", b"{}")]


def test_ingest_reports_two_crm_records_of_one_address(metrics: Metrics) -> None:
    """A touch whose address belongs to another CRM record goes to its own; the contradiction is logged and told to people, in the
    same bytes by whoever reports it."""
    mail = "dana@example.com"
    one, two = Customer(crm_id="C-1", email=mail), Customer(crm_id="C-2", email=mail)
    (first, address), (second, _) = ids_of(one), ids_of(two)
    index = MemoryIndex()
    records = [
        Record("x.touches.email", CODEC.encode_touch(touch(f"t-{n}", customer=c)), n) for n, c in enumerate((one, two))
    ]
    write = ingest(index, metrics, *records)
    (finding,) = [value for topic, _, value in story(write) if topic == "conflicts"]
    assert (finding.rule, finding.state, finding.touch_ids) == ("identity_conflict", "detected", ("t-1",))
    assert finding.customer == min(first, second) and max(first, second) in finding.reason and address in finding.reason
    assert f"blocked:{second}|{address}" in [key for topic, key, _ in story(write) if topic == "identities"]
    assert [key for topic, key, value in story(write) if topic == "touches.identified"] == [first, second]
    found = backtest.run(
        [touch("t-0", customer=one), touch("t-1", customer=two)], POLICY, id_key=SETTINGS.id_key, region="US", now=T0
    )
    assert found.findings == [finding]


def test_ingest_without_the_index(metrics: Metrics) -> None:
    """While Redis is away a touch goes to its strongest identifier, and the log notes what else was seen, undecided."""
    both = Customer(email="dana@example.com", phone="+14155550100")
    winner, other = ids_of(both)
    write = ingest(AbsentIndex(), metrics, Record("x.touches.email", CODEC.encode_touch(touch("t-1", customer=both))))
    assert [one[:2] for one in story(write)] == [
        ("touches.identified", winner),
        ("identities", f"{winner}|{winner}"),
        ("identities", f"seen:{winner}|{other}"),
    ]


def findings_of(customer_id: str, *touches: Touch) -> list[Finding]:
    """What the core finds in these touches of one customer."""
    found = backtest.run(touches, POLICY, id_key=SETTINGS.id_key, region="US", now=T0).findings
    return [finding for finding in found if finding.customer == customer_id]


def test_a_conflict_and_its_timeline(timelines: Timelines, metrics: Metrics) -> None:
    """A mail and a call of one micro-batch make one finding and one changelog value with both touches; its latency is counted
    once it is published."""
    customer = ids_of(touch("t").customer)[0]
    mail, later = touch("t-1"), call("t-2", 30)
    bad = Record("x.touches.identified", b"bad", 6)
    write = take(timelines, identified_record(customer, mail), bad, identified_record(customer, later))
    (expected,) = findings_of(customer, mail, later)
    assert story(write) == [
        ("touches.dead-letter", KEY, ("undecodable", Origin("x.touches.identified", 1, 6))),
        ("conflicts", customer, expected),
    ]
    assert [entry.id for entry in changelog(write)[customer].entries] == ["t-1", "t-2"]
    name, labels = "touchstream_finding_latency_seconds_count", {"rule": "double_contact"}
    assert metrics.registry.get_sample_value(name, labels) is None
    assert write.published is not None
    write.published()
    assert metrics.registry.get_sample_value(name, labels) == 1


def test_a_merge_retracts_and_moves(timelines: Timelines) -> None:
    """A merged customer's findings are retracted, the touches leave in one command, the timeline points to the new id; there
    they are adopted and the finding stands under the new id. Repeating the merge changes nothing."""
    take(timelines, identified_record(B, touch("t-1")), identified_record(B, call("t-2", 30)))
    merge = merge_command(B, A, T0 + 9, "t-3")
    left = take(timelines, command_record(merge))
    (topic, key, retracted), (_, _, move) = story(left)
    assert (topic, key, retracted.state, retracted.customer) == ("conflicts", B, "retracted", B)
    assert retracted.touch_ids == ("t-1", "t-2")
    assert (move.kind, move.customer_id, move.source_customer_id, move.cause) == ("timeline_moved", A, B, "t-3")
    assert [decode_entry(entry).id for entry in move.entries] == ["t-1", "t-2"]
    assert left.outputs[1].key == A.encode()
    known = {retracted.finding_id: (2, retracted.event_time)}
    assert changelog(left) == {B: Timeline(merged_into=A, revisions=known)}

    adopted = take(timelines, command_record(move))
    ((topic, key, detected),) = story(adopted)
    assert (topic, key, detected.state, detected.touch_ids) == ("conflicts", A, "detected", ("t-1", "t-2"))
    assert [entry.id for entry in changelog(adopted)[A].entries] == ["t-1", "t-2"]

    again = take(timelines, command_record(merge), command_record(move))
    assert (again.outputs, again.changelog) == ([], {})


def test_what_reaches_a_merged_customer_is_sent_on(timelines: Timelines, metrics: Metrics) -> None:
    """A touch and a moved timeline for an id that was merged go on to the new id; nothing is kept, and the touch is counted where
    it ends."""
    take(timelines, command_record(merge_command(B, A, T0, "ids")))
    late = touch("t-9", 5)
    write = take(timelines, identified_record(B, late))
    assert story(write) == [("touches.identified", A, msgspec.structs.replace(identified(A, late), identifier=B))]
    assert (write.outputs[0].timestamp, write.changelog) == (T0 + 5, {})
    assert counted(metrics, channel="email", outcome="applied") == 0

    take(timelines, identified_record(C, touch("t-10")))
    ((_, _, move),) = story(take(timelines, command_record(merge_command(C, B, T0, "ids"))))
    ((topic, key, onward),) = story(take(timelines, command_record(move)))
    assert (topic, key, onward.kind, onward.customer_id, onward.entries) == (
        "touches.identified",
        A,
        "timeline_moved",
        A,
        move.entries,
    )


def test_the_later_of_two_merges_holds(timelines: Timelines) -> None:
    """An id that is told of two merges goes where the later decision sends it, in whichever order they come."""
    first, second = merge_command(C, B, T0, "one", decided_at=1), merge_command(C, A, T0, "other", decided_at=2)
    for commands in ((first, second), (second, first)):
        take(timelines, *map(command_record, commands))
        (topic, _, onward) = story(take(timelines, identified_record(C, touch("t-1"))))[0]
        assert (topic, onward.customer_id, onward.resolved_at) == ("touches.identified", A, 2)


def test_a_bad_command_stands_in_nobodys_way(timelines: Timelines) -> None:
    """An unknown command is a dead letter; the touch behind it is applied."""
    unknown = Command("id", A, "lunch_reserved", T0, "a newer release")
    write = take(timelines, command_record(unknown), identified_record(A, touch("t-1")))
    assert story(write) == [("touches.dead-letter", KEY, ("unroutable", Origin("x.touches.identified", 1, 8)))]
    assert changelog(write).keys() == {A}


def test_a_producer_whose_clock_is_years_ahead_is_not_believed(metrics: Metrics) -> None:
    """Kafka's time of a record is mostly its producer's: with both times in the year 9999 a touch is a dead letter, and with only Kafka's
    it counts as received now, so that nothing is later than it for years."""
    far = LATEST_MS - 1
    wrong = Record("x.touches.email", CODEC.encode_touch(replace(touch("t-1"), occurred_at=far)), 1, timestamp=far)
    sound = Record("x.touches.email", CODEC.encode_touch(touch("t-2")), 2, timestamp=far)
    write = ingest(MemoryIndex(), metrics, wrong, sound)
    dead, (_, _, taken), *_ = story(write)
    assert dead[2] == ("occurred_in_future", Origin("x.touches.email", 1, 1))
    assert taken.touch.touch_id == "t-2" and T0 < taken.published_at < far
