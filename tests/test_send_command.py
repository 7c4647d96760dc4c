"""`touchstream send`: good lines are stored, broken ones are named and buried, and the counts say both."""

from __future__ import annotations

import json

import pytest

from streams.core.touch_json import parse, to_json
from streams.edge.embedded.ports import free_port
from streams.settings import Settings
from tests.support.commands import PAYLOADS, buried, published, stored, touchstream

pytestmark = pytest.mark.stack

ONE = {
    "channel": "email",
    "department": "sales",
    "direction": "outbound",
    "kind": "sent",
    "occurred_at": "2026-03-02T09:12:00Z",
    "customer": {"email": "dana@example.com"},
}


def test_lines(settings: Settings) -> None:
    """Good lines are published, each broken line is reported with number and reason and buried as it was written."""
    text = (PAYLOADS / "send.jsonl").read_bytes()
    result = touchstream(settings, "send", stdin=text)
    assert result.exit_code == 1
    assert result.stdout == "sent 2, dead-lettered 4 (not_a_touch 2, no_identifier 2)\n"
    assert [line.split(": ", 2)[:2] for line in result.stderr.splitlines()[:4]] == [
        ["line 2", "not_a_touch"],
        ["line 5", "not_a_touch"],
        ["line 6", "no_identifier"],
        ["line 7", "no_identifier"],
    ]
    assert "channel: 'fax' is not one of email, ads, linkedin, calls" in result.stderr
    lines = text.splitlines()
    assert published(settings) == [parse(lines[0]), parse(lines[3])]
    letters = buried(settings)
    assert [(letter.line, letter.reason, letter.source, letter.stage) for letter in letters] == [
        (2, "not_a_touch", "json", "import"),
        (5, "not_a_touch", "json", "import"),
        (6, "no_identifier", "json", "import"),
        (7, "no_identifier", "json", "import"),
    ]
    assert [letter.payload for letter in letters] == [lines[1], lines[4], lines[5], lines[6]]


def test_many_lines_from_a_file(settings: Settings, tmp_path: object) -> None:
    """More lines than are in flight at once all arrive, and the exit code is 0 when none was broken."""
    path = f"{tmp_path}/touches.jsonl"
    with open(path, "w") as file:
        for number in range(2300):
            file.write(json.dumps({**ONE, "touch_id": f"t{number:04}"}) + "\n")
    result = touchstream(settings, "send", "--file", path)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "sent 2300, dead-lettered 0\n", "")
    assert [touch.touch_id for touch in published(settings)] == [f"t{number:04}" for number in range(2300)]


def test_one_touch_as_argument_twice(settings: Settings) -> None:
    """The same JSON sent twice is stored twice under one derived id, so that it counts once downstream."""
    for _ in range(2):
        assert touchstream(settings, "send", json.dumps(ONE)).exit_code == 0
    first, second = published(settings)
    assert first == second == parse(json.dumps(ONE))


def test_one_touch_from_options(settings: Settings) -> None:
    """Options make the touch that the same JSON makes; the direction defaults to outbound."""
    options = {
        "--channel": "calls", "--department": "sales", "--kind": "dialed", "--phone": "+49 30 1234567", "--name": "Dana Reyes",
        "--campaign": "spring", "--subject": "Hello", "--text": "Call me", "--occurred-at": "2026-03-02T15:40:00+01:00",
        "--actor": "okafor", "--actor-name": "J. Okafor", "--touch-id": "c1",
    }  # fmt: skip
    result = touchstream(settings, "send", *(word for pair in options.items() for word in pair))
    assert (result.exit_code, result.stdout) == (0, "sent 1, dead-lettered 0\n")
    (touch,) = published(settings)
    assert json.loads(to_json(touch)) == {
        "touch_id": "c1", "channel": "calls", "department": "sales", "direction": "outbound", "kind": "dialed",
        "occurred_at": "2026-03-02T14:40:00Z", "customer": {"phone": "+49 30 1234567", "name": "Dana Reyes"},
        "actor": {"id": "okafor", "name": "J. Okafor", "kind": "person"}, "campaign": "spring",
        "message": {"subject": "Hello", "text": "Call me"},
    }  # fmt: skip


def test_mistake_on_the_command_line_is_told_not_buried(settings: Settings) -> None:
    """One wrong touch from the command line is an error that names the field; nothing is stored anywhere."""
    result = touchstream(settings, "send", json.dumps({**ONE, "chanel": "email"}))
    assert result.exit_code == 1
    assert result.stderr == "Error: the touch cannot be sent: chanel: unknown field; did you mean channel?\n"
    missing = touchstream(
        settings, "send", "--channel", "email", "--department", "sales", "--email", "dana@example.com"
    )
    assert "kind: missing, but required; one of sent, " in missing.stderr
    assert (published(settings), buried(settings)) == ([], [])


def test_line_too_long(settings: Settings) -> None:
    """A line of megabytes is buried as too large, cut but with its size, and the next line is sent."""
    huge = json.dumps({**ONE, "message": {"text": "x" * 10_000_000}})
    result = touchstream(settings, "send", stdin=f"{huge}\n{json.dumps(ONE)}\n")
    assert result.stdout == "sent 1, dead-lettered 1 (too_large 1)\n"
    (letter,) = buried(settings)
    assert (letter.reason, letter.payload_size, letter.is_whole) == ("too_large", len(huge), False)


def test_invalid_utf8(settings: Settings) -> None:
    """A line that is not UTF-8 is buried byte for byte."""
    bad = b'{"channel": "\xff"}'
    result = touchstream(settings, "send", stdin=bad + b"\n")
    assert result.stderr.startswith("line 1: not_a_touch: byte 14 is not UTF-8 text")
    assert buried(settings)[0].payload == bad


def test_empty_input(settings: Settings) -> None:
    """Nothing to send is no error."""
    result = touchstream(settings, "send", stdin="\n\n")
    assert (result.exit_code, result.stdout) == (0, "sent 0, dead-lettered 0\n")
    assert stored(settings, "touches.email") == []


def test_broker_away() -> None:
    """Without a broker the command ends with an error that names the address and what to do."""
    address = f"127.0.0.1:{free_port()}"
    result = touchstream(None, "send", json.dumps(ONE), "--bootstrap", address)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: cannot reach Kafka at {address}: ")
    assert "`touchstream up`" in result.stderr


def test_two_ways_at_once() -> None:
    """A touch as JSON and by options at once is a usage error."""
    result = touchstream(None, "send", json.dumps(ONE), "--channel", "email")
    assert result.exit_code == 2
    assert "give one of TOUCH_JSON, --file, or the options of one touch" in result.stderr
