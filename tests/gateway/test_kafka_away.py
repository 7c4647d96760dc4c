"""Kafka goes away between the hold in Redis and its acknowledgement: what Kafka does not have is not held."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import redis

from streams.core.reservation import reservation_id
from streams.edge import topic_admin
from streams.gateway.gate import AT_ONCE
from streams.gateway.holds import decode
from tests.gateway.running import HOUR, Gateway, show, touch
from tests.support.stack import fresh_settings, started
from tests.support.waiting import SLOWER, wait_until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]
CAPPED = str(Path(__file__).with_name("capped.toml"))


def ask(touch_id: str) -> dict[str, Any]:
    """A marketing mail to dana@ that is planned for now."""
    customer = {"email": "dana@example.com"}
    return {"customer": customer, "channel": "email", "department": "marketing", "touch_id": touch_id}


def test_who_waits_while_kafka_hangs_is_refused_together(tmp_path: Path) -> None:
    """Kafka stands still: who waits for a turn is refused when the first ones are, not in turns of as long each; a contact that is not
    allowed is still answered, and when Kafka goes on, so do reservations."""
    with started(tmp_path) as stack:
        settings = fresh_settings(stack, view_max_age=3600.0, policy_path=CAPPED)
        asyncio.run(topic_admin.create_missing(settings))
        show(settings, [touch("tired@example.com", n * HOUR) for n in (1, 2, 3)])
        asks = [ask(f"m-{n}") | {"customer": {"email": f"p{n}@example.com"}} for n in range(AT_ONCE * 3)]
        with Gateway(settings) as gateway, ThreadPoolExecutor(len(asks)) as pool:
            assert gateway.call("POST", "/v1/reservations", ask("m-first"))[0] == 201

            def timed(asked: dict[str, Any]) -> tuple[int, float]:
                began = time.monotonic()
                return gateway.call("POST", "/v1/reservations", asked)[0], time.monotonic() - began

            stack.broker.pause()
            answers = list(pool.map(timed, asks))
            refused = gateway.call("POST", "/v1/reservations", ask("t") | {"customer": {"email": "tired@example.com"}})
            stack.broker.resume()
            assert {status for status, _ in answers} == {503}
            waits = sorted(seconds for _, seconds in answers)
            assert waits[-2] < 2.5 * waits[0], waits  # the third turn would be 3; one may see whether Kafka is back
            assert refused[0] == 200
            wait_until(lambda: gateway.call("POST", "/v1/reservations", asks[0])[0] == 201, 60, "reservations to go on")


def test_what_kafka_did_not_take_is_not_held(tmp_path: Path) -> None:
    """Kafka dies; Redis holds the slot, Kafka does not say that it has it: 503, and the slot is free. When Kafka is back the same question
    is answered with the slot, which counts once, and which a flush of Redis does not lose."""
    with started(tmp_path) as stack:
        settings = fresh_settings(stack, view_max_age=3600.0, policy_path=CAPPED)
        asyncio.run(topic_admin.create_missing(settings))
        show(settings)
        place = f"touchstream:{settings.app_id}:hold:of:{reservation_id('m-1')}"
        with (
            Gateway(settings) as gateway,
            redis.Redis.from_url(settings.redis_url) as client,
            ThreadPoolExecutor(1) as pool,
        ):

            def state() -> str | None:
                value = client.get(place)
                return decode(value).state if isinstance(value, bytes) else None

            assert gateway.call("POST", "/v1/reservations", ask("m-0"))[0] == 201
            stack.broker.stop(kill=True)
            asked = pool.submit(gateway.call, "POST", "/v1/reservations", ask("m-1"))
            wait_until(lambda: state() == "held" or asked.done(), 30, "the hold in Redis")
            assert state() == "held" and not asked.done()
            status, told, headers = asked.result(timeout=120 * SLOWER)
            assert status == 503 and told["type"].endswith("unavailable") and headers["Retry-After"]
            assert state() == "released"
            assert gateway.call("POST", "/v1/checks", ask("m-9"))[1]["allowed"]

            stack.broker.start()
            status, told, _ = wait_until(
                lambda: (held := gateway.call("POST", "/v1/reservations", ask("m-1")))[0] != 503 and held,
                120,
                "Kafka to be back",
            )
            assert status == 201 and told["reservation"]["touch_id"] == "m-1"
            client.flushdb()
            show(settings)
            assert (
                gateway.call("GET", f"/v1/reservations/{told['reservation']['reservation_id']}")[1]["state"] == "held"
            )
            assert [gateway.call("POST", "/v1/reservations", ask(f"m-{n}"))[0] for n in (2, 3)] == [201, 200]
