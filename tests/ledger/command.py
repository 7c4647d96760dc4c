"""`touchstream report` on the files of `tests/ledger/board`."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from streams.cli import main

BOARD = Path(__file__).with_name("board")
NOW = ("touches", "deals", "costs", "leads")
LATER = ("touches", "deals", "costs")


def report(*options: str | Path, period: str = "2026-Q3") -> Result:
    """The command with these options."""
    return CliRunner(env={"TOUCHSTREAM_ID_KEY": "k"}).invoke(main, ["report", "--period", period, *map(str, options)])


def files(later: bool = False) -> list[str]:
    """Options that name the board's files; with `later` also what became known after the first report."""
    named = [(name, f"{name}.jsonl") for name in NOW]
    if later:
        named += [(name, f"later-{name}.jsonl") for name in LATER]
    return [part for name, file in named for part in (f"--{name}", str(BOARD / file))]
