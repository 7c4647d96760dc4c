"""The lane against real Kafka: order, barrier, back-pressure, and leaving when a write is in doubt."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from streams.edge import doubt
from streams.edge.doubt import EXIT_CODE
from streams.edge.embedded.stack import EmbeddedStack
from streams.edge.lane import IN_FLIGHT, Lane, Out, Write, clock, partition_of
from streams.edge.topics import CONFLICTS, DEAD_LETTER, ERASURES, HANDOFFS, IDENTIFIED, IDENTITIES, changelog
from streams.settings import Settings
from tests.support import histories
from tests.support.committed import committed
from tests.support.lanes import contents, ends, lane_of
from tests.support.publishing import publish
from tests.support.topic_config import set_topic_config
from tests.support.waiting import SLOWER, wait_until, wait_until_async
from tests.support.worker import Worker, environment

pytestmark = [pytest.mark.stack, pytest.mark.timeout(200)]

CHILD = Path(__file__).parents[1] / "support" / "lane_child.py"


@given(st.binary(max_size=40), st.integers(1, 1000))
def test_partition_is_the_java_clients(key: bytes, partitions: int) -> None:
    """A key lies where aiokafka's (and Java's) default partitioner puts it, for any number of partitions."""
    everywhere = list(range(partitions))
    assert partition_of(key, partitions) == DefaultPartitioner()(key, everywhere, everywhere)


def test_outputs_are_acknowledged_before_the_changelog_is_sent(settings: Settings) -> None:
    """The changelog record of a write follows the acknowledgement of all its outputs, each in the partition of its key."""
    topics = [settings.topic(name) for name in (CONFLICTS, HANDOFFS, DEAD_LETTER)]

    async def run() -> list[tuple[str, str, int]]:
        async with lane_of(settings) as (lane, producer):
            outputs = [Out(topic, f"k{n}".encode(), b"v") for topic in topics for n in range(10)]
            await lane.submit(Write(outputs, 1, {b"k": b"state"}))
            await lane.barrier()
            return producer.log

    log = asyncio.run(run())
    sent = log.index(("sent", changelog(settings), 1))
    assert log[sent + 1 :] == [("acknowledged", changelog(settings), 1)]
    assert sorted(log[:sent]) == sorted(
        (what, t, p) for what in ("sent", "acknowledged") for t in topics for p in (0, 1)
    )
    for topic in topics:
        for record in asyncio.run(contents(settings, topic)):
            assert record.partition == partition_of(record.key, 2)


def test_a_write_after_the_end_is_given_up(settings: Settings) -> None:
    """Once the producer is closed for good, a task that writes all the same is cancelled; it does not look like a lost write."""
    topic = settings.topic(CONFLICTS)

    async def run() -> None:
        async with lane_of(settings) as (lane, producer):
            await lane.submit(Write([Out(topic, b"before", b"v")]))
            await lane.barrier()
            lane.end()
            await producer.stop()
            with pytest.raises(asyncio.CancelledError):
                await lane.submit(Write([Out(topic, b"after", b"v")], 1, {b"k": b"state"}))

    asyncio.run(run())
    assert [record.key for record in asyncio.run(contents(settings, topic))] == [b"before"]


def test_last_outputs_follow_the_first(settings: Settings) -> None:
    """What a write has for last is sent once the rest is acknowledged, before the changelog, and what is to say that all is there once the
    changelog is, too; a null value goes out as one."""
    first, last, after = (settings.topic(name) for name in (CONFLICTS, IDENTITIES, ERASURES))

    async def run() -> tuple[list[tuple[str, str, int]], list[bytes | None]]:
        async with lane_of(settings) as (lane, producer):
            write = Write([Out(first, b"k", b"v")], 1, {b"k": b"state"}, last=[Out(last, b"a|b", None)])
            write.after = [Out(after, b"k", b"v")]
            await lane.submit(write)
            await lane.barrier()
            return producer.log, [record.value for record in await contents(settings, last)]

    log, values = asyncio.run(run())
    assert [place[:2] for place in log] == [
        (what, topic) for topic in (first, last, changelog(settings), after) for what in ("sent", "acknowledged")
    ]
    assert values == [None]


def test_changelog_of_a_partition_keeps_its_order(settings: Settings) -> None:
    """A write's changelog waits for that of an earlier write of its partition, even when one without a changelog lies between."""
    log = changelog(settings)

    async def run() -> None:
        async with lane_of(settings) as (lane, producer):
            held = producer.held[settings.topic(CONFLICTS)] = asyncio.Event()
            await lane.submit(Write([Out(settings.topic(CONFLICTS), b"k", b"v")], 0, {b"k": b"first"}))
            await lane.submit(Write([Out(settings.topic(HANDOFFS), b"k", b"v")], 0, {}))
            await lane.submit(Write([Out(settings.topic(HANDOFFS), b"k", b"v")], 0, {b"k": b"second"}))
            await lane.submit(Write([Out(settings.topic(HANDOFFS), b"k", b"v")], 1, {b"k": b"other"}))
            await wait_until_async(
                lambda: _logged(producer.log, ("acknowledged", log, 1)), 30, "the other partition's write"
            )
            assert ("sent", log, 0) not in producer.log
            held.set()
            await lane.barrier()

    asyncio.run(run())
    records = asyncio.run(contents(settings, log))
    assert [(r.partition, r.value) for r in records] == [(0, b"first"), (0, b"second"), (1, b"other")]


