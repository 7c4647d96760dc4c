"""Outcomes of an import as plain data, the form of the `*.expected.json` files beside the payloads."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import msgspec

from streams.core.ingest import Ignored, Outcome, read
from streams.core.outcome import Rejected

PAYLOADS = Path(__file__).parents[1] / "core" / "ingest" / "payloads"
FILES = sorted(path for path in PAYLOADS.glob("*/*") if not path.name.endswith(".expected.json"))


def expected_path(path: Path) -> Path:
    """Where the expected outcomes of a payload file stand."""
    return path.with_name(f"{path.name}.expected.json")


def outcomes(path: Path) -> list[dict[str, Any]]:
    """What importing a payload file gives."""
    return [plain(outcome) for outcome in read(path.parent.name, path.read_bytes())]


def plain(outcome: Outcome) -> dict[str, Any]:
    """One outcome; times are readable, and a rejected payload is named by its start."""
    if isinstance(outcome, Ignored):
        return {"ignored": outcome.reason, "line": outcome.line}
    if isinstance(outcome, Rejected):
        assert outcome.stage == "import"
        assert outcome.source is not None
        start = outcome.payload[:40].decode("utf-8", "backslashreplace")
        return {"rejected": outcome.reason, "line": outcome.line, "detail": outcome.detail, "payload": start}
    moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(milliseconds=outcome.occurred_at)
    return {"touch": {**msgspec.to_builtins(outcome), "occurred_at": moment.isoformat(timespec="milliseconds")}}
