"""Stories about customers, as data: everything emitted, in order, is as written in the story's file.

`pytest tests/test_scenarios.py --update-scenarios` writes what comes out now into the files; read the difference before committing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest

from streams.core import backtest
from streams.core.leads import events as leads
from streams.core.leads import follow
from streams.core.leads.fold import active
from streams.core.policy import Policy
from streams.core.timeline import Timeline
from tests.core import past_oracle
from tests.core.oracle import Claimed
from tests.support.publishing import comparable
from tests.support.scenarios import ID_KEY, SCENARIOS, Outcome, dump, folded


def history(customer: str, timeline: Timeline, policy: Policy) -> list[leads.LeadEvent]:
    """The lead events that a fold of the whole timeline gives."""
    if not active(policy):
        return []
    return [leads.event_of(change, customer, policy) for change in follow.history(timeline, policy)[1]]


def unnumbered(events: Iterable[leads.LeadEvent]) -> list[leads.LeadEvent]:
    """Events without what depends on the order of arrival, and without briefs, which are told once."""
    same = (msgspec.structs.replace(event, revision=1, status="detected", brief=None) for event in events)
    return sorted(same, key=lambda event: (event.at, event.customer, event.event_id))


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
def test_what_stands_in_the_end(path: Path) -> None:
    """Folded by id and revision, the emitted findings are those that the oracle sees in the facts, and the backtest's where it knows
    them all; only what came too late for the timeline may make a difference. Lead events are those that a fold of the timelines gives, as
    they are in the end."""
    outcome = Outcome(json.loads(path.read_text(encoding="utf-8")))
    standing = backtest.standing(folded(outcome.emitted))
    claimed = sorted(Claimed(f.event_time, f.rule, f.customer, f.touch_ids) for f in standing)
    told = leads.standing(outcome.leads)
    held = [event for who, held in outcome.timelines.items() for event in history(who, held, outcome.policy)]
    assert unnumbered(told) == unnumbered(held)
    if outcome.is_plain:
        assert unnumbered(told) == unnumbered(outcome.final_leads)
    known = past_oracle.holding(outcome.facts, outcome.policy, ID_KEY)
    assert claimed == known
    if any(reason == "too_old" for _, reason in outcome.refused):
        assert comparable(standing) != comparable(outcome.final)
    elif outcome.is_plain:
        assert comparable(standing) == comparable(outcome.final)


def test_files_are_written_as_the_update_would() -> None:
    """So that an update shows only what changed; and every file has a story told in sentences."""
    assert len(FILES) >= 20
    for path in FILES:
        scenario = json.loads(path.read_text(encoding="utf-8"))
        assert path.read_text(encoding="utf-8") == dump(scenario), path.name
        assert scenario["story"].endswith("."), path.name
