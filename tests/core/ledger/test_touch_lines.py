"""The quick reader reads what `touch_json.parse` reads, and refuses what it refuses, in its words."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from streams.core import touch_json
from streams.core.ledger import touch_lines
from streams.core.touch import Touch
from tests.support import histories

PLAIN: dict[str, Any] = {
    "touch_id": "t1", "channel": "calls", "department": "sales", "direction": "outbound", "kind": "answered",
    "occurred_at": "2026-07-02T17:40:00.123+02:00", "customer": {"phone": "+1 415 555 0132", "name": "Dana"},
    "actor": {"id": "jokafor", "name": "J. Okafor"}, "campaign": "summer", "interaction_id": "CA1",
}  # fmt: skip


def known(touch: Touch) -> Touch:
    """What the ledger knows of a touch: all but its message, account and the customer's place."""
    who = msgspec.structs.replace(touch.customer, time_zone=None, country=None)
    return msgspec.structs.replace(touch, message=None, account=None, customer=who, sequence=None, category=None)


def test_histories_are_read_alike() -> None:
    """Thousands of lines of all kinds give the touches that the careful reader gives."""
    for touch in [*histories.stream(5, 100, 2000), *histories.touches(6, 100, 2000)]:
        line = touch_json.to_json(touch)
        assert known(touch_lines.parse(line)) == known(touch_json.parse(line))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"touch_id": None},
        {"version": 3},
        {"version": 2, "deleted": True},
        {"priority": 5},
        {"cost": {"amount": "0.0079", "currency": "usd"}},
        {"message": {"text": "x" * 2000}},
        {"message": {"subject": "Hi", "price": {"amount": 49.90, "currency": "EUR"}}},
        {"actor": {"id": "robot", "kind": "automation"}},
        {"customer": {"email": "dana@example.com", "country": "ES", "time_zone": "Europe/Madrid"}},
        {"touch_id": "ü" * 200},
        {"customer": {"cookie_id": "ga-1"}},
        {"customer": {"email": "dana@example.com", "email_verified": False, "click_id": "g", "cookie_id": "ga-1"}},
    ],
)
def test_lines_of_every_kind_are_read_alike(changes: dict[str, Any]) -> None:
    """Whatever makes a line unusual, the touch is the same."""
    line = json.dumps({name: value for name, value in {**PLAIN, **changes}.items() if value is not None}).encode()
    assert known(touch_lines.parse(line)) == known(touch_json.parse(line))


@pytest.mark.parametrize(
    "line",
    [
        b"{", b"\xff", b"[]", b'{"channel": "fax"}',
        *(
            json.dumps({**PLAIN, **changes}).encode()
            for changes in (
                {"touch_id": " "}, {"touch_id": "x" * 201}, {"occurred_at": "1999-12-31T23:59:59Z"}, {"occurred_at": "2026-07-02"},
                {"customer": {}}, {"customer": {"email": " "}}, {"channel": "ads"}, {"version": 0}, {"priority": 2**40},
                {"cost": {"amount": "1", "currency": "EURO"}}, {"message": {"price": {"amount": "x", "currency": "EUR"}}},
                {"mood": "good"}, {"campaign": "x" * 2000}, {"campaign": "\ud800"}, {"actor": {}},
            )
        ),
    ],
)  # fmt: skip
def test_mistakes_are_told_alike(line: bytes) -> None:
    """What the careful reader refuses, the quick one refuses with the same text."""
    with pytest.raises(touch_json.TouchError) as careful:
        touch_json.parse(line)
    with pytest.raises(touch_lines.TouchError) as quick:
        touch_lines.parse(line)
    assert str(quick.value) == str(careful.value)
