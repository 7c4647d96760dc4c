"""The changelog read into the store, on real Kafka: what must be there afterwards, and what must not be waited for."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import faust
import pytest
from aiokafka import AIOKafkaProducer
from faust.tables.recovery import Recovery as FaustsRecovery
from faust.tables.recovery import ServiceStopped
from faust.types import TP
from msgspec.structs import replace

from streams.core.timeline import Entry, Timeline, encode
from streams.edge import restore as restore_module
from streams.edge import topic_admin
from streams.edge.embedded.stack import EmbeddedStack
from streams.edge.kafka_auth import client_options
from streams.edge.restore import Restore
from streams.edge.store import Store
from streams.edge.topics import changelog
from streams.settings import Settings
from tests.support.lanes import ends
from tests.support.waiting import wait_until_async

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]

OWN, NEWER = (
    encode(Timeline(entries=(Entry(at, "t-1", "email", "sales", "outbound", "sent"),))) for at in (1, 1_700_000_000_000)
)
SECONDS = 180


@pytest.fixture
def store() -> Store:
    """An empty store outside a worker."""
    app = faust.App("restore-test", store="touchstream://", autodiscover=False)
    found: Store = app.Table("timelines", key_type=bytes, value_type=bytes).data
    return found


async def write(settings: Settings, partition: int, *records: tuple[bytes, bytes | None], **options: Any) -> None:
    """Records at the end of a partition of the changelog."""
    async with AIOKafkaProducer(acks="all", **client_options(settings), **options) as producer:
        for key, value in records:
            await producer.send_and_wait(changelog(settings), value, key=key, partition=partition)


def transactional(settings: Settings) -> AIOKafkaProducer:
    """A producer of another program, which uses transactions."""
    return AIOKafkaProducer(transactional_id=f"other-{settings.app_id}", **client_options(settings))


async def restored(settings: Settings, store: Store, partitions: Iterable[int] = (0, 1)) -> Restore:
    """A restore that must come to its end."""
    restore = Restore(settings, store)
    await asyncio.wait_for(restore.run(set(partitions)), SECONDS)
    return restore


async def told(caplog: pytest.LogCaptureFixture, words: str) -> None:
    """Waits until the log says it."""

    async def logged() -> bool:
        return words in caplog.text

    await wait_until_async(logged, SECONDS, words)


class Interrupted(Restore):
    """Ended from outside, as by a rebalance, after the first records."""

    def _take(self, partition: int, records: list[Any]) -> None:
        super()._take(partition, records)
        task = asyncio.current_task()
        assert task is not None
        task.cancel()


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """A test's story on an event loop of its own."""
    asyncio.run(story())


def test_last_word_of_each_key_is_restored(settings: Settings, store: Store) -> None:
    """The newest value of each key in each partition that was asked for, none that was deleted, and the count of what was read."""

    async def story() -> None:
        await write(settings, 0, (b"a", OWN), (b"b", OWN), (b"a", NEWER), (b"b", None), (b"c", None))
        await write(settings, 1, (b"a", OWN))
        restore = await restored(settings, store, [0])
        assert store.partitions[0].values == {b"a": NEWER}
        assert (restore.records, restore.size) == (5, 5 + 2 * len(OWN) + len(NEWER))
        assert 1 not in store.partitions
        await restored(settings, store)
        assert store.read(1, b"a") == OWN

    run(story)


