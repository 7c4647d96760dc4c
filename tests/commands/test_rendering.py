"""What people read of a lead's brief."""

from __future__ import annotations

from streams.commands import rendering
from streams.core.govern.records import Agreed
from streams.core.identity_facts import Cause
from streams.core.outcome import FitComponent, ScoreComponent


def test_what_linked_identifiers_is_told() -> None:
    """A touch by its department, channel and kind; a record of consent by its channel and what was said."""
    touch = Cause("t-1", 0, 0, "email", "marketing", "opened")
    assert rendering.identity_cause(touch) == ("touch t-1", "marketing, email opened")
    said = Cause("cmp-1", 0, 0, "", "", "consent_withdrawn")
    assert rendering.identity_cause(said) == ("record of consent cmp-1", "all channels withdrawn")


def test_how_consent_and_points_are_told() -> None:
    """A line says channel, purpose, state, time and proof; a record also its basis and who recorded it. Fit stands behind engagement."""
    off = Agreed("email", "", "opted_out", 0, "unsubscribed", "off")
    assert rendering.consent(off) == "email opted out since 1970-01-01T00:00:00Z (unsubscribed off)"
    record = Agreed("calls", "promo", "granted", 0, "record", "cpc-17", 86_400_000, "legitimate_interests", "CRM")
    assert rendering.consent(record) == (
        "calls for promo granted since 1970-01-01T00:00:00Z until 1970-01-02T00:00:00Z (record cpc-17, basis legitimate interests, CRM)"
    )
    no = Agreed("", "promo", "withdrawn", 1_000, "record", "w")
    assert rendering.consent(record, [off, record, no]).endswith(
        "CRM), overruled: all channels for promo withdrawn since 1970-01-01T00:00:01Z"
    )
    assert (
        rendering.consent(no, [off, record, no])
        == "all channels for promo withdrawn since 1970-01-01T00:00:01Z (record w)"
    )
    parts = rendering.score_parts([ScoreComponent("clicked", 2, 10.0)], [FitComponent("home-market", 20.0)])
    assert parts == "clicked x2 = 10.0, fit home-market = 20.0"
