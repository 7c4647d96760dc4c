"""A plan on its way: a command from outside, its customer by the identity index, the timeline's findings."""

from __future__ import annotations

import asyncio
from typing import Any

from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from streams.core import plans
from streams.core.commands import Command
from streams.core.entry import DELETED, Entry, decode_entry, encode_entry
from streams.core.identify import nodes
from streams.core.leads.asked import TICK
from streams.core.outcome import Finding
from streams.core.plans import PLANNED
from streams.core.timeline import Timeline, encode
from streams.core.touch import Customer, Message, Touch
from streams.edge.lane import Write
from streams.edge.metrics import Metrics
from streams.edge.reservations import Reservations
from streams.edge.stages import Ingest, Requests
from streams.edge.timers import Timers
from tests.edge.test_policy_stages import LOW, NONE, marker, stage, take
from tests.edge.test_stages import (
    CODEC,
    MINUTE,
    POLICY,
    SETTINGS,
    T0,
    A,
    AbsentIndex,
    B,
    C,
    MemoryIndex,
    Record,
    call,
    changelog,
    command_record,
    story,
    touch,
)  # fmt: skip
from tests.edge.test_stages import (
    identified as of_customer,
)

LATER = 60 * 24 * 3
DANA = Customer(email="dana@example.com", crm_id="D-7")


def asked(one: Touch | None, at: int = T0, **values: Any) -> Record:
    """A plan as a tool writes it."""
    command = Command("p-1", "c9-whatever", PLANNED, at, "a tool", touch=one, **values)
    return Record("x.commands", CODEC.encode_command(command), timestamp=at)


def requests(index: MemoryIndex, *records: Record) -> Write:
    """One micro-batch through the stage, its write done."""
    metrics = Metrics(CollectorRegistry())
    ingest = Ingest(SETTINGS, POLICY, CODEC, metrics, index)  # type: ignore[arg-type]
    stage = Requests(SETTINGS, POLICY, CODEC, metrics, index, ingest, Reservations(SETTINGS))  # type: ignore[arg-type]

    async def run() -> Write:
        write = await stage.run(records)
        if write.done is not None:
            await write.done()
        return write

    return asyncio.run(run())


def told(write: Write) -> list[Command]:
    """The commands for timelines."""
    return [what for topic, _, what in story(write) if topic == "touches.identified"]


def test_a_plan_goes_to_its_customer() -> None:
    """Under the customer's id, with what a timeline keeps of a touch and nothing else, and the moment of the look-up; what its identifiers
    have in common is noted in the identity log, as of a touch."""
    index = MemoryIndex()
    message = Message(subject="Spring offer", text="The Pro plan is €49 per month.")
    write = requests(index, asked(touch("m", LATER, customer=DANA, message=message)))
    (command,) = told(write)
    crm, mail = nodes(DANA, SETTINGS.id_key, SETTINGS.default_region)
    (entry,) = map(decode_entry, command.entries)
    assert (command.customer_id, command.kind, command.touch) == (crm, PLANNED, None)
    assert (entry.id, entry.at, entry.published_at, entry.label) == ("m", T0 + LATER * MINUTE, T0, "Spring offer")
    assert [claim.value for claim in entry.claims if claim.kind == "price"] == ["49 EUR/month"]
    assert {frozenset((fact.a, fact.b)) for fact in index.log} == {frozenset((crm,)), frozenset((crm, mail))}


def test_what_is_no_plan_is_a_dead_letter() -> None:
    """Without a touch, a reaction, nobody's, long past, no touch at all, or for the end of time; the rest of the micro-batch goes on."""
    soon = touch("m", LATER)
    wrong = [
        asked(None),
        asked(replace(soon, kind="replied", direction="inbound")),
        asked(replace(soon, customer=Customer(email="nobody"))),
        asked(soon, at=T0 + (LATER + 60 * 25) * MINUTE),
        asked(replace(soon, touch_id="")),
        asked(replace(soon, occurred_at=253_402_300_799_000)),
    ]
    write = requests(MemoryIndex(), *wrong[:3], asked(soon), *wrong[3:])
    reasons = [what[0] for topic, _, what in story(write) if topic == "touches.dead-letter"]
    assert reasons == ["unroutable", "not_a_touch", "no_identifier", "too_old", "not_a_touch", "occurred_in_future"]
    assert [decode_entry(one.entries[0]).id for one in told(write)] == ["m"]


def test_what_was_withdrawn_is_past_without_a_word() -> None:
    """A withdrawal is taken whenever it comes; it names no more than the plan."""
    gone = touch("m", LATER, deleted=True, message=Message(text="not kept"))
    (command,) = told(requests(MemoryIndex(), asked(gone, at=T0 + LATER * 2 * MINUTE)))
    entry = decode_entry(command.entries[0])
    assert (entry.kind, entry.label, entry.claims) == (DELETED, None, ())