def test_many_records_of_all_sizes_arrive(settings: Settings, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """More records than are taken at once, and one larger than a fetch, are all restored; their sizes are summed."""
    monkeypatch.setattr(restore_module, "CHUNK", 7)
    monkeypatch.setattr(restore_module, "PARTITION_BYTES", 4096)
    values = [(b"%d" % number, OWN + b"x" * (number * 37 % 300)) for number in range(500)]
    values.append((b"large", OWN + b"y" * 50_000))

    async def story() -> None:
        await asyncio.gather(write(settings, 0, *values[::2]), write(settings, 1, *values[1::2]))
        restore = await restored(settings, store)
        assert store.partitions[0].values == dict(values[::2])
        assert store.partitions[1].values == dict(values[1::2])
        assert restore.records == len(values)
        assert store.sizes() == (len(values), sum(len(value) for _, value in values))

    run(story)


def test_aborted_transaction_at_the_end_is_not_waited_for(settings: Settings, store: Store) -> None:
    """Aborted records at the changelog's end are neither restored nor waited for; Faust's recovery needs the offset before the end."""

    async def story() -> None:
        await write(settings, 0, (b"a", OWN))
        async with transactional(settings) as producer:
            await producer.begin_transaction()
            await producer.send_and_wait(changelog(settings), NEWER, key=b"a", partition=0)
            await producer.abort_transaction()
        await restored(settings, store, [0])
        assert store.partitions[0].values == {b"a": OWN}
        (end, _) = await ends(settings, changelog(settings))
        assert (store.partitions[0].offset, end) == (3, 3)  # the record, the aborted one, the marker

        app = faust.App("restore-test", store="memory://", autodiscover=False)
        recovery, tp = FaustsRecovery(app, app.tables), TP("log", 0)
        recovery.active_highwaters[tp], recovery.active_offsets[tp] = end - 1, 0  # 0: the last record that it is given
        assert recovery.need_recovery()

    run(story)


def test_fausts_recovery_ends_for_good_when_the_broker_is_slow() -> None:
    """Faust takes a question that was not answered in time for the end of the worker, and never recovers again."""

    async def story() -> None:
        app = faust.App("restore-test", store="memory://", autodiscover=False)
        recovery = FaustsRecovery(app, app.tables)
        with pytest.raises(ServiceStopped):  # its loop breaks on that
            await recovery._wait(asyncio.sleep(30), timeout=0.01)
        assert not recovery.should_stop

    run(story)


def test_records_behind_an_open_transaction_are_waited_for(
    settings: Settings, store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Our records behind another's open transaction are restored once it has ended; until then the log says what is waited for."""
    monkeypatch.setattr(restore_module, "TOLD_EVERY", 0.1)
    caplog.set_level(logging.INFO, "touchstream.recovery")

    async def story() -> None:
        async with transactional(settings) as producer:
            await producer.begin_transaction()
            await producer.send_and_wait(changelog(settings), OWN, key=b"theirs", partition=0)
            await write(settings, 0, (b"ours", NEWER))
            running = asyncio.create_task(restored(settings, store, [0]))
            await told(caplog, "open transaction")
            assert not running.done()
            await producer.abort_transaction()
            await running
        assert store.partitions[0].values == {b"ours": NEWER}
        assert "restoring: 0 records, 0 MB; 2 to go" in caplog.text

    run(story)


def test_goes_on_where_it_was(settings: Settings, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A restore that was ended by a rebalance is continued, and a partition that stayed is read from where it was: no record twice."""
    monkeypatch.setattr(restore_module, "CHUNK", 10)
    values = [(b"%d" % number, OWN) for number in range(300)]

    async def story() -> None:
        await write(settings, 0, *values)
        first = Interrupted(settings, store)
        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(first.run({0}))
        assert first.records == 10
        second = await restored(settings, store, [0])
        assert first.records + second.records == len(values)
        assert store.partitions[0].values == dict(values)

        await write(settings, 0, (b"1", NEWER), (b"2", None))
        third = await restored(settings, store, [0])
        assert third.records == 2
        assert (store.read(0, b"1"), store.read(0, b"2"), store.read(0, b"3")) == (NEWER, None, OWN)
        assert (await restored(settings, store, [0])).records == 0

    run(story)


def test_changelog_made_anew_is_read_from_its_beginning(
    settings: Settings, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """When the changelog ends before what was read of it, what it held before is forgotten, with a warning."""

    async def story() -> None:
        await write(settings, 0, (b"old", OWN), (b"a", OWN), (b"b", OWN))
        await restored(settings, store, [0])
        await topic_admin.delete(settings)
        await topic_admin.create_missing(settings)
        await write(settings, 0, (b"a", NEWER))
        assert store.partitions[0].offset == 3
        await restored(settings, store, [0])

    run(story)
    assert store.partitions[0].values == {b"a": NEWER}
    assert "was cut or made anew" in caplog.text


def test_broker_that_stands_still_is_waited_for(settings: Settings, store: Store, stack: EmbeddedStack) -> None:
    """While the broker does not answer, a restore neither ends nor fails; then it restores all."""

    async def story() -> None:
        await write(settings, 0, (b"a", OWN))
        stack.broker.pause()
        try:
            running = asyncio.create_task(restored(settings, store))
            assert not (await asyncio.wait({running}, timeout=1))[0]
        finally:
            stack.broker.resume()
        await running
        assert store.partitions[0].values == {b"a": OWN}

    run(story)


def test_broker_that_is_away_is_tried_again(
    settings: Settings, store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """When no broker can be reached, the log says so, and the restore begins once one is there."""
    monkeypatch.setattr(restore_module, "PAUSE", 0.1)
    host, port = settings.bootstrap.rsplit(":", 1)

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(host, int(port))
        await asyncio.gather(pour(reader, back), pour(there, writer))

    async def pour(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65_536):
            target.write(data)
        target.close()

    async def story() -> None:
        await write(settings, 0, (b"a", OWN))
        with socket.create_server(("127.0.0.1", 0)) as reserved:
            address = reserved.getsockname()
        away = replace(settings, bootstrap=f"{address[0]}:{address[1]}")
        running = asyncio.create_task(restored(away, store))
        await told(caplog, "cannot be read now, trying again: KafkaConnectionError")
        assert not running.done()
        async with await asyncio.start_server(forward, *address):
            await running
        assert store.partitions[0].values == {b"a": OWN}

    run(story)
