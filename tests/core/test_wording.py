"""Words for people: names, times and spans as one would say them."""

from __future__ import annotations

import pytest

from streams.core import wording
from streams.core.entry import Entry
from streams.core.touch import CHANNELS, DEPARTMENTS, KINDS
from tests.core.strategies import HOUR, START

MINUTE = 60_000


def entry(kind: str, channel: str, **changes: object) -> Entry:
    """An outbound touch by sales."""
    fields = {"department": "sales", "direction": "outbound"} | changes
    return Entry(START, "t", channel, kind=kind, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ms", "words"),
    [
        (0, "less than a minute"),
        (MINUTE - 1, "less than a minute"),
        (12 * MINUTE, "12 min"),
        (HOUR, "1 h"),
        (6 * HOUR + 28 * MINUTE + 59_999, "6 h 28 min"),
        (24 * HOUR, "1 day"),
        (74 * HOUR + 5 * MINUTE, "3 days 2 h"),
    ],
)
def test_spans(ms: int, words: str) -> None:
    """Whole minutes, rounded down; from a day on without them."""
    assert wording.span(ms) == words


def test_the_day_is_named_when_it_differs() -> None:
    """Within one day the time is enough; if any other moment lies on another day, the date is said too."""
    nine = START + 9 * HOUR + 5 * MINUTE
    assert wording.when(nine, START) == "at 09:05"
    assert wording.when(nine, START, START + 24 * HOUR) == "on 2 March 2026 at 09:05"


@pytest.mark.parametrize(
    ("touch", "words"),
    [
        (entry("sent", "email", label="Spring offer"), "'Spring offer' by email"),
        (entry("sent", "email"), "an email"),
        (entry("dialed", "calls", label="Spring offer"), "a call"),
        (entry("voicemail", "calls"), "a voicemail"),
        (entry("message_sent", "linkedin", label="Quick question"), "a LinkedIn message ('Quick question')"),
        (entry("connection_request", "linkedin"), "a LinkedIn connection request"),
        (entry("sent", "linkedin", label="Spring offer"), "'Spring offer' on LinkedIn"),
        (entry("sent", "linkedin"), "a LinkedIn message"),
        (entry("impression", "ads", label="Spring offer"), "the ad 'Spring offer'"),
        (entry("sent", "ads"), "an ad"),
        (entry("sent", "calls"), "a message"),
    ],
)
def test_contacts(touch: Entry, words: str) -> None:
    """What the customer got, as a noun with its article or its title."""
    assert wording.contact(touch) == words


@pytest.mark.parametrize(
    ("touch", "words"),
    [
        (entry("sent", "email"), "sales"),
        (entry("sent", "email", actor_kind="automation", actor_name="Mailer"), "sales"),
        (entry("sent", "email", actor_kind="person", actor_id="jo"), "sales"),
        (entry("dialed", "calls", actor_kind="person", actor_name="J. Okafor"), "sales rep J. Okafor"),
        (
            entry("dialed", "calls", department="service", actor_kind="person", actor_name="R. Lee"),
            "service agent R. Lee",
        ),
        (entry("sent", "email", department="marketing", actor_kind="person", actor_name="Kim"), "Kim (marketing)"),
    ],
)
def test_senders(touch: Entry, words: str) -> None:
    """A person is named with their role, an automation by its department."""
    assert wording.sender(touch) == words


def test_every_kind_in_every_channel_has_words() -> None:
    """No sentence ever shows an identifier with an underscore or an empty name."""
    for kind in KINDS:
        for channel in CHANNELS:
            for department in DEPARTMENTS:
                touch = entry(kind, channel, department=department)
                said = f"{wording.contact(touch)} {wording.sender(touch)} {wording.reaction(touch)} {wording.channel(channel)}"
                assert "_" not in said
                assert "  " not in said


def test_lists() -> None:
    """One, two and three things."""
    assert [wording.listed(list("abc")[:n]) for n in (1, 2, 3)] == ["a", "a and b", "a, b and c"]
