"""Stories about customers, as data: everything emitted, in order, is as written in the story's file.

`pytest tests/test_scenarios.py --update-scenarios` writes what comes out now into the files; read the difference before committing.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from streams.core import backtest
from streams.core.outcome import Finding
from tests.support.publishing import comparable
from tests.support.scenarios import SCENARIOS, Outcome, dump

FILES = sorted(SCENARIOS.glob("*.json"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_story(path: Path, request: pytest.FixtureRequest) -> None:
    """The whole record of findings emitted, touches refused, and the backtest's findings are those of the file."""
    scenario = json.loads(path.read_text(encoding="utf-8"))
    found = Outcome(scenario).record()
    if request.config.getoption("--update-scenarios"):
        path.write_text(dump({**scenario, "expected": found}), encoding="utf-8")
    else:
        assert found == scenario["expected"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_stands_in_the_end_is_the_backtests(path: Path) -> None:
    """Folded by id and revision, the emitted findings are the backtest's; only what came too late may make a difference."""
    outcome = Outcome(json.loads(path.read_text(encoding="utf-8")))
    known: dict[str, Finding] = {}
    backtest.fold(known, outcome.emitted)
    standing = comparable(backtest.standing(known))
    if any(reason == "too_old" for _, reason in outcome.refused):
        assert standing != comparable(outcome.final)
    else:
        assert standing == comparable(outcome.final)


def test_files_are_written_as_the_update_would() -> None:
    """So that an update shows only what changed; and every file has a story told in sentences."""
    assert len(FILES) >= 20
    for path in FILES:
        scenario = json.loads(path.read_text(encoding="utf-8"))
        assert path.read_text(encoding="utf-8") == dump(scenario), path.name
        assert scenario["story"].endswith("."), path.name
