"""What msgspec found wrong with values that people wrote, in words that say where and what is allowed there."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping

from msgspec import Struct


def explained(
    error: str,
    what: str,
    fields: Mapping[str, type[Struct]],
    allowed: Mapping[str, Collection[str]],
    moments: Collection[str],
) -> str:
    """msgspec's text with the field path first and, where it helps, what is allowed there. `what` is what the values should have been;
    `fields` are its records by path ("" for itself), `allowed` the values of enumerations and `moments` the times, by path, too."""
    paths = {f"{path}.{name}".lstrip(".") for path, record in fields.items() for name in record.__struct_fields__}
    problem, _, place = error.rpartition(" - at `$")
    path = place.rstrip("`").lstrip(".")
    if not problem or path not in paths:
        problem, path = error, ""
    if path in allowed and problem.startswith("Invalid enum value"):
        return f"{path}: {problem[len('Invalid enum value ') :]} is not one of {', '.join(allowed[path])}"
    if problem.startswith("Object contains unknown field"):
        name = problem.split("`")[1]
        known = sorted(fields[path].__struct_fields__)
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
        return f"{f'{path}.{name}' if path else name}: unknown field; {hint}"
    if problem.startswith("Object missing required field"):
        name = problem.split("`")[1]
        full = f"{path}.{name}" if path else name
        some = f"; one of {', '.join(allowed[full])}" if full in allowed else ""
        return f"{full}: missing, but required{some}"
    if path in moments:
        told = f"{problem[0].lower()}{problem[1:]}"
        return f"{path}: {told}; write RFC 3339 with a time zone, such as 2026-03-02T09:12:00Z"
    return f"{path}: {problem}" if path else f"not a {what}: {problem[0].lower()}{problem[1:]}"
