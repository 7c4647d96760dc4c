"""A scenario told step by step: `python -m tests.support.story merged-then-split` prints what came, and what was found because of it."""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

from streams.core import backtest
from streams.core.outcome import Finding
from tests.support.scenarios import SCENARIOS, Outcome, folded


def told(scenario: dict[str, Any]) -> Iterator[str]:
    """The story in lines."""
    outcome = Outcome(scenario)
    yield from textwrap.wrap(scenario["story"], 120)
    for row, findings, refused in outcome.steps:
        yield ""
        yield f"{when(row.get('at') or row['occurred_at'])}  {what(row)}"
        for finding in findings:
            yield f"    {finding.state}{' and withdrawn' if finding.withdrawn else ''}: {named(finding)}"
            yield from textwrap.wrap(finding.reason, 112, initial_indent=" " * 8, subsequent_indent=" " * 8)
        yield from (f"    refused: {reason}" for _, reason in refused)
        if not (findings or refused):
            yield "    nothing to tell"
    yield ""
    yield "In the end these hold:"
    standing = backtest.standing(folded(outcome.emitted))
    yield from (f"    {named(finding)}" for finding in standing)
    if not standing:
        yield "    none"


def when(text: str) -> str:
    """An RFC 3339 time without seconds."""
    return text[:16].replace("T", " ")


def what(row: dict[str, Any]) -> str:
    """A touch or request in words."""
    if "acknowledge" in row:
        ids = row["acknowledge"]["touch_ids"]
        return f"{row['by']} acts on {row['acknowledge']['rule']} of {', '.join(ids)}"
    if "split" in row:
        return f"{row['by']} says: {' and '.join(map(whom, row['split']))} are two people"
    if "erase" in row:
        return f"{row['by']} has {whom(row['erase'])} erased"
    version = f", version {row['version']}" if "version" in row else ""
    fate = " is deleted" if row.get("deleted") else ""
    late = f", published {when(row['published_at'])}" if "published_at" in row else ""
    return f"{row['department']} {row['channel']} {row['kind']} “{row['touch_id']}”{version}{fate}: {whom(row['customer'])}{late}"


def whom(customer: dict[str, str]) -> str:
    """A customer by identifiers."""
    return " + ".join(value for name, value in customer.items() if name != "name")


def named(finding: Finding) -> str:
    """Which finding it is."""
    return f"{finding.rule} of {finding.customer[:8]}, revision {finding.revision} ({', '.join(finding.touch_ids)})"


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.story", description=__doc__)
    parser.add_argument("name", choices=sorted(path.stem for path in SCENARIOS.glob("*.json")), metavar="NAME")
    path = SCENARIOS / f"{parser.parse_args().name}.json"
    print("\n".join(told(json.loads(path.read_text(encoding="utf-8")))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
