"""Topics on a real broker: created once, checked, with every difference named."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from streams.edge import topic_admin
from streams.edge.embedded.ports import free_port
from streams.edge.embedded.stack import EmbeddedStack
from streams.edge.topics import CONFLICTS, IDENTITIES, TopicSpec, catalogue
from streams.settings import Settings
from tests.support.stack import fresh_settings

pytestmark = pytest.mark.stack


def run_check(settings: Settings) -> list[str]:
    return asyncio.run(topic_admin.check(settings))


def test_creates_what_is_missing_once(stack: EmbeddedStack) -> None:
    """The first call creates every catalogued topic, the second none, and the check then finds no problem."""
    settings = fresh_settings(stack)
    assert asyncio.run(topic_admin.create_missing(settings)) == [spec.name for spec in catalogue(settings)]
    assert asyncio.run(topic_admin.create_missing(settings)) == []
    assert run_check(settings) == []
    asyncio.run(topic_admin.delete(settings))
    assert len(run_check(settings)) == len(catalogue(settings))


def test_two_at_once(stack: EmbeddedStack) -> None:
    """Two workers that create the topics at the same moment both succeed."""
    settings = fresh_settings(stack)

    async def both() -> None:
        await asyncio.gather(topic_admin.create_missing(settings), topic_admin.create_missing(settings))

    asyncio.run(both())
    assert run_check(settings) == []
    asyncio.run(topic_admin.delete(settings))


def test_missing_topic_is_named_with_the_remedy(stack: EmbeddedStack) -> None:
    """Without topics, the check lists each one as missing and names the command that creates it."""
    settings = fresh_settings(stack)
    problems = run_check(settings)
    assert [problem.split(":")[0] for problem in problems] == [spec.name for spec in catalogue(settings)]
    assert all("missing" in problem and "touchstream topics create" in problem for problem in problems)


def test_wrong_partition_count(settings: Settings) -> None:
    """Every topic with another number of partitions than configured is reported with both numbers."""
    problems = run_check(msgspec.structs.replace(settings, partitions=8))
    assert len(problems) == len(catalogue(settings))
    assert all("2 partitions, wanted 8" in problem and "TOUCHSTREAM_PARTITIONS=2" in problem for problem in problems)


def test_replication_and_min_insync(settings: Settings) -> None:
    """Wanting three copies of topics that have one reports the replication factor and min.insync.replicas."""
    problems = run_check(msgspec.structs.replace(settings, replication=3))
    name = settings.topic(CONFLICTS)
    mine = [problem for problem in problems if problem.startswith(f"{name}:")]
    assert "replication factor 1, wanted 3" in mine[0]
    assert "min.insync.replicas is 1, wanted 2" in mine[1]


def test_wrong_cleanup_policy_and_retention(stack: EmbeddedStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """A topic that keeps its data in another way than catalogued is reported, with the command that mends it."""
    settings = fresh_settings(stack)
    right = catalogue(settings)

    def swapped(_settings: Settings) -> tuple[TopicSpec, ...]:
        return tuple(
            TopicSpec(t.name, t.meaning, t.key, t.schema, t.written_by, t.read_by, {"retention.ms": "60000"})
            for t in right
        )

    with monkeypatch.context() as patch:
        patch.setattr(topic_admin, "catalogue", swapped)
        asyncio.run(topic_admin.create_missing(settings))
    problems = run_check(settings)
    asyncio.run(topic_admin.delete(settings))
    assert any(p.startswith(f"{settings.topic(CONFLICTS)}: retention.ms is 60000, wanted") for p in problems)
    log = [
        p for p in problems if p.startswith(f"{settings.topic(IDENTITIES)}: cleanup.policy is delete, wanted compact")
    ]
    assert len(log) == 1
    assert "--add-config cleanup.policy=compact" in log[0]


def test_impossible_replication_is_refused_with_the_brokers_reason(stack: EmbeddedStack) -> None:
    """Asking one broker for three copies fails with the topic's name and the broker's words."""
    settings = fresh_settings(stack, replication=3)
    with pytest.raises(topic_admin.TopicAdminError, match=r"topic t.*cannot be created: InvalidReplicationFactor"):
        asyncio.run(topic_admin.create_missing(settings))


def test_unreachable_broker() -> None:
    """Nobody at the address: the error names it and the option to change."""
    settings = Settings(bootstrap=f"127.0.0.1:{free_port()}")
    with pytest.raises(topic_admin.TopicAdminError, match=rf"{settings.bootstrap} \(PLAINTEXT\).*--bootstrap"):
        run_check(settings)
