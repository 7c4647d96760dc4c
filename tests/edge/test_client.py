"""The SDK against a real broker: what it reports as sent is stored, and what it cannot send it says so."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from streams import Client
from streams.core.identify import contact_key
from streams.core.touch import Touch
from streams.core.touch_json import from_mapping
from streams.edge.client import PublishError, SendManyError, Sent, TouchError
from streams.edge.embedded.ports import free_port
from streams.edge.embedded.stack import EmbeddedStack
from streams.edge.reader import Stored, make_codec, read
from streams.edge.topics import TOUCH_TOPICS
from streams.settings import Settings
from tests.support.waiting import wait_until_async

pytestmark = pytest.mark.stack


def touch(number: int = 0, **changes: Any) -> dict[str, Any]:
    """A valid mail touch of one of ten contacts."""
    return {
        "touch_id": f"t{number}",
        "channel": "email",
        "department": "sales",
        "direction": "outbound",
        "kind": "sent",
        "occurred_at": "2026-03-02T09:12:00Z",
        "customer": {"email": f"dana{number % 10}@example.com"},
        **changes,
    }


async def stored(settings: Settings, *channels: str) -> list[Stored]:
    """Everything in the topics of these channels."""
    topics = [settings.topic(TOUCH_TOPICS[channel]) for channel in channels]
    return [record async for record in read(settings, topics, start="beginning", follow=False)]


async def alter_topic(settings: Settings, name: str, **config: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap)
    await admin.start()
    try:
        configs = {key.replace("_", "."): value for key, value in config.items()}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, settings.topic(name), configs)])
    finally:
        await admin.close()


def test_send_is_stored_where_it_says(settings: Settings) -> None:
    """A dict and a Touch end up in their channel's topic at the reported place, equal and keyed by their contact."""
    call = from_mapping(touch(1, channel="calls", kind="dialed", customer={"phone": "+49 30 1234567"}))

    async def run() -> tuple[list[Sent], list[Stored]]:
        async with Client(settings=settings) as client:
            sent = [await client.send(touch(0)), await client.send(call)]
        return sent, await stored(settings, "email", "calls")

    sent, records = asyncio.run(run())
    codec = make_codec(settings)
    found = {codec.decode_touch(record.value or b"").touch_id: record for record in records}
    assert [item.touch_id for item in sent] == ["t0", "t1"]
    for item, given in zip(sent, [from_mapping(touch(0)), call], strict=True):
        record = found[item.touch_id]
        assert (item.topic, item.partition, item.offset) == (record.topic, record.partition, record.offset)
        assert item.topic == settings.topic(TOUCH_TOPICS[given.channel])
        assert codec.decode_touch(record.value or b"") == given
        key = contact_key(given.customer, settings.id_key, settings.default_region)
        assert record.key == (key or "").encode()


def test_send_many_keeps_order_and_contacts_together(settings: Settings) -> None:
    """2,500 touches, more than are in flight at once, are all stored; each contact has one partition and its order."""
    touches = [touch(number) for number in range(2500)]

    async def run() -> tuple[list[Sent], list[Stored]]:
        async with Client(settings=settings) as client:
            return await client.send_many(iter(touches)), await stored(settings, "email")

    sent, records = asyncio.run(run())
    assert [item.touch_id for item in sent] == [item["touch_id"] for item in touches]
    assert {(item.partition, item.offset) for item in sent} == {(record.partition, record.offset) for record in records}
    by_contact: dict[int, list[Sent]] = {}
    for number, item in enumerate(sent):
        by_contact.setdefault(number % 10, []).append(item)
    for places in by_contact.values():
        assert len({item.partition for item in places}) == 1
        offsets = [item.offset for item in places]
        assert offsets == sorted(offsets)


