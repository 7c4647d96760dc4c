"""A policy that is published: what travels, and which of two holds."""

from __future__ import annotations

import pytest

from streams.core import published
from streams.core.policy import Policy, PolicyError, fingerprint, parse
from streams.core.policy_difference import differences

TEXT = "[governance]\nversion = '7'\n[double_contact]\nwindow_hours = 48\n"


def test_a_publication_is_the_policy_itself() -> None:
    """What was published is read as the same policy elsewhere, after its way through JSON."""
    made = published.made(TEXT, "/etc/touchstream/policy.toml", "p.ito", 5, None)
    assert (made.name, made.version, made.published_by, made.published_at) == ("policy.toml", "7", "p.ito", 5)
    read = published.decode(published.encode(made))
    assert read == made
    assert published.policy_of(read) == parse(TEXT)
    assert fingerprint(published.policy_of(read)) == made.fingerprint


def test_the_later_publication_holds_whatever_the_clock_says() -> None:
    """A publisher whose clock is behind is still later than the publication before; the same publication does not hold over itself."""
    first = published.made(TEXT, "a", "p.ito", 1_000, None)
    second = published.made("", "b", "a.chen", 10, first)
    assert second.published_at == 1_001
    assert published.holds_over(second, first) and not published.holds_over(first, second)
    assert published.holds_over(first, None) and not published.holds_over(first, first)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[double_contact]\nwindow_hours = -1\n", "p.toml:2: double_contact.window_hours"),
        ('[campaigns.spring]\nprice = "free beer"\n', "campaigns.spring"),
        ("#" * 600_000, "600000 bytes"),
    ],
)
def test_what_cannot_be_used_is_not_published(text: str, said: str) -> None:
    """A mistake is told with its place; so is a campaign's fact that is no claim, and a text that Kafka would not take."""
    with pytest.raises(PolicyError, match=said):
        published.made(text, "p.toml", "p.ito", 1, None)


def test_the_difference_names_each_value() -> None:
    """One line for each value that differs, rules by their names, also those that only one policy has."""
    new = parse(TEXT + "[[rules]]\nname = 'quiet-hours'\nenabled = true\n[campaigns.spring]\nprice = '49 EUR'\n")
    lines = differences(Policy(), new)
    assert "double_contact.window_hours: 24.0 -> 48.0" in [line.replace(" 24 ", " 24.0 ") for line in lines] or (
        "double_contact.window_hours: 24 -> 48.0" in lines or "double_contact.window_hours: 24 -> 48" in lines
    )
    assert 'governance.version: "shipped" -> "7"' in lines
    assert 'campaigns.spring.price: (nothing) -> "49 EUR"' in lines
    assert differences(new, new) == []


def test_the_difference_goes_by_names() -> None:
    """A capacity that changes is one line, whatever else the teams have; so is a rep more; the order of teams counts."""
    one = "[[teams]]\nname = 'iberia'\n[[teams.reps]]\nid = 'ana'\n"
    other = "[[teams]]\nname = 'dach'\n[[teams.reps]]\nid = 'bo'\n"
    before = parse(one + other)
    assert differences(before, parse(one + "capacity = 40\n" + other)) == ["teams.iberia.reps.ana.capacity: null -> 40"]
    assert differences(before, parse(other + one)) == ['teams.(order): ["iberia","dach"] -> ["dach","iberia"]']
    more = differences(before, parse(one + "[[teams.reps]]\nid = 'cai'\n" + other))
    assert more and all(line.startswith("teams.iberia.reps.cai.") for line in more)
    fit = "[[handoff.fit]]\nname = 'home'\npoints = %d\nsegment = { country = ['ES'] }\n"
    assert differences(parse(fit % 20), parse(fit % 30)) == ["handoff.fit.home.points: 20.0 -> 30.0"]
