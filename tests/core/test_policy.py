"""The policy file: what is left out keeps its default, and every mistake is told with its place."""

from __future__ import annotations

import datetime as dt
import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from streams.core.policy import DAY_MS, HOUR_MS, CampaignFacts, HandoffPolicy, Policy, PolicyError, fingerprint, parse

SHIPPED = (Path(__file__).parents[2] / "streams" / "policy.toml").read_text(encoding="utf-8")


def test_the_shipped_policy_is_the_default() -> None:
    """streams/policy.toml gives exactly `Policy()`, and names every knob there is."""
    assert parse(SHIPPED) == Policy()
    written, known = tomllib.loads(SHIPPED), msgspec.to_builtins(Policy())
    assert known.pop("campaigns") == {}
    assert known["ledger"].pop("rates") == known["leads"].pop("owners") == {}
    assert known.pop("teams") == known["handoff"].pop("fit") == ()
    assert [rule["name"] for rule in written.pop("rules")] == [rule["name"] for rule in known.pop("rules")]
    assert {section: set(knobs) for section, knobs in written.items()} == {
        section: set(knobs) for section, knobs in known.items()
    }


def test_every_default_has_its_reason() -> None:
    """A comment stands directly above every number; a section's switch, severity and weights share the one before them, and a rule of
    `[[rules]]` has one above its head."""
    lines = SHIPPED.splitlines()
    for n, line in enumerate(lines):
        if re.match(r"[a-z_]+ = ", line) and not line.startswith(("enabled", "severity")):
            head = next(before for before in range(n - 1, -1, -1) if lines[before].startswith("["))
            above = lines[head - 1] if lines[head] == "[[rules]]" else lines[n - 1]
            assert above.startswith("#") or lines[head] in ("[handoff.weights]", "[leads.on_reject]"), line


def test_the_shipped_example_of_a_campaign_is_valid() -> None:
    """The commented campaign at the end of the file can be taken as it stands."""
    example = "\n".join(line.removeprefix("# ") for line in SHIPPED.splitlines()[-6:])
    facts = CampaignFacts("Spring offer", "Pro", "49 EUR/month", "20%", dt.date(2026, 5, 31))
    assert parse(example).campaigns == {"spring-2026": facts}


def test_what_is_left_out_keeps_its_default() -> None:
    """One knob changes one number; one weight changes one weight."""
    assert parse("") == Policy()
    policy = parse("[double_contact]\nwindow_hours = 48\n[handoff.weights]\nclicked = 20\nopened = 0\n")
    assert policy.double_contact.window_ms == 48 * HOUR_MS
    assert policy.double_contact.enabled
    assert policy.handoff.weights == {**HandoffPolicy().weights, "clicked": 20, "opened": 0}


def test_durations_are_milliseconds_to_the_core() -> None:
    """The properties turn hours, days and minutes into whole milliseconds, fractions too."""
    policy = parse(
        "[double_contact]\nwindow_hours = 0.5\n[timeline]\nretention_days = 45.5\n[calls]\njoin_minutes = 1.5\n"
    )
    assert (policy.double_contact.window_ms, policy.timeline.retention_ms) == (1_800_000, 45 * DAY_MS + 12 * HOUR_MS)
    assert (policy.calls.join_ms, policy.incongruent_message.window_ms) == (90_000, 30 * DAY_MS)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("window_hours = 24", "the top level: Object contains unknown field `window_hours`"),
        ("[double_contact]\nwindow = 24", "double_contact: Object contains unknown field `window`"),
        ("[double_contact]\nwindow_hours = 0", "double_contact.window_hours: Expected `float` > 0"),
        ("[double_contact]\nwindow_hours = nan", "double_contact.window_hours: Expected `float`"),
        ("[double_contact]\nwindow_hours = '24'", "double_contact.window_hours: Expected `float`, got `str`"),
        ("[double_contact]\nseverity = 'urgent'", "double_contact.severity: Invalid enum value 'urgent'"),
        ("[contact_after_opt_out]\nscope = 'email'", "contact_after_opt_out.scope: Invalid enum value 'email'"),
        ("[timeline]\nmax_touches = 3", "timeline.max_touches: Expected `int` >= 10"),
        ("[handoff]\nrequest_kinds = ['ask']", "handoff.request_kinds[0]: Invalid enum value 'ask'"),
        ("[handoff]\nweights = 5", "handoff.weights: Expected `object`, got `int`"),
        ("[handoff.weights]\nclicked = -1", "Expected `float` >= 0"),
        ("[handoff.weights]\nclick = 1", "Invalid enum value 'click'"),
        ("[campaigns.spring]\ndeadline = 'soon'", "campaigns[...].deadline: Invalid RFC3339"),
        ("handoff = 5", "handoff: Expected `object`, got `int`"),
        ("[timeline]\nretention_days = 20", "incongruent_message.window_days looks back 30 days, but timeline.retention_days keeps"),
        ("[double_contact]\nwindow_hours = 2400", "double_contact.window_hours looks back 100 days"),
        ("= 5", "is not TOML"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place(text: str, place: str) -> None:
    """The error names the file, the path of the knob, and what is wrong."""
    with pytest.raises(PolicyError, match=re.escape(place)) as caught:
        parse(text, "mine.toml")
    assert str(caught.value).startswith("mine.toml")


def test_the_fingerprint_tells_policies_apart() -> None:
    """Equal policies have one fingerprint, however written; any other number has another."""
    assert fingerprint(parse(SHIPPED)) == fingerprint(Policy())
    assert fingerprint(parse("[double_contact]\nwindow_hours = 24\n")) == fingerprint(Policy())
    assert fingerprint(parse("[double_contact]\nwindow_hours = 25\n")) != fingerprint(Policy())