async def _logged(log: list[tuple[str, str, int]], entry: tuple[str, str, int]) -> bool:
    return entry in log


def test_barrier_waits_for_the_writes_begun_before_it_and_no_longer(settings: Settings) -> None:
    """The barrier returns when the writes begun before it are done, also while new ones keep coming."""

    async def run() -> None:
        async with lane_of(settings) as (lane, producer):
            first = producer.held[settings.topic(CONFLICTS)] = asyncio.Event()
            later = producer.held[settings.topic(HANDOFFS)] = asyncio.Event()
            done: list[str] = []

            async def note() -> None:
                done.append("first")

            await lane.submit(Write([Out(settings.topic(CONFLICTS), b"k", b"v")], 0, {b"k": b"v"}, done=note))
            barrier = asyncio.ensure_future(lane.barrier())
            await asyncio.sleep(0)  # it has looked at what is under way
            await lane.submit(Write([Out(settings.topic(HANDOFFS), b"k", b"v")]))
            await wait_until_async(lambda: _sent(producer.log, 2), 30, "both writes to be sent")
            assert not barrier.done()
            first.set()
            await asyncio.wait_for(barrier, 90)
            assert done == ["first"]
            assert lane.under_way == 1
            later.set()

    asyncio.run(run())


async def _sent(log: list[tuple[str, str, int]], count: int) -> bool:
    return sum(entry[0] == "sent" for entry in log) >= count


def test_back_pressure(settings: Settings) -> None:
    """No more than IN_FLIGHT writes are under way; the next one begins when one of them is acknowledged."""

    async def run() -> None:
        async with lane_of(settings) as (lane, producer):
            held = producer.held[settings.topic(CONFLICTS)] = asyncio.Event()
            begun: list[int] = []

            async def many() -> None:
                for number in range(IN_FLIGHT + 3):
                    await lane.submit(Write([Out(settings.topic(CONFLICTS), b"k", str(number).encode())]))
                    begun.append(number)

            submitting = asyncio.ensure_future(many())
            await wait_until_async(lambda: _full(lane), 30, "the lane to be full")
            for _ in range(50):
                await asyncio.sleep(0.002)
            assert begun == list(range(IN_FLIGHT))
            assert lane.under_way == IN_FLIGHT
            held.set()
            await asyncio.wait_for(submitting, 90)

    asyncio.run(run())
    assert len(asyncio.run(contents(settings, settings.topic(CONFLICTS)))) == IN_FLIGHT + 3


