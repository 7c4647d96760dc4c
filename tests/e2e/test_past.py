"""The past changes while workers run and one is killed: what stands in the end is what the facts say."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from streams.settings import Settings
from tests.e2e.past import options, play, wrong

pytestmark = [pytest.mark.stack, pytest.mark.timeout(400)]


def test_histories_of_change(make_settings: Callable[..., Settings]) -> None:
    """250 histories side by side, corrected, deleted, merged, joined, split, erased and acknowledged, with records of consent, two workers,
    one killed on the way: each ends with the oracle's findings, no revision has two contents, and nothing is retracted that somebody acts
    on."""
    groups, emitted = play(make_settings(**options()), range(250), workers=2)
    assert wrong(emitted, groups) == []
    assert len(groups) > 200
    assert sum(one.cut is not None for one in groups) > 30
    assert sum(one.joined is not None for one in groups) > 5
    assert sum(one.erased is not None for one in groups) > 3
    assert sum(len(one.said[0]) for one in groups) > 150
    assert sum("-c" in id_ for one in groups for claimed in one.wanted for id_ in claimed.touch_ids) > 20
    assert {finding.cause.kind for finding in emitted if finding.cause} == {
        "touch", "late_touch", "correction", "deletion", "merge", "split", "erasure", "acknowledgement"
    }  # fmt: skip
