"""A finding as JSON for people and scripts."""

from __future__ import annotations

import json

from streams.core import finding_json
from tests.core import made
from tests.core.made import HOUR, touch


def test_the_names_of_the_issue_come_first() -> None:
    """A conflict has the nine agreed names first, RFC 3339 times, sorted touch ids, and nothing empty."""
    (finding,) = made.found("double_contact", touch("b", "sent"), touch("a", "sent", HOUR, "sales"))
    values = json.loads(finding_json.line(finding))
    agreed = ["finding", "rule", "finding_id", "customer", "touch_ids", "event_time", "severity", "reason", "state"]
    assert list(values)[:9] == agreed
    assert values["touch_ids"] == ["a", "b"]
    assert values == json.loads(json.dumps(finding_json.as_dict(finding)))
    assert (values["finding"], values["event_time"], values["state"]) == (
        "conflict",
        "2026-03-02T01:00:00Z",
        "detected",
    )
    assert [proof["occurred_at"] for proof in values["evidence"]] == ["2026-03-02T00:00:00Z", "2026-03-02T01:00:00Z"]
    assert "contradictions" not in values
    assert "handoff" not in values
    assert all(value not in (None, [], {}) for value in values.values())


def test_a_hand_off_has_its_details() -> None:
    """The due time is RFC 3339 as well, and the components are objects."""
    (finding,) = made.found("handoff", touch("a", "lead_form", campaign="spring"))
    values = json.loads(finding_json.line(finding))
    assert values["handoff"] == {
        "trigger": "request",
        "score": 50.0,
        "threshold": 50.0,
        "components": [{"kind": "lead_form", "touches": 1, "points": 50.0}],
        "crossing_touch": "a",
        "recent_campaigns": ["spring"],
        "due_at": "2026-03-02T04:00:00Z",
    }


def test_text_stays_readable() -> None:
    """One line, with letters of all scripts as they are."""
    (finding,) = made.found("handoff", touch("a", "lead_form", campaign="Frühling\n春"))
    line = finding_json.line(finding)
    assert "Frühling" in line
    assert "春" in line
    assert "\n" not in line