def test_send_many_sends_nothing_when_one_is_wrong(settings: Settings) -> None:
    """One wrong touch among many is named by position, and the topic stays empty."""

    async def run() -> list[Stored]:
        async with Client(settings=settings) as client:
            with pytest.raises(TouchError, match=r"1 of 3 touches are wrong, none was sent: touch 2: kind: 'dialed'"):
                await client.send_many([touch(0), touch(1, kind="dialed"), touch(2)])
        return await stored(settings, "email")

    assert asyncio.run(run()) == []


@pytest.mark.parametrize(
    ("wrong", "message", "reason"),
    [
        (touch(channel="fax"), "channel: 'fax' is not one of", "not_a_touch"),
        (touch(customer={"email": "nobody"}), "no identifier is usable", "no_identifier"),
        (touch(customer={}), "needs at least one of", "no_identifier"),
        (5, "expected a Touch or a dict, got int", "not_a_touch"),
        (msgspec.structs.replace(from_mapping(touch()), occurred_at=5), "before the year 2000", "not_a_touch"),
    ],
)
def test_wrong_touch_is_refused_before_sending(settings: Settings, wrong: Any, message: str, reason: str) -> None:
    """A wrong touch is a TouchError with the dead letter's reason, and does not disturb its neighbours in `attempt`."""

    async def run() -> list[Any]:
        async with Client(settings=settings) as client:
            with pytest.raises(TouchError, match=message) as caught:
                await client.send(wrong)
            assert caught.value.reason == reason
            return await client.attempt([touch(0), wrong, touch(1)])

    first, second, third = asyncio.run(run())
    assert isinstance(first, Sent)
    assert isinstance(second, TouchError)
    assert isinstance(third, Sent)


def test_touch_larger_than_the_settings_allow(make_settings: Callable[..., Settings]) -> None:
    """A touch over max_message_bytes is refused with both sizes, since the worker would dead-letter it unread."""
    settings = make_settings(max_message_bytes=2048)
    with (
        pytest.raises(TouchError, match=r"takes \d{4} bytes, at most 2048 are accepted") as caught,
        Client.sync(settings=settings) as client,
    ):
        client.send(touch(message={"text": "x" * 4000}))
    assert caught.value.reason == "too_large"


def test_touch_larger_than_the_topic_allows(settings: Settings) -> None:
    """What the broker refuses for its size is a clear TouchError, and the touches around it pass."""
    noise = "".join(
        random.Random(4).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=20_000)
    )  # does not compress below 2 kB

    async def run() -> None:
        await alter_topic(settings, TOUCH_TOPICS["email"], max_message_bytes="2000")
        async with Client(settings=settings) as client:

            async def refused() -> TouchError | None:
                (result,) = await client.attempt([touch(message={"text": noise})])
                return result if isinstance(result, TouchError) else None

            # The broker takes up a changed setting a moment after it has acknowledged the change.
            error = await wait_until_async(refused, 30, "the large touch is refused")
            assert "bytes are more than topic" in str(error)
            assert error.reason == "too_large"
            await client.send(touch())
            large = [touch(number, message={"text": noise}) if number == 5 else touch(number) for number in range(10)]
            results = await client.attempt(large)
            assert [number for number, item in enumerate(results) if isinstance(item, TouchError)] == [5]
            assert all(isinstance(item, Sent) for number, item in enumerate(results) if number != 5)

    asyncio.run(run())


def test_unacknowledged_touches_are_an_error_in_bounded_time(stack: EmbeddedStack, settings: Settings) -> None:
    """When the broker stops answering, sends give up after the timeout and say which failed, and close does not hang."""

    async def run() -> None:
        async with Client(settings=settings, timeout=4.0) as client:
            await client.send(touch(0))
            stack.broker.pause()
            try:
                gone = rf"{settings.bootstrap} did not acknowledge within 4 s.*safe to send it again"
                with pytest.raises(PublishError, match=gone):
                    await client.send(touch(1))
                with pytest.raises(
                    SendManyError, match=r"^2 of 2 touches were not sent: touch 1: .*; touch 2: "
                ) as caught:
                    await client.send_many([touch(2), touch(3)])
                assert list(caught.value.failures) == [0, 1]
                assert caught.value.sent == []
            finally:
                stack.broker.resume()

    asyncio.run(asyncio.wait_for(run(), 180))


