"""Leads in the stages without Kafka: what sales says goes through, lead events come out, and the store knows what is due."""

from __future__ import annotations

import asyncio

import faust
import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from streams.core.commands import Command
from streams.core.leads import asked
from streams.core.leads.events import LeadEvent
from streams.core.moving import merge_command
from streams.core.policy import DAY_MS, Policy, parse
from streams.core.timeline import EMPTY, Timeline, decode, due_of, encode
from streams.edge.identity_index import IdentityIndex
from streams.edge.lane import Write
from streams.edge.metrics import Metrics
from streams.edge.stages import Timelines
from streams.edge.store import AGAIN_MS, Store
from streams.edge.timers import Timers
from tests.core.leads.world import TEAM, at
from tests.edge.test_requests import letters, requests
from tests.edge.test_stages import CODEC, SETTINGS, Record
from tests.support.samples import IDENTIFIED

LEADS = parse(TEAM)
WHO = "c2-" + "1" * 24
ASKED = at("2026-03-03T08:00")
MINUTE = 60_000


def touch(id_: str, kind: str, when: int, department: str = "marketing") -> Record:
    """A touch of the customer in touches.identified."""
    direction = "inbound" if kind == "lead_form" else "outbound"
    actor = replace(IDENTIFIED.touch.actor, id="ana", kind="person") if IDENTIFIED.touch.actor else None
    made = replace(
        IDENTIFIED.touch, touch_id=id_, kind=kind, occurred_at=when, department=department, direction=direction,
        channel="ads" if kind == "lead_form" else "calls", message=None, actor=actor, version=1, deleted=False,
    )  # fmt: skip
    one = replace(IDENTIFIED, customer_id=WHO, touch=made, claims=(), published_at=when, identifier="", resolved_at=1)
    return Record("x.touches.identified", CODEC.encode_identified(one), key=WHO.encode(), timestamp=when)


def told(command: Command, topic: str = "x.touches.identified") -> Record:
    """A command as it comes from Kafka."""
    return Record(topic, CODEC.encode_command(command), key=WHO.encode(), timestamp=command.issued_at)


def made(policy: Policy = LEADS) -> tuple[Timelines, Store]:
    """The stage and its store."""
    app = faust.App("leads-test", store="touchstream://", autodiscover=False)
    store: Store = app.Table("timelines", key_type=bytes, value_type=bytes).data
    return Timelines(SETTINGS, policy, CODEC, Metrics(CollectorRegistry()), store), store


def events(write: Write) -> list[LeadEvent]:
    """What the write has for the topic of leads."""
    return [CODEC.decode_lead_event(out.value or b"") for out in write.outputs if out.topic == "x.leads"]


def run(stage: Timelines, *records: Record) -> Write:
    """A micro-batch of partition 1."""
    return stage.decide(1, records)


def accept(when: int, **changes: object) -> Command:
    """Ana takes the lead."""
    return replace(asked.lead_command("lead_accepted", WHO, "ana", when), **changes)


def test_a_hand_off_is_published_and_answered() -> None:
    """The request makes three events under the customer's key; the answer one, whose cause is the command; the call stops the clock."""
    stage, store = made()
    write = run(stage, touch("ask", "lead_form", ASKED))
    assert [(event.kind, event.owner) for event in events(write)][:2] == [("new", None), ("mql", None)]
    assert [event.kind for event in events(write)] == ["new", "mql", "handed_off"]
    assert {out.key for out in write.outputs if out.topic == "x.leads"} == {WHO.encode()}
    said = accept(ASKED + MINUTE)
    (event,) = events(run(stage, told(said)))
    assert (event.kind, event.cause) == ("accepted", asked.act_id(said.command_id))
    assert store.partitions[1].due[WHO.encode()] == due_of(store.read(1, WHO.encode()) or b"")
    (event,) = events(run(stage, touch("call", "answered", ASKED + 2 * MINUTE, "sales")))
    assert (event.kind, event.in_time, event.speed_ms) == ("working", True, 2 * MINUTE)
    assert store.partitions[1].due == {}


