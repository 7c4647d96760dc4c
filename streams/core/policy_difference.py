"""What differs between two policies, line by line, for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from streams.core.policy import Policy

_ABSENT = object()


def differences(old: Policy, new: Policy) -> list[str]:
    """One line for each value that differs: `double_contact.window_hours: 24 -> 48`. Rules go by their names."""
    was, now = (dict(_flat(_by_name(msgspec.to_builtins(policy)))) for policy in (old, new))
    return [
        f"{path}: {_told(was.get(path, _ABSENT))} -> {_told(now.get(path, _ABSENT))}"
        for path in sorted({**was, **now})
        if was.get(path, _ABSENT) != now.get(path, _ABSENT)
    ]


def _by_name(values: dict[str, Any]) -> dict[str, Any]:
    return {**values, "rules": {rule["name"]: rule for rule in values["rules"]}}


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _flat(inner, f"{path}.{name}" if path else str(name))
    else:
        yield path, value


def _told(value: Any) -> str:
    if value is _ABSENT:
        return "(nothing)"
    return msgspec.json.encode(value).decode()
