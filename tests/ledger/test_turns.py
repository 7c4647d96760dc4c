"""Several `touchstream ledger` of one installation: one works, the others stand by; one that stood still writes nothing any more."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest
from aiokafka import TopicPartition
from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata

from streams import Client
from streams.edge.ledger_turn import OneForAll
from streams.settings import Settings
from tests.ledger import made_up
from tests.ledger.processes import Process, doubled, figures, published, wanted
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]


def test_the_one_that_waited_longest_gets_all() -> None:
    """Of three members, whatever their ids, the one that is there longest has every partition of every topic, the others none."""
    cluster = ClusterMetadata()
    cluster._partitions = {"a": {0: None, 1: None}, "b": {0: None}}
    said = {"m1": 30, "m3": 10, "m2": 20}
    members = {
        id_: ConsumerProtocolMemberMetadata(0, ["a", "b"], since.to_bytes(8, "big")) for id_, since in said.items()
    }
    given = {
        id_: [TopicPartition(topic, number) for topic, numbers in one.assignment for number in numbers]
        for id_, one in OneForAll.assign(cluster, members).items()
    }
    assert given == {"m1": [], "m2": [], "m3": [TopicPartition("a", 0), TopicPartition("a", 1), TopicPartition("b", 0)]}


def test_two_processes_are_one_ledger(make_settings: Callable[..., Settings]) -> None:
    """While one process works, a second one stands by. One that stands still is replaced, writes nothing when it goes on, and ends
    saying why; one that is killed is replaced by the next. Figures are right afterwards, and none stands twice under one revision."""
    settings = make_settings(session_timeout=6.0)
    deals = [one | {"customer": {"email": one["customer"]["email"]}} for one in made_up.deals(3, 300)]
    costs = list(made_up.costs())

    def right() -> bool:
        return figures(published(settings)) == wanted(settings)

    with Client.sync(settings=settings) as client:
        for one in deals[:10]:
            client.deal(one)
        first = Process(settings)
        wait_until(lambda: first.says("figures changed") and right(), 90, "the first one to reckon")
        second = Process(settings)
        wait_until(lambda: second.says("standing by"), 60, "the second one to stand by")
        for one in costs:
            client.cost(one)
        wait_until(right, 60, "the first one to go on while another one waits")
        assert not second.says("recalled")

        first.child.send_signal(signal.SIGSTOP)
        for one in deals[10:20]:
            client.deal(one)
        wait_until(lambda: second.says("figures changed") and right(), 90, "the second one to take over")
        first.child.send_signal(signal.SIGCONT)
        for one in deals[20:]:
            client.deal(one)
        assert first.ended() == 1, "".join(first.log)
        third = Process(settings)
        survivors = [one for one in (second, third) if one.child.poll() is None]
        wait_until(right, 90, "whoever works to have all deals")
        assert first.says("has taken over"), "".join(first.log)
        for one in survivors:
            assert one.end(signal.SIGKILL) in (-signal.SIGKILL, 1)
        client.deal(deals[0] | {"version": 2, "stage": "open", "closed_at": None})
        last = Process(settings)
        wait_until(lambda: last.says("figures changed") and right(), 90, "the next one after a kill")
        assert last.end() == 0, "".join(last.log)
    first.end()
    assert doubled(settings) == []
