"""Reservations of somebody who is erased: gone from Redis and from Kafka, whatever a gateway has under way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from aiokafka import AIOKafkaProducer
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from streams.core.commands import Command
from streams.core.erasure import Receipt
from streams.core.policy import Policy
from streams.core.reservation import Reservation
from streams.core.touch import Customer
from streams.edge.client import Client
from streams.edge.codec import Codec
from streams.edge.identity_index import IdentityIndex
from streams.edge.kafka_auth import client_options
from streams.edge.metrics import Metrics
from streams.edge.reservations import Reservations
from streams.edge.topics import ERASURES, RESERVATIONS
from streams.gateway.gate import Gate
from streams.gateway.memory import Memory
from streams.gateway.seeing import Eyes
from streams.settings import Settings
from tests.edge.test_requests import requests
from tests.edge.test_stages import T0, Record
from tests.gateway.running import Gateway, id_of, show
from tests.support.commands import stored

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]
CODEC = Codec()
DANA, LEE = "dana@example.com", "lee@example.com"


@pytest.fixture
def capped(make_settings: Callable[..., Settings]) -> Settings:
    """Three mails a week, and two people of a company, on a complete view of nobody."""
    policy = str(Path(__file__).with_name("capped.toml"))
    settings = make_settings(view_max_age=3600.0, policy_path=policy)
    show(settings)
    return settings


def ask(email: str) -> dict[str, Any]:
    """A marketing mail to somebody of Acme."""
    who = {"customer": {"email": email}, "standing": {"account": "acme.example"}}
    return {**who, "channel": "email", "department": "marketing"}


def reserve(gateway: Gateway, email: str) -> str:
    """The id of a new reservation."""
    told = gateway.call("POST", "/v1/reservations", ask(email))[1]
    return str(told["reservation"]["reservation_id"])


def held(settings: Settings) -> set[str]:
    """Ids of the reservations that Kafka has."""
    newest = {one.key: one.value for one in stored(settings, RESERVATIONS)}
    return {(key or b"").decode() for key, value in newest.items() if value is not None}


async def erase(settings: Settings, email: str) -> Receipt:
    """A worker carries out an erasure; the identity part of its receipt."""
    id_ = id_of(settings, Customer(email=email))
    command = CODEC.encode_command(Command("r-1", id_, "customer_erased", T0, "a letter"))
    index = IdentityIndex(settings, Metrics(CollectorRegistry()))
    write = await requests(settings, index).run([Record("x.commands", command, key=id_.encode())])
    await index.close()
    async with AIOKafkaProducer(**client_options(settings)) as producer:
        for out in write.last:
            await producer.send_and_wait(out.topic, out.value, out.key)
    (decided,), (receipt,) = (
        [CODEC.decode_receipt(out.value or b"") for out in outs if out.topic == settings.topic(ERASURES)]
        for outs in (write.outputs, write.after)
    )
    assert decided == replace(receipt, gone=False), "it says that they are gone once Kafka has the null values"
    return receipt


def test_nothing_is_held_for_them_any_more(capped: Settings) -> None:
    """Three reservations of theirs go at once, held or committed, also from their company's; somebody else's stays; the receipt counts
    them, and a gateway that builds its reservations anew does not find them."""
    with Gateway(capped) as gateway:
        mine = [reserve(gateway, DANA) for _ in range(3)]
        other = reserve(gateway, LEE)
        assert gateway.call("POST", f"/v1/reservations/{mine[0]}/commit")[0] == 200
        third = ask("kim@example.com")
        assert gateway.call("POST", "/v1/checks", third)[1]["allowed"] is False
        assert held(capped) == {*mine, other}
        assert asyncio.run(erase(capped, DANA)).reservations == 3
        assert held(capped) == {other}
        assert gateway.call("POST", "/v1/checks", third)[1]["allowed"] is True
        for flushed in (False, True):
            if flushed:
                with redis.Redis.from_url(capped.redis_url) as client:
                    client.flushdb()
                show(capped)
            assert [gateway.call("GET", f"/v1/reservations/{id_}")[0] for id_ in (*mine, other)] == [404] * 3 + [200]
            assert gateway.call("POST", f"/v1/reservations/{mine[1]}/commit")[0] == 404
        with redis.Redis.from_url(capped.redis_url) as client:
            dana = id_of(capped, Customer(email=DANA)).encode()
            values = [client.hgetall(key) for key in client.scan_iter("*:hold:on:*")]
            assert not [value for one in values for value in one.values() if dana in value]
        assert asyncio.run(erase(capped, "nobody@example.com")).reservations == 0


def test_a_gateway_that_has_something_under_way(capped: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The erasure comes between Redis and Kafka of a commit: what the gateway then writes it takes out again, and says that it knows no
    such reservation."""
    with Gateway(capped) as gateway:
        id_ = reserve(gateway, DANA)

    async def run() -> Reservation | None:
        async with Client(settings=capped) as client:
            memory = Memory(capped, client.codec, client.publisher)
            eyes = Eyes(capped, Policy(), memory)
            write = memory.write

            async def late(one: Reservation) -> None:
                await erase(capped, DANA)
                await write(one)

            monkeypatch.setattr(memory, "write", late)
            try:
                return await Gate(capped, Policy(), eyes, memory).settle(id_, "committed")
            finally:
                await eyes.close()

    assert asyncio.run(run()) is None
    assert held(capped) == set()


def test_a_gateway_that_builds_from_before(capped: Settings) -> None:
    """Somebody builds the reservations in Redis from what Kafka had before the erasure: those of the erased are left out."""
    with Gateway(capped) as gateway:
        mine, other = reserve(gateway, DANA), reserve(gateway, LEE)

    async def run() -> list[bool]:
        async with Client(settings=capped) as client:
            memory = Memory(capped, client.codec, client.publisher)
            eyes = Eyes(capped, Policy(), memory)
            before = [one async for one in memory.all()]

            async def all_before() -> Any:
                reservations = Reservations(capped)
                await reservations.erase([[id_of(capped, Customer(email=DANA))]])
                await reservations.close()
                for one in before:
                    yield one

            memory.all = all_before  # type: ignore[method-assign]
            client_ = redis.Redis.from_url(capped.redis_url)
            client_.delete(*client_.keys("*:hold:*"))
            client_.close()
            try:
                return [await eyes.holds.get(id_) is not None for id_ in (mine, other)]
            finally:
                await eyes.close()

    assert asyncio.run(run()) == [False, True]