def test_while_the_index_is_away_a_plan_is_decided_alone() -> None:
    """Redis is not waited for: the plan goes by its own strongest identifier, as touches do, and the timeline sends it on."""
    (command,) = told(requests(AbsentIndex(), asked(touch("m", LATER, customer=DANA))))
    assert (command.customer_id, command.decided_at) == (nodes(DANA, SETTINGS.id_key, SETTINGS.default_region)[0], 0)


def test_two_plans_collide_on_the_timeline() -> None:
    """The timeline stage publishes a finding for each, and the changelog has the plans."""
    write = requests(MemoryIndex(), asked(touch("m", LATER)), asked(call("c", LATER + 60)))
    records = [
        Record("x.touches.identified", out.value) for out in write.outputs if out.topic == "x.touches.identified"
    ]
    taken = take(stage()[0], *records)
    found = [what for topic, _, what in story(taken) if topic == "conflicts"]
    assert [(f.rule, f.touch_ids) for f in found if isinstance(f, Finding)] == [
        ("planned_conflict", ("m",)),
        ("planned_conflict", ("c",)),
    ]
    (timeline,) = changelog(taken).values()
    assert [plan.id for plan in timeline.plans] == ["m", "c"]


def identified(write: Write) -> list[Record]:
    """What the timeline stage is to read."""
    return [Record("x.touches.identified", out.value) for out in write.outputs if out.topic == "x.touches.identified"]


def test_a_published_policy_has_plans_judged_anew() -> None:
    """A partition goes by another policy: each customer with plans there is due, one a millisecond after the other, and no longer once
    their plans are judged by it; nobody is due where the policy is the one that judged, and a worker that starts knows the same."""
    people = [Customer(email=f"p{n}@example.com") for n in range(3)]
    plans = [asked(touch(f"m{n}", LATER, customer=who)) for n, who in enumerate(people)]
    timelines, store = stage()
    timers = Timers(SETTINGS, CODEC, store, lambda partition: timelines.in_force(partition)[1])
    take(timelines, *identified(requests(MemoryIndex(), *plans)))
    assert timers.due([0, 1], T0).outputs == []
    take(timelines, marker(LOW))
    assert len(timers.due([1], T0).outputs) == 1
    ticks = [*timers.due([1], T0).outputs, *timers.due([1], T0 + 2).outputs]
    assert len(ticks) == 2, "who was told is not told again at once"
    other, _ = stage(store)
    started = Timers(SETTINGS, CODEC, store, lambda partition: other.in_force(partition)[1])
    told_now = timers.due([1], T0 + 60_002).outputs
    assert [CODEC.decode_command(out.value or b"").kind for out in told_now] == [TICK] * 3
    take(timelines, *(Record("x.touches.identified", out.value) for out in told_now))
    assert started.due([1], T0 + 200_000).outputs == []
    take(timelines, marker(NONE))
    assert len(started.due([1], T0 + 300_000).outputs) == 1


def test_what_is_refused_does_not_swallow_the_rest() -> None:
    """Too many plans come from another id: those of an identifier that left since go on to where it went, beside the dead letter. And a
    correction that is too old for the timeline ends the plan of its touch, whose finding is withdrawn as the timeline has it."""
    one = Entry(T0 + LATER * MINUTE, "p", "email", "marketing", "outbound", "sent", T0, identifier=B)
    many = [encode_entry(replace(one, id=f"p-{n}")) for n in range(plans.MOST + 1)]
    gone = encode_entry(replace(one, id="elsewhere", identifier=C))
    command = Command("m", A, PLANNED, T0, "link", source_customer_id=B, entries=(*many, gone), decided_at=5)
    timelines, store = stage()
    store.write(1, {A.encode(): encode(Timeline(left={C: (C, 9)}))})
    dead, (_, key, onward) = story(take(timelines, command_record(command)))
    assert dead[2][0] == "unroutable" and key == C
    assert [decode_entry(data).id for data in onward.entries] == ["elsewhere"]

    mail, told_of = asked(touch("m", LATER)), asked(call("c", LATER + 60))
    write = requests(MemoryIndex(), mail, told_of)
    ((key, planned),) = changelog(take(timelines, *identified(write))).items()
    store.write(1, {key.encode(): encode(replace(planned, floor=(T0 + MINUTE, "z")))})
    old = replace(of_customer(key, touch("m", 0, version=2)), resolved_at=1)
    dead, *found = story(take(timelines, Record("x.touches.identified", CODEC.encode_identified(old))))
    assert dead[2][0] == "too_old"
    assert [(f.touch_ids, f.state) for _, _, f in found] == [(("m",), "retracted"), (("c",), "amended")]
