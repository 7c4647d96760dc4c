"""Which of several ledger processes works: one, the one that waited longest; the others stand by with nothing assigned.

The processes are one consumer group in which one member gets every partition of every topic. That alone would let a process that stood
still write on when the next one has begun: so all that it writes goes through a transactional producer (`streams.edge.ledger_writer`),
whose id the next one takes over.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

from streams.edge.kafka_auth import client_options
from streams.settings import Settings

AT_ONCE = 5000
"""Records at most that are read for one transaction."""

POLL_MS = 30 * 60_000
"""A start may read a long history between two polls; whether the process lives, its heartbeats say."""


def group_of(settings: Settings) -> str:
    """The consumer group, and the id of the transactions."""
    return f"{settings.app_id}-ledger"


class OneForAll(AbstractPartitionAssignor):  # type: ignore[misc]
    """Gives all partitions to the member that has been there longest, as each says by itself."""

    name = "touchstream-one"
    version = 0
    since = time.time_ns()

    @classmethod
    def assign(
        cls, cluster: ClusterMetadata, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """Everything to one."""
        first = min(members, key=lambda id_: (members[id_].user_data, id_))
        topics = sorted(set(members[first].subscription))
        everything = [(topic, sorted(cluster.partitions_for_topic(topic) or ())) for topic in topics]
        return {
            id_: ConsumerProtocolMemberAssignment(cls.version, everything if id_ == first else [], b"")
            for id_ in members
        }

    @classmethod
    def metadata(cls, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        """Says since when this process is there: the clocks of machines may differ, only the order must be one."""
        return ConsumerProtocolMemberMetadata(cls.version, list(topics), cls.since.to_bytes(8, "big"))

    @classmethod
    def on_assignment(cls, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Nothing to remember."""


class Turn(ConsumerRebalanceListener):  # type: ignore[misc]
    """Whether it is this process' turn. `moved` says that the group has divided anew since it was last looked at."""

    def __init__(self) -> None:
        self.mine = asyncio.Event()
        self.moved = False

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Called before each division, also when the same process keeps all."""

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Called after each division."""
        self.moved = True
        if list(assigned):
            self.mine.set()
        else:
            self.mine.clear()


async def joined(settings: Settings, topics: Iterable[str]) -> tuple[AIOKafkaConsumer, Turn]:
    """A consumer that is a member of the group; to be stopped by the caller. Raises KafkaError."""
    turn = Turn()
    consumer = AIOKafkaConsumer(
        group_id=group_of(settings),
        client_id="touchstream-ledger",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        isolation_level="read_committed",
        partition_assignment_strategy=(OneForAll,),
        session_timeout_ms=int(settings.session_timeout * 1000),
        heartbeat_interval_ms=int(settings.session_timeout * 1000 / 5),
        max_poll_interval_ms=POLL_MS,
        **client_options(settings),
    )
    await consumer.start()
    consumer.subscribe(list(topics), listener=turn)
    return consumer, turn