async def _full(lane: Lane) -> bool:
    return lane.under_way == IN_FLIGHT


def test_more_than_a_record_batch_holds(settings: Settings) -> None:
    """Output and changelog larger than a record batch are split; every record arrives once, in order, with its timestamp."""
    values = {f"k{n}".encode(): bytes([n]) * 300_000 for n in range(8)}

    async def run() -> list[tuple[str, str, int]]:
        async with lane_of(settings) as (lane, producer):
            outputs = [Out(settings.topic(CONFLICTS), b"k", value, 1000 + n) for n, value in enumerate(values.values())]
            await lane.submit(Write(outputs, 1, values))
            await lane.barrier()
            return producer.log

    log = asyncio.run(run())
    assert sum(entry[:2] == ("sent", settings.topic(CONFLICTS)) for entry in log) >= 3
    assert sum(entry == ("sent", changelog(settings), 1) for entry in log) >= 3
    stored = asyncio.run(contents(settings, settings.topic(CONFLICTS)))
    assert [(r.timestamp, r.value) for r in stored] == [(1000 + n, value) for n, value in enumerate(values.values())]
    assert [(r.key, r.value) for r in asyncio.run(contents(settings, changelog(settings)))] == list(values.items())


def run_child(settings: Settings, scenario: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(CHILD), scenario, "60"]
    return subprocess.run(
        command, env=environment(settings), capture_output=True, text=True, timeout=120 * SLOWER, check=False
    )


@pytest.mark.parametrize(
    ("scenario", "reason"),
    [("missing", "a record could not be handed to Kafka"), ("too_large", "did not acknowledge a write")],
)
def test_failing_write_ends_the_process(settings: Settings, scenario: str, reason: str) -> None:
    """A write that Kafka refuses ends the process with 70 and the reason, before the barrier of a commit is passed."""
    ended = run_child(settings, scenario)
    assert ended.returncode == EXIT_CODE, ended.stderr
    assert "leaving without commit" in ended.stderr
    assert reason in ended.stderr
    assert "committed" not in ended.stdout


def test_no_commit_past_a_failed_changelog_record(settings: Settings) -> None:
    """A worker whose changelog record is refused leaves with 70 and commits no offset of the touches behind it."""
    with Worker(settings) as worker:
        asyncio.run(set_topic_config(settings, changelog(settings), {"max.message.bytes": "100"}))
        publish(settings, list(histories.touches(seed=1, customers=5, count=50)))
        assert worker.ended() == EXIT_CODE
    assert any("MessageSizeTooLarge" in line for line in worker.log), "".join(worker.log)
    offsets = asyncio.run(committed(settings))
    assert [
        offset for (topic, _), offset in offsets.items() if topic == settings.topic(IDENTIFIED) and offset > 0
    ] == []


def read_until(child: subprocess.Popen[bytes], least: int) -> int:
    """Read the endless child's commits until there is one of at least so many writes."""
    assert child.stdout is not None
    while line := child.stdout.readline():
        if (count := int(line.split()[1])) >= least:
            return count
    raise AssertionError("the child ended too early")


def test_stopped_broker_ends_the_process_and_loses_nothing(stack: EmbeddedStack, settings: Settings) -> None:
    """A broker that stands still for longer than a request may take ends the process with 70; all that was committed is stored."""
    with endless(settings, silence_limit=60) as child:
        read_until(child, 20)
        stack.broker.pause()
        try:
            rest, error = child.communicate(timeout=60 * SLOWER)
        finally:
            stack.broker.resume()
        assert child.returncode == EXIT_CODE, error
    last = max([20, *(int(line.split()[1]) for line in rest.splitlines())])
    for topic in (settings.topic(CONFLICTS), changelog(settings)):
        assert sum(asyncio.run(ends(settings, topic))) >= last


