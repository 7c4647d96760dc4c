"""Plans over HTTP: what was said is in Kafka when the gateway answers, and what is no plan is refused."""

from __future__ import annotations

from typing import Any

import pytest

from streams.core.plans import PLANNED
from streams.core.touch_json import rfc3339
from streams.edge.codec import Codec
from streams.edge.topics import COMMANDS
from streams.settings import Settings
from tests.gateway.running import HOUR, Gateway, now_ms, show, touch
from tests.support.commands import stored

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]


def test_a_plan_is_published(settings: Settings, gateway: Gateway) -> None:
    """202 with its place and its id; the command holds the touch as it was planned, and so does its withdrawal. A reaction and what is no
    touch are 422, with the reason."""
    plan: dict[str, Any] = {
        "touch_id": "m-1", "channel": "email", "department": "marketing", "direction": "outbound", "kind": "sent",
        "occurred_at": rfc3339(now_ms() + 24 * HOUR), "customer": {"email": "dana@example.com"}, "campaign": "spring",
    }  # fmt: skip
    for asked in (plan, plan | {"version": 2, "deleted": True}):
        status, told, _ = gateway.call("POST", "/v1/plans", asked)
        assert (status, told["touch_id"], told["topic"]) == (202, "m-1", settings.topic(COMMANDS))
    codec = Codec()
    commands = [codec.decode_command(record.value or b"") for record in stored(settings, COMMANDS)]
    planned = [one.touch for one in commands if one.kind == PLANNED and one.touch and one.touch.touch_id == "m-1"]
    assert [(one.campaign, one.version, one.deleted) for one in planned] == [("spring", 1, False), ("spring", 2, True)]
    for wrong in (plan | {"direction": "inbound"}, {"channel": "fax"}):
        status, told, _ = gateway.call("POST", "/v1/plans", wrong)
        assert (status, told["reason"]) == (422, "not_a_touch")


def test_a_check_tells_of_what_others_plan(settings: Settings, gateway: Gateway) -> None:
    """Sales plans to write at three; marketing, that asks for ten, may, and hears of it with the plan as evidence, named so; as does
    who reserves. Sales itself, by the id of its plan, hears nothing."""
    plan = touch("kim@example.com", -15 * HOUR, department="sales", campaign="demo")
    show(settings, plans=[plan])
    asked = {"customer": {"email": "kim@example.com"}, "channel": "email", "at": rfc3339(now_ms() + 10 * HOUR)}
    _, answer, _ = gateway.call("POST", "/v1/checks", asked | {"department": "marketing"})
    (told,) = answer["violations"]
    assert (answer["allowed"], answer["action"], told["rule"]) == (True, "alert", "departments-apart")
    assert told["evidence"] == [
        {
            "id": plan.touch_id,
            "at": rfc3339(plan.occurred_at),
            "channel": "email",
            "department": "sales",
            "planned": True,
            "said": None,
        }
    ]
    assert told["text"].endswith("It rests on what is only planned.")
    _, own, _ = gateway.call("POST", "/v1/checks", asked | {"department": "sales", "touch_id": plan.touch_id})
    assert (own["allowed"], own["violations"]) == (True, [])
    status, held, _ = gateway.call("POST", "/v1/reservations", asked | {"department": "marketing", "touch_id": "slot"})
    assert (status, held["check"]["action"], held["reservation"]["state"]) == (201, "alert", "held")
