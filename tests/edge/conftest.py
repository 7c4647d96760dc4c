"""Fixtures of the edge's tests."""

from __future__ import annotations

import pytest

from streams.edge import identity_index


@pytest.fixture
def quick_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """The identity index's facts are overdue at once, and an absent Redis is tried again soon, so that a test need not wait for it."""
    monkeypatch.setattr(identity_index, "OVERDUE_AFTER", 0)
    monkeypatch.setattr(identity_index, "RETRY_AFTER", 0.05)
