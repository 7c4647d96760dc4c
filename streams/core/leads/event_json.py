"""Lead events as JSON for people and scripts: names as in `schemas/lead_event`, times in RFC 3339."""

from __future__ import annotations

from typing import Any

import msgspec

from streams.core.leads.brief import Brief
from streams.core.leads.events import LeadEvent
from streams.core.touch_json import rfc3339

_TIMES = ("at", "due_at", "recycle_at", "occurred_at", "until")


def as_dict(event: LeadEvent) -> dict[str, Any]:
    """The event without what is not given."""
    values: dict[str, Any] = _dated(msgspec.to_builtins(event))
    return values


def brief_as_dict(brief: Brief) -> dict[str, Any]:
    """What sales is told; None of a slot: the channel is not free."""
    values: dict[str, Any] = _dated(msgspec.to_builtins(brief))
    return values | {"slots": {name: None if at is None else rfc3339(at) for name, at in brief.slots.items()}}


def _dated(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_dated(part) for part in value]
    if not isinstance(value, dict):
        return value
    return {
        name: rfc3339(part) if name in _TIMES and isinstance(part, int) else _dated(part)
        for name, part in value.items()
    }