def test_long_time_without_writes_is_no_silence(settings: Settings) -> None:
    """A process that runs but has nothing to write, as in a long recovery, may write afterwards."""
    command = [sys.executable, str(CHILD), "late", "1"]
    ended = subprocess.run(
        command, env=environment(settings), capture_output=True, text=True, timeout=120 * SLOWER, check=False
    )
    assert (ended.returncode, ended.stdout) == (0, "committed 1\n"), ended.stderr
    assert len(asyncio.run(contents(settings, settings.topic(CONFLICTS)))) == 1


@contextmanager
def endless(settings: Settings, silence_limit: float) -> Iterator[subprocess.Popen[bytes]]:
    """A child that writes until it is ended."""
    command = [sys.executable, str(CHILD), "endless", str(silence_limit)]
    with subprocess.Popen(command, env=environment(settings), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        try:
            yield child
        finally:
            child.kill()


def test_process_that_stood_still_writes_no_more(settings: Settings) -> None:
    """A process stopped for longer than its silence limit leaves with 70 when it goes on, and writes nothing but what was already on its
    way to the socket: one request at most."""
    topics = [settings.topic(CONFLICTS), changelog(settings)]
    seen: list[list[list[int]]] = []

    def still() -> bool:
        """Whether all that was in the socket has been stored."""
        seen.append([asyncio.run(ends(settings, topic)) for topic in topics])
        return len(seen) > 10 and all(counts == seen[-1] for counts in seen[-10:])

    with endless(settings, silence_limit=1) as child:
        read_until(child, 20)
        child.send_signal(signal.SIGSTOP)
        stopped = time.monotonic()
        wait_until(lambda: still() and time.monotonic() > stopped + 2, 60, "the topics to stand still")
        child.send_signal(signal.SIGCONT)
        _, error = child.communicate(timeout=60 * SLOWER)
        assert child.returncode == EXIT_CODE
    assert b"stood still" in error
    written = [
        sum(asyncio.run(ends(settings, topic))) - sum(counts) for topic, counts in zip(topics, seen[-1], strict=True)
    ]
    assert written in ([0, 0], [1, 0], [0, 1])


def test_a_write_waits_until_the_group_has_confirmed_the_worker(settings: Settings) -> None:
    """While no heartbeat was taken within the silence limit nothing is sent; the next one that is taken lets it go."""

    async def run() -> list[int]:
        async with lane_of(settings) as (lane, _):
            lane.confirmed(time.clock_gettime(clock) - 61)
            await lane.submit(Write([Out(settings.topic(CONFLICTS), b"k", b"v")]))
            await asyncio.sleep(1)
            before = await ends(settings, settings.topic(CONFLICTS))
            lane.confirmed(time.clock_gettime(clock))
            await lane.barrier()
            return [sum(before), sum(await ends(settings, settings.topic(CONFLICTS)))]

    assert asyncio.run(run()) == [0, 1]


def test_an_expelled_worker_writes_no_more(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was under way when the group gave the worker up never reaches Kafka: the process ends, at the latest when it joins anew.
    With nothing under way it may join and write."""

    def leave(reason: str, error: BaseException | None = None) -> None:
        raise SystemError(reason)

    async def run() -> int:
        async with lane_of(settings) as (lane, _):
            lane.expelled()
            lane.joined()
            await lane.submit(Write([Out(settings.topic(CONFLICTS), b"k", b"v")]))
            await lane.barrier()
            lane.confirmed(time.clock_gettime(clock) - 61)
            await lane.submit(Write([Out(settings.topic(CONFLICTS), b"k", b"late")]))
            await asyncio.sleep(0.5)
            found = sum(await ends(settings, settings.topic(CONFLICTS)))
            with (
                monkeypatch.context() as patched,
                pytest.raises(SystemError, match="for dead while writes were under way"),
            ):
                patched.setattr(doubt, "leave", leave)  # the real one ends this process
                lane.expelled()
                lane.joined()
            lane._expelled = False
            lane.confirmed(time.clock_gettime(clock))  # lets the test's lane close
            return found

    assert asyncio.run(run()) == 1
