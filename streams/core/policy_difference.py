"""What differs between two policies, line by line, for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from streams.core.policy import Policy

_ABSENT = object()


def differences(old: Policy, new: Policy) -> list[str]:
    """One line for each value that differs: `double_contact.window_hours: 24 -> 48`. Rules, teams, their reps and fits go by their
    names; of teams the order counts, too: the first that fits gets the lead."""
    was, now = (dict(_flat(_by_name(msgspec.to_builtins(policy)))) for policy in (old, new))
    return [
        f"{path}: {_told(was.get(path, _ABSENT))} -> {_told(now.get(path, _ABSENT))}"
        for path in sorted({**was, **now})
        if was.get(path, _ABSENT) != now.get(path, _ABSENT)
    ]


def _by_name(values: dict[str, Any]) -> dict[str, Any]:
    teams = [{**team, "reps": _keyed(team["reps"], "id")} for team in values["teams"]]
    handoff = {**values["handoff"], "fit": _keyed(values["handoff"]["fit"], "name")}
    order = {"(order)": [team["name"] for team in teams]} if len(teams) > 1 else {}
    keyed = {"rules": _keyed(values["rules"], "name"), "teams": _keyed(teams, "name") | order, "handoff": handoff}
    return {**values, **keyed}


def _keyed(records: Sequence[dict[str, Any]], key: str) -> dict[str, dict[str, Any]]:
    return {one[key]: {name: value for name, value in one.items() if name != key} for one in records}


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _flat(inner, f"{path}.{name}" if path else str(name))
    else:
        yield path, value


def _told(value: Any) -> str:
    if value is _ABSENT:
        return "(nothing)"
    return msgspec.json.encode(value).decode()
