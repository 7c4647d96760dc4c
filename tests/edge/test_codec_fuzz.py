"""Hostile bytes, in a process of their own: every case ends in a value or a DecodeError, in bounded time and memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_hostile_bytes_end_in_a_value_or_a_decode_error() -> None:
    """12,000 bombs in and random edits of valid records neither crash, hang, allocate, nor raise anything else."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.fuzz_codec", "1000", "12000"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, f"exit {done.returncode}\n{done.stderr[-3000:]}"
    counts = json.loads(done.stdout)
    assert counts["cases"] > 14_000
    # The cases must reach behind the framing: some decode, most fail there, some carry an unknown symbol.
    assert counts["values"] > 500 and counts["undecodable"] > 5000, counts
    assert counts["unknown_schema"] > 0 and counts["not_a_touch"] > 0, counts
