"""The SDK without async: checks and reservations by a plain script."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from streams import Client
from streams.gateway.remote import GatewayError
from streams.settings import Settings
from tests.gateway.running import Gateway

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]


def test_a_plain_script_asks_holds_commits_and_releases(gateway: Gateway, settings: Settings) -> None:
    """Each call of the blocking client answers as the asynchronous one does, its errors included."""
    kind = {"channel": "email", "department": "marketing"}
    with Client.sync(settings=replace(settings, gateway_url=gateway.url)) as client:
        refused = client.may_contact("dana@example.com", **kind)
        assert not refused and refused.violations[0].reason == "department_overlap"
        assert client.may_contact({"email": "sync@example.com"}, **kind)
        assert not client.reserve("dana@example.com", **kind)
        first, second = (
            client.reserve(f"sync-{n}@example.com", touch_id=f"sync-{n}", hold_seconds=60, **kind) for n in range(2)
        )
        assert first.reservation and second.reservation
        committed = client.commit(first.reservation, "sync-made")
        assert (committed.state, committed.touch_id) == ("committed", "sync-made")
        assert client.release(second.reservation).state == "released"
        with pytest.raises(GatewayError, match="committed"):
            client.release(first.reservation)
        with pytest.raises(GatewayError, match="no identifier is usable"):
            client.may_contact("nobody", **kind)
