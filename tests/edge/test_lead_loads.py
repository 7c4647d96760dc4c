"""Capacity of reps in the stages without Kafka: two partitions that see different customers, and a replay."""

from __future__ import annotations

from msgspec.structs import replace

from streams.core.leads import loads
from streams.core.policy import Policy, parse
from streams.edge.lane import Write
from streams.edge.loads import AGAIN_MS, Teller
from streams.edge.stages import Timelines
from streams.edge.stages.timelines import LOADS
from streams.edge.store import Store
from tests.core.leads.world import TEAM
from tests.edge.test_lead_stages import ASKED, MINUTE, accept, events, made, told, touch
from tests.edge.test_requests import letters
from tests.edge.test_stages import CODEC, SETTINGS, Record

CAPPED = parse(TEAM.replace('id = "ana"', 'id = "ana"\ncapacity = 2').replace('id = "bo"', 'id = "bo"\ncapacity = 1'))
LAST = CAPPED.teams[0].reps[2].id


def asks(n: int) -> Record:
    """Customer n asks for contact."""
    one = CODEC.decode_identified(touch(f"ask-{n}", "lead_form", ASKED + n).value or b"")
    who = f"c2-{n:024d}"
    value = CODEC.encode_identified(replace(one, customer_id=who))
    return Record("x.touches.identified", value, key=who.encode(), timestamp=ASKED + n)


def owners(write: Write) -> list[str | None]:
    """Who got the leads."""
    return [event.owner for event in events(write) if event.kind in ("handed_off", "reassigned")]


def hear(stage: Timelines, store: Store, teller: Teller, now: int) -> None:
    """What partition 0 tells is read by partition 1."""
    sent = [out for out in teller.due([0], now).outputs if out.partition == 1]
    stage.decide(1, [Record("x.touches.identified", out.value or b"", key=out.key, timestamp=now) for out in sent])


def test_nobody_gets_more_than_they_can_take() -> None:
    """Of twenty leads in one partition ana gets two and bo one, the rest the rep without a limit; who gives one back gets another."""
    stage, _ = made(CAPPED)
    got = owners(stage.decide(0, [asks(n) for n in range(20)]))
    assert {rep: got.count(rep) for rep in set(got)} == {"ana": 2, "bo": 1, LAST: 17}
    mine = f"c2-{got.index('ana'):024d}"
    back = accept(ASKED + MINUTE, kind="lead_recycled", reason="no_need", customer_id=mine)
    stage.decide(0, [told(back)])
    assert owners(stage.decide(0, [asks(n) for n in range(20, 40)])).count("ana") == 1


def test_what_another_partition_has_counts() -> None:
    """Partition 0 fills ana and bo and tells so; from there on partition 1 gives them nothing. Told once, and again after minutes."""
    stage, store = made(CAPPED)
    stage.decide(0, [asks(n) for n in range(20)])
    teller = Teller(SETTINGS, CODEC, store)
    hear(stage, store, teller, ASKED + 1)
    assert set(owners(stage.decide(1, [asks(n) for n in range(20, 40)]))) == {LAST}
    assert teller.due([0], ASKED + 2).outputs == []
    again = teller.due([0], ASKED + 1 + AGAIN_MS).outputs
    assert {out.partition for out in again} == set(range(SETTINGS.partitions)) - {0}


def test_a_replay_decides_the_same() -> None:
    """In batches of any size, from the beginning or from the state in the middle: the same reps get the same leads."""
    records = [asks(n) for n in range(20)]
    stage, store = made(CAPPED)
    whole = stage.decide(0, records)
    other, held = made(CAPPED)
    one_by_one = [owner for record in records for owner in owners(other.decide(0, [record]))]
    assert one_by_one == owners(whole)
    assert held.partitions[0].values == store.partitions[0].values
    assert owners(other.decide(0, records)) == []


def test_leads_from_before_are_counted_when_the_first_capacity_comes() -> None:
    """A policy without capacity counts nothing; once there is one, leads that reps have already count, and no more when it goes."""
    stage, store = made(parse(TEAM))
    stage.decide(0, [asks(n) for n in range(20)])
    assert store.read(0, LOADS) is None

    def by(policy: Policy) -> Timelines:
        return Timelines(SETTINGS, policy, CODEC, stage._metrics, store)

    assert set(owners(by(CAPPED).decide(0, [asks(n) for n in range(20, 40)]))) == {LAST}
    kept = loads.decode(store.read(0, LOADS) or b"")
    assert sum(kept.own.values()) == 40
    by(parse(TEAM)).decide(0, [asks(40)])
    assert store.read(0, LOADS) is None


def test_loads_that_cannot_be_read_are_a_dead_letter() -> None:
    """Only workers write them; a command without counts is a dead letter, and changes nothing."""
    stage, store = made(CAPPED)
    stage.decide(0, [asks(0)])
    before = store.read(0, LOADS)
    bad = replace(loads.telling(1, loads.Loads(), ASKED), entries=(b"?",))
    (letter,) = letters(stage.decide(0, [told(bad)]))
    assert letter.reason == "undecodable" and store.read(0, LOADS) == before
