"""A gateway follows the published policies, and answers each request by one of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from streams.core import published
from streams.settings import Settings
from tests.gateway.running import HOUR, Gateway, now_ms, show, touch
from tests.support.publishing import say
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]

ASK = {"customer": {"email": "dana@example.com"}, "channel": "email", "department": "marketing"}
OFF = "[governance]\nversion = '{}'\n[[rules]]\nname = 'departments-apart'\nenabled = {}\n"


def test_a_gateway_switches_without_a_restart(make_settings: Callable[..., Settings]) -> None:
    """One that starts has the latest policy at once; a later one is in force within seconds and stands in the answer, with its rules; a
    policy that cannot be read, an older one and bytes that are none change nothing."""
    settings = make_settings(view_max_age=3600.0)
    show(settings, [touch("dana@example.com", HOUR, department="sales")])
    on = published.made(OFF.format("on", "true"), "p.toml", "p.ito", now_ms(), None)
    off = published.made(OFF.format("off", "false"), "p.toml", "p.ito", now_ms(), on)
    say(settings, on)
    with Gateway(settings) as gateway:

        def answer() -> tuple[str, bool]:
            status, body, _ = gateway.call("POST", "/v1/checks", ASK)
            assert status == 200
            overlap = "department_overlap" in [one["reason"] for one in body["violations"]]
            return body["policy"]["version"], overlap

        assert answer() == (f"on@{on.fingerprint}", True)
        say(settings, off)
        while (now := answer()) == (f"on@{on.fingerprint}", True):
            pass
        assert now == (f"off@{off.fingerprint}", False)
        say(settings, on, b"nonsense")
        say(settings, published.made("", "p.toml", "p.ito", on.published_at - 1, None))
        unreadable = published.Published("u", "0" * 12, "x", off.published_at + 1, "p.ito", "p.toml", "[nothing]\n")
        say(settings, unreadable)
        wait_until(lambda: "needs another release" in "".join(gateway.log), 30, "the gateway to have read all")
        assert answer() == (f"off@{off.fingerprint}", False)
        text = gateway.call("GET", "/metrics")[1].decode()
        assert f'touchstream_gateway_policy{{policy="{off.fingerprint}"}} 1.0' in text