def test_a_replay_changes_nothing() -> None:
    """From the state before, the same records give the same bytes; from the state after, no event."""
    records = [touch("ask", "lead_form", ASKED), told(accept(ASKED + 1))]
    stage, store = made()
    first = run(stage, *records)
    assert events(run(stage, *records)) == []
    store.partitions.clear()
    again = run(stage, *records)
    assert again.outputs == first.outputs and again.changelog == first.changelog


def test_nothing_follows_without_teams() -> None:
    """By the policy as shipped nobody could get a lead: none is followed, and an answer is refused in plain words."""
    stage, store = made(Policy())
    write = run(stage, touch("ask", "lead_form", ASKED), told(accept(ASKED + 1)))
    assert events(write) == []
    (letter,) = letters(write)
    assert letter.reason == "unroutable" and "has no lead" in letter.detail
    assert decode(store.read(1, WHO.encode()) or b"").lead is None


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (accept(ASKED, requested_by=None), "needs requested_by"),
        (accept(ASKED, kind="lead_rejected"), "none was given"),
        (accept(ASKED, kind="lead_rejected", reason="lazy"), "'lazy' is none of them"),
        (accept(ASKED, nurture_with="webinars"), "lead_rejected and lead_recycled only"),
        (accept(ASKED, kind="lead_recycled", reason="no_need", nurture_with="x" * 501), "more than 500 bytes"),
        (accept(ASKED, kind="lead_recycled", reason="no_need", recycle_at=1), "recycle_at lies outside"),
        (accept(ASKED, kind="lead_recycled", reason="no_need", recycle_at=ASKED - DAY_MS), "recycle_at is past"),
        (
            accept(ASKED, kind="lead_deal"),
            "needs a deal_stage of open, qualification, proposal, negotiation, won, lost; none",
        ),
        (accept(ASKED, kind="lead_deal", deal_stage="wun"), "'wun' is none of them"),
        (accept(ASKED, kind="lead_deal", deal_stage="won", deal_id="d" * 201), "more than 200 characters"),
        (accept(ASKED, kind="lead_deal", deal_stage="won", deal_at=1), "deal_at lies outside"),
        (accept(ASKED, kind="lead_qualified", deal_id="d1"), "go with lead_deal only"),
        (accept(ASKED, requested_by="x" * 201), "requested_by takes more than 200 bytes"),
        (accept(ASKED, lead_id="x" * 201), "lead_id takes more than 200 bytes"),
        (accept(ASKED, kind="lead_tick"), "only for workers"),
    ],
)
def test_what_no_lead_can_take_is_refused_at_the_door(command: Command, words: str) -> None:
    """A command that is wrong whatever the lead's state, or that only workers may give, is a dead letter that says why."""
    (letter,) = letters(passed(command))
    assert letter.reason == "unroutable" and words in letter.detail


def passed(command: Command, timestamp: int | None = None) -> Write:
    """What the requests stage makes of it."""

    async def run() -> Write:
        index = IdentityIndex(SETTINGS, Metrics(CollectorRegistry()))
        record = told(command, "x.commands")
        record.timestamp = record.timestamp if timestamp is None else timestamp
        write = await requests(SETTINGS, index).run([record])
        await index.close()
        return write

    return asyncio.run(run())


def test_nothing_is_said_after_it_was_received() -> None:
    """A clock that is ahead counts as that of Kafka's record, and nobody from outside gives an identity index's time."""
    (out,) = passed(accept(ASKED + 10 * MINUTE, decided_at=7), ASKED).outputs
    command = CODEC.decode_command(out.value or b"")
    assert (command.issued_at, command.decided_at, out.key) == (ASKED, 0, WHO.encode())


def test_another_lead_is_not_meant() -> None:
    """An answer that names another lead than the customer's is refused, and changes nothing."""
    stage, store = made()
    run(stage, touch("ask", "lead_form", ASKED))
    before = store.read(1, WHO.encode())
    (letter,) = letters(run(stage, told(accept(ASKED + 1, lead_id="l-2"))))
    assert "is about the lead l-2, but customer" in letter.detail
    assert store.read(1, WHO.encode()) == before


