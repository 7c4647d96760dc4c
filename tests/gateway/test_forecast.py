"""A forecast beside a gateway: what tools have reserved is in the way of what is planned."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streams.core.touch_json import rfc3339
from streams.settings import Settings
from tests.gateway.running import HOUR, Gateway, now_ms
from tests.support.commands import touchstream

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]


def test_a_forecast_counts_what_is_reserved(settings: Settings, gateway: Gateway) -> None:
    """Sales holds a slot for Kim: a mail of marketing two hours later collides with it, unless the forecast looks at the mail alone, or the
    slot was given back; the slot of a planned mail itself is not in its way."""
    soon = now_ms() + 30 * HOUR
    kim = {"email": "kim@example.com"}
    asked = {"customer": kim, "channel": "email", "department": "sales", "at": rfc3339(soon), "touch_id": "slot"}
    status, held, _ = gateway.call("POST", "/v1/reservations", asked)
    assert status == 201
    mail: dict[str, Any] = {
        "touch_id": "m-1", "channel": "email", "department": "marketing", "direction": "outbound", "kind": "sent",
        "occurred_at": rfc3339(soon + 2 * HOUR), "customer": kim, "campaign": "spring",
    }  # fmt: skip

    def told(planned: dict[str, Any], *options: str) -> Any:
        done = touchstream(settings, "forecast", "-", "--json", *options, stdin=json.dumps(planned))
        assert done.exit_code == 0, done.stderr
        return [(one["reason"], one["against"]) for one in json.loads(done.stdout)["collisions"]]

    assert told(mail) == [("department_overlap", "contacts already made or reserved")]
    assert told(mail, "--alone") == []
    own = mail | {"touch_id": "slot", "department": "sales", "occurred_at": rfc3339(soon)}
    assert told(own) == []
    assert gateway.call("DELETE", f"/v1/reservations/{held['reservation']['reservation_id']}")[0] == 200
    assert told(mail) == []
