"""Files in the providers' own formats, compared whole and in order with what they mean."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from streams.core.ingest import ADAPTERS, Ignored, read
from streams.core.outcome import Rejected
from tests.support.told import FILES, PAYLOADS, expected_path, outcomes, plain


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_payload_file_means_what_is_written_beside_it(path: Path) -> None:
    """Importing a file gives exactly the touches, rejections and ignored records of its expected file, in order."""
    assert outcomes(path) == json.loads(expected_path(path).read_text(encoding="utf-8"))


def test_every_adapter_has_payloads() -> None:
    """No adapter of the table goes without a file in its provider's format."""
    assert sorted({path.parent.name for path in FILES}) == sorted(ADAPTERS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_rejected_record_keeps_its_bytes_and_line(path: Path) -> None:
    """The payload of a rejection stands in the file unaltered, and begins on the line that it names."""
    data = path.read_bytes()
    lines = data.split(b"\n")
    for outcome in read(path.parent.name, data):
        if isinstance(outcome, Rejected):
            assert outcome.line is not None
            assert outcome.payload in data
            assert outcome.payload.split(b"\n")[0] in lines[outcome.line - 1]
            assert outcome.source == path.parent.name


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_the_order_of_lines_changes_no_outcome(path: Path) -> None:
    """The same JSON lines, form lines or array elements in reverse give the same outcomes, apart from line numbers."""
    adapter = ADAPTERS[path.parent.name]
    records = [record for _, record in adapter.split(path.read_bytes())]
    turned = b"\n".join(reversed([b" ".join(record.split(b"\n")) for record in records]))

    def sorted_outcomes(data: bytes) -> list[str]:
        told = (plain(outcome) for outcome in read(adapter.name, data))
        return sorted(
            json.dumps({k: v for k, v in one.items() if k in {"touch", "ignored", "rejected"}}) for one in told
        )

    assert sorted_outcomes(turned) == sorted_outcomes(path.read_bytes())


def test_a_file_may_be_an_array_json_lines_or_pretty_printed() -> None:
    """One SendGrid request as it came, as JSON lines, indented, and with a byte order mark means the same."""
    data = (PAYLOADS / "sendgrid" / "webhook.json").read_bytes()
    events = json.loads(data)
    forms = [
        json.dumps(events),
        json.dumps(events, indent=2),
        json.dumps(events, indent=0),
        "\r\n".join(json.dumps(event) for event in events),
        "\ufeff" + "\n".join(json.dumps([event]) for event in events),
        "".join(json.dumps(event) for event in events),
    ]
    told = [[plain(outcome) for outcome in read("sendgrid", form.encode())] for form in forms]
    for one in told:
        assert [item.get("touch") for item in one] == [
            item.get("touch") for item in outcomes(PAYLOADS / "sendgrid" / "webhook.json")
        ]


def test_a_single_object_is_a_file() -> None:
    """One event on its own, indented over several lines, is read, and is on line 1."""
    event = {"email": "dana.reyes@example.com", "timestamp": 1772442724, "event": "deferred", "sg_event_id": "x"}
    assert list(read("sendgrid", json.dumps(event, indent=2).encode())) == [
        Ignored("deferred: SendGrid will try again", 1)
    ]
