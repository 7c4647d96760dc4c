"""What people read of a lead's brief."""

from __future__ import annotations

from streams.commands import rendering
from streams.core.govern.records import Agreed
from streams.core.outcome import FitComponent, ScoreComponent


def test_how_consent_and_points_are_told() -> None:
    """A line says channel, purpose, state, time and proof; a record also its basis and who recorded it. Fit stands behind engagement."""
    off = Agreed("email", "", "opted_out", 0, "unsubscribed", "off")
    assert rendering.consent(off) == "email opted out since 1970-01-01T00:00:00Z (unsubscribed off)"
    record = Agreed("calls", "promo", "granted", 0, "record", "cpc-17", 86_400_000, "legitimate_interests", "CRM")
    assert rendering.consent(record) == (
        "calls for promo granted since 1970-01-01T00:00:00Z until 1970-01-02T00:00:00Z (record cpc-17, legitimate interests, CRM)"
    )
    parts = rendering.score_parts([ScoreComponent("clicked", 2, 10.0)], [FitComponent("home-market", 20.0)])
    assert parts == "clicked x2 = 10.0, fit home-market = 20.0"
