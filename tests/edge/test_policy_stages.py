"""A published policy in the stages, without Kafka: one command, a marker for each partition, a switch where the marker stands."""

from __future__ import annotations

import asyncio

import faust
import msgspec
import pytest
from prometheus_client import CollectorRegistry

from streams.core import published
from streams.core.commands import Command
from streams.core.policy import Policy
from streams.core.published import KEY, Published
from streams.edge import doubt
from streams.edge.identity_index import IdentityIndex
from streams.edge.lane import Write
from streams.edge.metrics import Metrics
from streams.edge.stages import Timelines
from streams.edge.store import Store
from tests.edge.test_requests import letters, requests
from tests.edge.test_stages import CODEC, POLICY, SETTINGS, T0, Record, call, identified_record, touch

LOW = published.made("[double_contact]\nseverity = 'low'\n", "low.toml", "p.ito", T0, None)
NONE = published.made("[double_contact]\nenabled = false\n", "none.toml", "p.ito", T0, LOW)


def command(told: Published, **changes: object) -> Command:
    """The command that asks for it."""
    asked = Command(
        told.publication_id,
        KEY,
        "policy_changed",
        told.published_at,
        told.fingerprint,
        entries=(published.encode(told),),
    )
    return msgspec.structs.replace(asked, **changes)


def marker(told: Published) -> Record:
    """Its marker among the touches."""
    return Record("x.touches.identified", CODEC.encode_command(command(told)), 9, key=KEY.encode())


def stage(store: Store | None = None) -> tuple[Timelines, Store]:
    """The timelines stage, on an empty store unless one is given."""
    app = faust.App("policy-stages-test", store="touchstream://", autodiscover=False)
    made: Store = app.Table("timelines", key_type=bytes, value_type=bytes).data if store is None else store
    return Timelines(SETTINGS, POLICY, CODEC, Metrics(CollectorRegistry()), made), made


def take(timelines: Timelines, *records: Record, partition: int = 1) -> Write:
    """One micro-batch."""
    return asyncio.run(timelines.run(partition, records))


def contacts(customer: str) -> list[Record]:
    """Two contacts that are a double contact."""
    return [
        identified_record(customer, touch(f"{customer}-mail")),
        identified_record(customer, call(f"{customer}-call", 5)),
    ]


def severities(write: Write) -> list[str]:
    """Severity of each finding, in order."""
    return [CODEC.decode_finding(out.value or b"").severity for out in write.outputs if out.topic == "x.conflicts"]


def refused(asked: Command) -> str:
    """Why the requests stage does not take a command."""
    record = Record("x.commands", CODEC.encode_command(asked), key=KEY.encode())
    (letter,) = letters(run_requests(record))
    assert letter.reason == "unroutable"
    return letter.detail


def run_requests(record: Record) -> Write:
    """One command through the requests stage."""

    async def run() -> Write:
        index = IdentityIndex(SETTINGS, Metrics(CollectorRegistry()))
        write = await requests(SETTINGS, index).run([record])
        await index.close()
        return write

    return asyncio.run(run())


def test_one_command_becomes_a_marker_in_each_partition() -> None:
    """All partitions get the same marker; the record that says that it is in force comes when Kafka has them all. Again, it is the same."""
    record = Record("x.commands", CODEC.encode_command(command(LOW)), key=KEY.encode())
    write = run_requests(record)
    assert [out.partition for out in write.outputs] == list(range(SETTINGS.partitions))
    assert {(out.topic, out.key, out.value) for out in write.outputs} == {
        ("x.touches.identified", KEY.encode(), CODEC.encode_command(command(LOW)))
    }
    (said,) = write.last
    assert (said.topic, CODEC.decode_policy(said.value or b"")) == ("x.policies", LOW)
    again = run_requests(record)
    assert (again.outputs, again.last) == (write.outputs, write.last)


def test_a_policy_that_cannot_be_read_changes_nothing() -> None:
    """No publication, a mistake in its text, another release's reading of it: a dead letter that says so, and no marker."""
    broken = msgspec.structs.replace(LOW, text="[double_contact]\nseverity = 'loud'\n")
    assert "low.toml:2: double_contact.severity" in refused(command(LOW, entries=(published.encode(broken),)))
    assert "one publication" in refused(command(LOW, entries=()))
    assert "one publication" in refused(command(LOW, entries=(b"{}",)))
    other = msgspec.structs.replace(LOW, fingerprint="0" * 12)
    assert "release" in refused(command(LOW, entries=(published.encode(other),)))
    assert "customer_id '#policy'" in refused(command(LOW, customer_id="c2-a"))


def test_a_partition_switches_where_its_marker_stands() -> None:
    """In one micro-batch: before the marker the worker's own policy, behind it the published one; other partitions have not switched."""
    timelines, _ = stage()
    write = take(timelines, *contacts("c1-a"), marker(LOW), *contacts("c1-b"))
    assert severities(write) == ["high", "low"]
    assert list(write.changelog or {})[-1] == KEY.encode()
    assert severities(take(timelines, *contacts("c1-c"), partition=0)) == ["high"]
    assert severities(take(timelines, *contacts("c1-d"))) == ["low"]


def test_whoever_takes_the_partition_over_goes_on_with_its_policy() -> None:
    """The policy in force is with the timelines: another worker that has the changelog decides by it, without any topic."""
    timelines, store = stage()
    take(timelines, marker(LOW))
    assert store.sizes()[0] == 0
    other, _ = stage(store)
    assert other.in_force(1) == (LOW, published.policy_of(LOW))
    assert other.in_force(0) == (None, POLICY)
    assert severities(take(other, *contacts("c1-a"))) == ["low"]


def test_markers_that_come_again_say_nothing() -> None:
    """After a crash of the requests stage both markers come again, the older one behind the newer: the newer stays in force."""
    timelines, _ = stage()
    write = take(timelines, marker(LOW), marker(NONE), marker(LOW), *contacts("c1-a"), marker(NONE))
    assert severities(write) == []
    assert timelines.in_force(1)[0] == NONE
    again = take(timelines, marker(LOW), marker(NONE))
    assert (again.outputs, again.changelog) == ([], {})


def test_what_was_found_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """The switch itself publishes nothing; a correction afterwards is decided by the new policy, on both of its sides."""
    timelines, _ = stage()
    take(timelines, *contacts("c1-a"), *contacts("c1-b"))
    assert take(timelines, marker(LOW)).outputs == []
    gone = msgspec.structs.replace(call("c1-a-call", 5), version=2, deleted=True)
    write = take(timelines, identified_record("c1-a", gone))
    assert [CODEC.decode_finding(out.value or b"").state for out in write.outputs] == ["retracted"]


def test_a_marker_that_is_none_is_a_dead_letter() -> None:
    """Somebody wrote a marker that holds no publication: a dead letter, and the policy stays."""
    timelines, _ = stage()
    bad = Record("x.touches.identified", CODEC.encode_command(command(LOW, entries=(b"{",))), key=KEY.encode())
    (letter,) = letters(take(timelines, bad))
    assert letter.reason == "undecodable"
    assert timelines.in_force(1) == (None, POLICY)


def test_a_policy_of_another_release_ends_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that cannot read what is in force does not go on by something else."""

    class Left(Exception):
        pass

    def leave(why: str, error: BaseException | None = None) -> None:
        raise Left(why)

    monkeypatch.setattr(doubt, "leave", leave)
    timelines, _ = stage()
    later = msgspec.structs.replace(LOW, text="[from_the_future]\nx = 1\n")
    with pytest.raises(Left, match="needs another release"):
        take(timelines, marker(later))
    assert isinstance(POLICY, Policy)
