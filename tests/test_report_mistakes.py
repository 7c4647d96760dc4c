"""`touchstream report` that cannot be made: each mistake is told, and no file is left."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ledger.command import BOARD, files, report


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        (["--touches", "-", "--deals", "-", "--out", "r.html"], 2, 'only one FILE can be "-" (standard input)'),
        ([*files()], 2, "nothing to write: give at least one of --out, --csv, --parquet, --json"),
        (
            ["--touches", "none.jsonl", "--deals", "-", "--out", "r.html"],
            1,
            "Error: cannot read none.jsonl: No such file",
        ),
        ([*files(), "--out", "none/r.html"], 1, "Error: cannot write none/r.html: No such file"),
        (
            [*files(), "--json", "l.json", "--against", "none.json"],
            1,
            "Error: cannot read --against none.json: No such file",
        ),
        ([*files(), "--json", "l.json", "--against", str(BOARD / "deals.jsonl")], 1, "Error: --against "),
        ([*files(), "--json", "l.json", "--policy", "none.toml"], 1, "Error: cannot read the policy none.toml"),
    ],
)
def test_mistakes_are_told(
    options: list[str], code: int, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be read or written is named with the reason, without a traceback, and no file is left."""
    monkeypatch.chdir(tmp_path)
    result = report(*options)
    assert result.exit_code == code
    assert told in result.stderr and "Traceback" not in result.output
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_period_is_told() -> None:
    """A text that is no period is refused with the forms that are."""
    result = report(*files(), "--json", "l.json", period="Q3")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: --period: 'Q3' is no period; write 2026, 2026-Q3")
