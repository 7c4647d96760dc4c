"""A finding as JSON for people and scripts: what `backtest` and `tail --json` print."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from streams.core.outcome import Finding
from streams.core.touch_json import rfc3339

# What everyone reads first; the rest follows in the order of the record.
_FIRST = ("finding", "rule", "finding_id", "customer", "touch_ids", "event_time", "severity", "reason", "state")


def as_dict(finding: Finding) -> dict[str, Any]:
    """Plain values, times as RFC 3339, empty parts left out."""
    values = msgspec.to_builtins(finding)
    values["event_time"] = rfc3339(finding.event_time)
    for proof in values["evidence"]:
        proof["occurred_at"] = rfc3339(proof["occurred_at"])
    if finding.handoff is not None:
        values["handoff"]["due_at"] = rfc3339(finding.handoff.due_at)
    ordered = {name: values.pop(name) for name in _FIRST}
    return ordered | {
        name: value for name, value in values.items() if value not in (None, [], ()) and value is not False
    }


def line(finding: Finding) -> str:
    """One JSON line."""
    return json.dumps(as_dict(finding), ensure_ascii=False)
