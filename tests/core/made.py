"""Touches written in one line, and the findings of one rule on them."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from streams.core import backtest
from streams.core.outcome import Finding
from streams.core.policy import Policy
from streams.core.touch import Customer, Touch
from tests.core.strategies import HOUR, ID_KEY, NOW, REGION, START

MINUTE = 60_000
DAY = 24 * HOUR

_CHANNEL = {"message_sent": "linkedin", "connection_request": "linkedin", "ad_click": "ads", "impression": "ads"}
_CHANNEL |= dict.fromkeys(("dialed", "answered", "voicemail", "no_answer"), "calls")
_INBOUND = ("opened", "clicked", "replied", "unsubscribed", "complained", "ad_click", "lead_form", "profile_view")


def touch(id_: str, kind: str, after: int = 0, department: str = "marketing", **changes: Any) -> Touch:
    """A touch of one customer, `after` ms past the start of 2 March 2026, in the channel and direction usual for its kind."""
    usual: dict[str, Any] = {
        "channel": _CHANNEL.get(kind, "email"),
        "direction": "inbound" if kind in _INBOUND else "outbound",
        "customer": Customer(crm_id="C-1", name="Dana Reyes"),
    }
    made = Touch(id_, "email", department, "outbound", kind, START + after, usual["customer"])  # type: ignore[arg-type]
    return replace(made, **{**usual, **changes})


def found(rule: str, *touches: Touch, policy: Policy | None = None) -> list[Finding]:
    """The findings of one rule, in order of time."""
    result = backtest.run(touches, policy or Policy(), id_key=ID_KEY, region=REGION, now=NOW)
    assert result.refused == []
    return [finding for finding in result.findings if finding.rule == rule]


def ids(findings: list[Finding]) -> list[tuple[str, ...]]:
    """The touches of each finding."""
    return [finding.touch_ids for finding in findings]
