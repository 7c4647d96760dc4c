"""Reservations: of those who race exactly the allowed number win, and what is held survives the loss of Redis."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import redis
from msgspec.structs import replace

from streams.core.touch import Customer
from streams.edge.client import Client
from streams.gateway.remote import GatewayError
from streams.settings import Settings
from tests.gateway.racing import race, race_of_processes
from tests.gateway.running import Gateway, id_of, show, touch
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]
CAPPED = str(Path(__file__).with_name("capped.toml"))


def ask(email: str, **more: Any) -> dict[str, Any]:
    """A marketing mail that is planned for now."""
    return {"customer": {"email": email}, "channel": "email", "department": "marketing", **more}


@pytest.fixture
def capped(make_settings: Callable[..., Settings]) -> Settings:
    """Three mails a week at most, on a complete view of nobody."""
    settings = make_settings(view_max_age=3600.0, policy_path=CAPPED)
    show(settings)
    return settings


def test_a_thousand_races_leave_the_allowed_number_and_a_flush_loses_none(capped: Settings) -> None:
    """1,000 at once for 50 customers, from four processes, at three gateways: three each are held. After a flush of Redis the next is still
    refused."""
    asks = [ask(f"p{n % 50}@example.com") for n in range(1000)]
    with Gateway(capped) as a, Gateway(capped) as b, Gateway(capped) as c:
        told = race_of_processes([a.url, b.url, c.url], asks, 4)
        assert len(told) == 1000
        held = [one["reservation"] for one in told if one["reservation"]]
        assert Counter(one["customer_id"] for one in held) == {
            id_of(capped, Customer(email=f"p{n}@example.com")): 3 for n in range(50)
        }
        with redis.Redis.from_url(capped.redis_url) as client:
            client.flushdb()
        show(capped)
        again = asyncio.run(race([a.url, b.url, c.url], asks[:50]))
        assert [one["reservation"] for one in again] == [None] * 50
        assert {one["check"]["violations"][0]["rule"] for one in again} == {"three-a-week"}
        kept = a.call("GET", f"/v1/reservations/{held[0]['reservation_id']}")[1]
        assert kept == held[0]


def test_a_redis_that_hangs_for_a_moment_refuses_nobody(capped: Settings) -> None:
    """Redis answers nothing for longer than a question waits: the reservations asked meanwhile are held when it goes on."""
    with Gateway(capped) as gateway, redis.Redis.from_url(capped.redis_url) as client:
        asyncio.run(race([gateway.url], [ask("first@example.com")]))
        client.execute_command("CLIENT", "PAUSE", 2500, "ALL")
        told = asyncio.run(race([gateway.url], [ask(f"p{n}@example.com") for n in range(40)]))
    assert all(one["reservation"] for one in told)


def test_colleagues_race_for_the_places_of_their_company(capped: Settings) -> None:
    """Twenty people of one company at once, at two gateways: the policy lets two of them be contacted, and two are."""
    asks = [ask(f"p{n}@acme.example", standing={"account": "acme.example"}) for n in range(20)]
    with Gateway(capped) as a, Gateway(capped) as b:
        told = asyncio.run(race([a.url, b.url], asks))
    assert sum(one["reservation"] is not None for one in told) == 2
    assert {one["check"]["violations"][0]["rule"] for one in told if not one["reservation"]} == {"two-people-a-week"}


def test_one_reservation_from_held_to_made(capped: Settings) -> None:
    """By the SDK: held, asked again the same, released gives the slot back, committed cannot be released, and the touch takes its place."""

    async def main(url: str) -> None:
        async with Client(settings=replace(capped, gateway_url=url)) as client:
            kind = {"channel": "email", "department": "marketing"}
            first = [await client.reserve("dana@example.com", touch_id=f"m-{n}", **kind) for n in range(3)]
            assert all(first)
            assert (await client.reserve("dana@example.com", touch_id="m-0", **kind)).reservation == first[
                0
            ].reservation
            assert not await client.may_contact("dana@example.com", **kind)
            assert not await client.reserve("dana@example.com", **kind)
            held = [one.reservation for one in first]
            assert held[0] and held[1] and held[2]
            assert (await client.release(held[0])).state == "released"
            assert (await client.release(held[0])).state == "released"
            with pytest.raises(GatewayError, match="released"):
                await client.commit(held[0])
            assert await client.may_contact("dana@example.com", **kind)
            assert (await client.commit(held[1])).state == "committed"
            with pytest.raises(GatewayError, match="committed"):
                await client.release(held[1])
            show(capped, [touch("dana@example.com", 1000, touch_id="m-1")])
            assert await client.may_contact("dana@example.com", **kind), "the touch and its reservation are one"
            assert await client.reserve("dana@example.com", **kind)
            assert not await client.may_contact("dana@example.com", **kind)
            with pytest.raises(GatewayError, match="another customer"):
                await client.reserve("other@example.com", touch_id="m-2", **kind)

    with Gateway(capped) as gateway:
        asyncio.run(main(gateway.url))


def test_what_is_not_committed_in_time_is_free_again(capped: Settings) -> None:
    """Three held, the last one for seconds: refused until then, free after, and too late to commit."""
    with Gateway(capped) as gateway:
        asks = [ask("dana@example.com", hold_seconds=seconds) for seconds in (3600, 3600, 5)]
        held = [gateway.call("POST", "/v1/reservations", one)[1]["reservation"] for one in asks]
        assert gateway.call("POST", "/v1/checks", ask("dana@example.com"))[1]["allowed"] is False
        wait_until(lambda: gateway.call("POST", "/v1/checks", ask("dana@example.com"))[1]["allowed"], 30, "the expiry")
        assert gateway.call("POST", f"/v1/reservations/{held[2]['reservation_id']}/commit")[0] == 410
        assert gateway.call("POST", "/v1/reservations", ask("dana@example.com"))[0] == 201


def test_one_touch_id_is_of_one_customer(capped: Settings) -> None:
    """Two customers, strangers or colleagues, are asked for with one touch id: at two gateways at once one gets it, the other is told that
    it is taken, and the reservation stays that of the first; afterwards, too. Once it is released, the other may have it."""

    async def both(urls: list[str], touch_id: str, **more: Any) -> list[tuple[int, dict[str, Any]]]:
        async with aiohttp.ClientSession() as session:

            async def one(url: str, email: str) -> tuple[int, dict[str, Any]]:
                async with session.post(f"{url}/v1/reservations", json=ask(email, touch_id=touch_id, **more)) as answer:
                    return answer.status, await answer.json(content_type=None)

            names = (f"a-{touch_id}@example.com", f"b-{touch_id}@example.com")
            return await asyncio.gather(*(one(url, name) for url, name in zip(urls, names, strict=True)))

    with Gateway(capped) as a, Gateway(capped) as b:
        for n in range(20):
            more = {"standing": {"account": f"company-{n}.example"}} if n % 2 else {}
            told = asyncio.run(both([a.url, b.url], f"t-{n}", **more))
            assert sorted(status for status, _ in told) == [201, 409], told
            told = sorted(told, key=lambda one: one[0])
            held, refused = told[0][1]["reservation"], told[1][1]
            assert refused["type"].endswith("touch-id-taken") and f"t-{n} is reserved" in refused["detail"]
            kept = b.call("GET", f"/v1/reservations/{held['reservation_id']}")[1]
            assert kept == held
            again = asyncio.run(both([b.url, a.url], f"t-{n}", **more))
            assert sorted(status for status, _ in again) == [201, 409]
        a.call("DELETE", f"/v1/reservations/{held['reservation_id']}")
        other = {"a": "b", "b": "a"}[
            next(x for x in "ab" if held["customer_id"] == id_of(capped, Customer(email=f"{x}-t-19@example.com")))
        ]
        status, answer, _ = a.call("POST", "/v1/reservations", ask(f"{other}-t-19@example.com", touch_id="t-19"))
        assert (status, answer["reservation"]["reservation_id"]) == (201, held["reservation_id"])