def test_a_deal_moves_the_lead_and_is_no_dead_letter() -> None:
    """Qualified by ana, then won by what the ledger says, through both stages; what it says of nobody's lead is nothing to do, whereas ana
    hears that there is none."""
    stage, store = made()
    run(stage, touch("ask", "lead_form", ASKED))
    ended = accept(
        ASKED + MINUTE, kind="lead_deal", requested_by=asked.LEDGER, deal_id="d1", deal_stage="won", deal_at=ASKED + 9
    )
    records = []
    for command in (accept(ASKED + 1, kind="lead_qualified"), ended):
        (out,) = passed(command).outputs
        records.append(told(CODEC.decode_command(out.value or b"")))
    made_of = events(run(stage, *records))
    assert [(event.kind, event.state, event.deal) for event in made_of] == [
        ("qualified", "qualified", ""), ("won", "won", "d1"),
    ]  # fmt: skip
    assert store.partitions[1].due == {}
    stage, _ = made()
    write = run(stage, told(ended), told(replace(ended, command_id="c-2", requested_by="ana")))
    (letter,) = letters(write)
    assert events(write) == [] and "has no lead; lead_deal is about one" in letter.detail


def test_an_answer_follows_a_merged_customer() -> None:
    """What is said of an id that was merged goes to the customer it goes by now, and not in a circle."""
    stage, store = made()
    store.write(1, {WHO.encode(): encode(Timeline("c1-a", identity_at=9))})
    (out,) = run(stage, told(accept(ASKED))).outputs
    onward = CODEC.decode_command(out.value or b"")
    assert (out.topic, out.key, onward.customer_id, onward.decided_at) == (
        "x.touches.identified", b"c1-a", "c1-a", 9,
    )  # fmt: skip
    store.write(1, {b"c1-a": encode(Timeline(WHO, identity_at=8))})
    (letter,) = letters(run(stage, told(onward)))
    assert "has no lead" in letter.detail


def test_timers_fire_once() -> None:
    """What is due is told at the worker's time, each second until it is done at most once a minute; told twice, it follows once; and what
    is not due by the record's time does not follow."""
    stage, store = made()
    run(stage, touch("ask", "lead_form", ASKED))
    timers = Timers(SETTINGS, CODEC, store, lambda partition: stage.in_force(partition)[1])
    due = store.partitions[1].due[WHO.encode()]
    assert timers.due([1], due - 1).outputs == []
    assert timers.due([0, 2], due).outputs == []
    (out,) = timers.due([0, 1], due).outputs
    assert timers.due([1], due + AGAIN_MS - 1).outputs == []
    (again,) = timers.due([1], due + AGAIN_MS).outputs
    tick = CODEC.decode_command(out.value or b"")
    assert (out.timestamp, tick.kind, tick.issued_at) == (due, "lead_tick", due)
    assert events(run(stage, told(replace(tick, issued_at=due - 1)))) == []
    assert [event.kind for event in events(run(stage, told(tick), told(tick)))] == ["sla_near"]
    assert events(run(stage, told(CODEC.decode_command(again.value or b"")))) == []


def test_timers_are_rebuilt_from_the_changelog() -> None:
    """A store that is restored knows what is due, as the one that wrote the values did; a partition that goes takes its timers along."""
    stage, store = made()
    run(stage, touch("ask", "lead_form", ASKED))
    other = made()[1]
    for key, value in store.partitions[1].values.items():
        other.partitions[1].put(key, value)
    late = ASKED + 90 * 86_400_000
    assert other.due([1], late, 10) == store.due([1], late, 10) != []
    other.keep({0})
    assert other.due([1], late, 10) == []


def test_due_is_told_without_decoding() -> None:
    """Of a timeline without a lead, a segment, a policy and nothing at all nothing is due."""
    assert [due_of(value) for value in (encode(EMPTY), b"\x03x", b"{}", b"")] == [None] * 4


