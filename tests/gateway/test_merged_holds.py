"""Two customers turn out to be one: what is held for either is held for the one."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from streams.core.touch import Customer, Touch
from streams.settings import Settings
from tests.gateway.running import Gateway
from tests.support.publishing import publish
from tests.support.waiting import wait_until
from tests.support.worker import Worker

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]
CAPPED = str(Path(__file__).with_name("capped.toml"))
MAIL, PHONE = {"email": "dana@example.com"}, {"phone": "+14155550132"}


def ask(customer: dict[str, str]) -> dict[str, Any]:
    """A mail that is planned for now."""
    return {"customer": customer, "channel": "email", "department": "sales"}


def test_holds_of_both_count_for_the_merged_person(make_settings: Callable[..., Settings]) -> None:
    """Two held for an address, one for a number, three a week allowed: either may still be contacted, both together not; and neither after
    a touch has shown that they are one, until one of the holds is given back."""
    settings = make_settings(policy_path=CAPPED)
    with Worker(settings), Gateway(settings) as gateway:

        def allowed(customer: dict[str, str]) -> bool | None:
            """None: not to be told, since not all can be seen yet."""
            answer = gateway.call("POST", "/v1/checks", ask(customer))[1]
            return None if answer["degraded"] else bool(answer["allowed"])

        wait_until(lambda: allowed(MAIL) is not None, 60, "the view to be fresh")
        held = []
        for customer in (MAIL, MAIL, PHONE):
            status, told, _ = gateway.call("POST", "/v1/reservations", ask(customer))
            assert status == 201, told
            held.append(told["reservation"]["reservation_id"])
        assert [allowed(one) for one in (MAIL, PHONE, {**MAIL, **PHONE})] == [True, True, False]
        both = Customer(email=MAIL["email"], phone=PHONE["phone"])
        now = time.time_ns() // 1_000_000
        publish(settings, [Touch("t-1", "email", "marketing", "inbound", "opened", now, both)])
        wait_until(lambda: allowed(MAIL) is False and allowed(PHONE) is False, 60, "the merge")
        assert gateway.call("POST", "/v1/reservations", ask(PHONE))[0] == 200
        answer = gateway.call("POST", "/v1/checks", ask(PHONE))[1]
        evidence = {one["rule"]: one["evidence"] for one in answer["violations"]}
        assert len(evidence["three-a-week"]) == 3
        assert gateway.call("DELETE", f"/v1/reservations/{held[0]}")[1]["state"] == "released"
        answer = gateway.call("POST", "/v1/checks", ask(PHONE))[1]
        assert answer["allowed"] and allowed(MAIL), answer
