"""The Avro schemas, shipped with the package: `schemas/<subject>/v<N>.avsc` and one true example each beside them."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

SUBJECTS = (
    "touch",
    "identified_touch",
    "command",
    "conflict",
    "handoff",
    "dead_letter",
    "erasure",
    "reservation",
    "policy",
    "deal",
    "cost",
    "ledger_total",
    "lead_event",
)


def versions(subject: str) -> tuple[int, ...]:
    """Versions of a subject that this release knows, oldest first. Raises KeyError for an unknown subject."""
    if subject not in SUBJECTS:
        raise KeyError(f"unknown schema subject {subject!r}; known: {', '.join(SUBJECTS)}")
    names = (entry.name for entry in files("schemas").joinpath(subject).iterdir())
    return tuple(sorted(int(name[1:-5]) for name in names if name.startswith("v") and name.endswith(".avsc")))


def text(subject: str, version: int | None = None) -> str:
    """Source of a schema as JSON text; the newest version when none is given."""
    number = versions(subject)[-1] if version is None else version
    return files("schemas").joinpath(subject, f"v{number}.avsc").read_text(encoding="utf-8")


def load(subject: str, version: int | None = None) -> dict[str, Any]:
    """A schema as parsed JSON; the newest version when none is given."""
    schema: dict[str, Any] = json.loads(text(subject, version))
    return schema