def test_send_many_error_tells_sent_from_failed() -> None:
    """The error of a batch keeps what was sent apart from what was not, and lists no more than five failures."""
    sent = Sent("touches.email", 0, 7, "t0")
    error = SendManyError([sent, *(PublishError("lost") for _ in range(7))])
    assert error.sent == [sent]
    assert list(error.failures) == [1, 2, 3, 4, 5, 6, 7]
    assert str(error).startswith("7 of 8 touches were not sent: touch 2: lost; ")
    assert str(error).endswith("touch 6: lost; and 2 more")


def test_missing_topic(settings: Settings) -> None:
    """Publishing where no topics are names the topic and the command that makes it."""
    elsewhere = msgspec.structs.replace(settings, topic_prefix="nowhere.")
    with (
        pytest.raises(PublishError, match=r"nowhere\.touches\.email.*touchstream topics create"),
        Client.sync(settings=elsewhere, timeout=4.0) as client,
    ):
        client.send(touch())


@contextlib.contextmanager
def silent_server() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_broker_that_is_not_there() -> None:
    """No broker at the address is an error that names it, sync and async."""
    address = f"127.0.0.1:{free_port()}"

    async def run() -> None:
        async with Client(bootstrap=address):
            pytest.fail("connected to nothing")

    with pytest.raises(PublishError, match=rf"cannot reach Kafka at {address}"):
        asyncio.run(run())
    with pytest.raises(PublishError, match=rf"cannot reach Kafka at {address}"), Client.sync(bootstrap=address):
        pytest.fail("connected to nothing")


def test_broker_that_does_not_answer() -> None:
    """A server that takes the connection and says nothing is given up after the timeout."""
    with (
        silent_server() as port,
        pytest.raises(PublishError, match="cannot reach Kafka"),
        Client.sync(bootstrap=f"127.0.0.1:{port}", timeout=1.0),
    ):
        pytest.fail("connected to silence")


def test_sync_client(settings: Settings) -> None:
    """The sync facade sends from a plain script, several times over, and is of no use outside `with`."""
    client = Client.sync(settings=settings)
    with pytest.raises(RuntimeError, match=r"use `with Client\.sync"):
        client.send(touch())
    with client:
        first = client.send(touch(0))
        rest = client.send_many(touch(number) for number in range(1, 5))
        failed = client.attempt([touch(6, kind="dialed")])
    assert [first.touch_id, *(item.touch_id for item in rest)] == ["t0", "t1", "t2", "t3", "t4"]
    assert isinstance(failed[0], TouchError)
    assert len(asyncio.run(stored(settings, "email"))) == 5


def test_sync_client_inside_a_running_loop(settings: Settings) -> None:
    """A notebook, which runs an event loop, can use the sync facade too."""

    async def cell() -> Sent:
        with Client.sync(settings=settings) as client:
            return client.send(touch())

    assert asyncio.run(cell()).touch_id == "t0"


def test_several_tasks_share_a_client(settings: Settings) -> None:
    """Sends from many tasks at once each get their own place."""

    async def run() -> list[Sent]:
        async with Client(settings=settings) as client:
            return await asyncio.gather(*(client.send(touch(number)) for number in range(100)))

    sent = asyncio.run(run())
    assert [item.touch_id for item in sent] == [f"t{number}" for number in range(100)]
    assert len({(item.partition, item.offset) for item in sent}) == 100


def test_settings_or_values() -> None:
    """Settings and single values at once are refused: one would win silently."""
    with pytest.raises(TypeError, match="not both"):
        Client(settings=Settings(), bootstrap="127.0.0.1:1")


def test_touch_is_typed() -> None:
    """What from_mapping gives is the vocabulary's Touch, so the SDK and the core speak of the same thing."""
    assert isinstance(from_mapping(touch()), Touch)