def test_alarms_do_not_pile_up() -> None:
    """Timers that are put off again and again leave no more alarms than a few thousand behind."""
    stage, store = made()
    run(stage, touch("ask", "lead_form", ASKED))
    held = store.partitions[1]
    timeline = decode(held.values[WHO.encode()])
    assert timeline.lead is not None
    for n in range(5_000):
        lead = replace(timeline.lead, timers=((ASKED + n, "sla_near"),))
        held.put(WHO.encode(), encode(replace(timeline, lead=lead)))
    assert len(held._alarms) < 2_000
    assert store.due([1], ASKED + 10_000, 10) == [(WHO.encode(), ASKED + 5_000)]


def test_the_metrics_count_what_is_told() -> None:
    """Of a hand-off that is warned of, breached and then called: the events by team, one breach and no hand-off in time, the speed to lead,
    and the time in each state that was left; of one that is given back, the reason."""
    stage, _ = made()
    run(stage, touch("ask", "lead_form", ASKED))
    run(stage, told(asked.tick_command(WHO, ASKED, ASKED + 270 * MINUTE)))
    run(stage, touch("call", "answered", ASKED + 300 * MINUTE, "sales"))
    run(stage, told(accept(ASKED + 301 * MINUTE, kind="lead_recycled", reason="no_budget")))
    value = stage._metrics.registry.get_sample_value
    assert value("touchstream_lead_events_total", {"kind": "sla_near", "team": "iberia"}) == 1
    assert value("touchstream_lead_sla_total", {"team": "iberia", "result": "breached"}) == 1
    assert value("touchstream_lead_sla_total", {"team": "iberia", "result": "met"}) is None
    assert value("touchstream_leads_returned_total", {"kind": "recycled", "reason": "no_budget"}) == 1
    assert value("touchstream_speed_to_lead_seconds_sum", {"team": "iberia"}) == 300 * 60
    assert value("touchstream_lead_time_in_state_seconds_count", {"state": "working"}) == 1


def test_an_answer_that_is_read_twice() -> None:
    """A rejection by which another rep gets the lead at once, read again: it changes nothing, and is no dead letter."""
    stage, _ = made()
    run(stage, touch("ask", "lead_form", ASKED))
    said = told(accept(ASKED + MINUTE, kind="lead_rejected", reason="wrong_territory"))
    assert next(event.kind for event in events(run(stage, said))) == "rejected"
    again = run(stage, said)
    assert events(again) == [] and letters(again) == []


def test_an_answer_after_a_merge_that_was_none() -> None:
    """The customer was taken for another one, and is not: what sales says of their lead reaches it, and not the other one's."""
    stage, store = made()
    run(stage, touch("ask", "lead_form", ASKED))
    other = "c1-" + "2" * 24
    timeline = decode(store.read(1, WHO.encode()) or b"")
    apart = replace(timeline, left={WHO: (other, ASKED)}, identity_at=ASKED + 1)
    store.write(1, {WHO.encode(): encode(apart)})
    write = run(stage, told(accept(ASKED + MINUTE)))
    assert [event.kind for event in events(write)] == ["accepted"]


def test_a_lead_that_moves_is_not_counted_again() -> None:
    """The customer is merged into another one: what is told of the lead under the new id was counted under the old one."""
    stage, _ = made()
    run(stage, touch("ask", "lead_form", ASKED))
    merge = run(stage, told(merge_command(WHO, "c1-" + "3" * 24, ASKED + MINUTE, "link", 5, [WHO])))
    (moved,) = [out for out in merge.outputs if out.topic == "x.touches.identified"]
    again = events(run(stage, told(CODEC.decode_command(moved.value or b""))))
    assert [event.kind for event in again] == ["new", "mql", "handed_off"]
    value = stage._metrics.registry.get_sample_value
    for kind, team in (("new", "unassigned"), ("mql", "unassigned"), ("handed_off", "iberia")):
        assert value("touchstream_lead_events_total", {"kind": kind, "team": team}) == 1


def test_nothing_is_said_in_years_to_come() -> None:
    """Said and received at the end of time, by a clock that is wrong, an answer counts as said now."""
    far = at("9999-12-31T23:00")
    (out,) = passed(accept(far), far).outputs
    assert ASKED < CODEC.decode_command(out.value or b"").issued_at < far
