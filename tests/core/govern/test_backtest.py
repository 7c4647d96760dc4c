"""Two policies on one past: who would have been stopped, by what, and who answered all the same."""

from __future__ import annotations

from streams.core.entry import Entry
from streams.core.govern.backtest import difference, lines
from streams.core.govern.enforcing import stopped
from streams.core.policy import parse
from streams.core.timeline import Timeline

HOUR = 3_600_000
DAY = 24 * HOUR
CURRENT = parse("")
NEW = parse(
    '[[rules]]\nname = "departments-apart"\nenabled = false\n[[rules]]\nname = "a-day"\nkind = "frequency_cap"\nwindow = "24h"\nlimit = 1\n'
)


def _mail(hours: int, id_: str, department: str = "marketing", kind: str = "sent", campaign: str | None = "x") -> Entry:
    direction = "inbound" if kind in ("replied", "unsubscribed") else "outbound"
    actor = "person" if department == "sales" else "automation"
    return Entry(
        hours * HOUR,
        id_,
        "email",
        department,
        direction,
        kind,
        actor_kind=actor,
        campaign=campaign if campaign != "x" else id_,
    )


PAST = Timeline(
    entries=(
        _mail(0, "a"),
        _mail(10, "b"),  # the new cap stops it
        _mail(12, "r", kind="replied"),  # but it was answered
        _mail(
            25, "c", "sales"
        ),  # the current overlap counts from b: stopped; the new cap does not, since b was not sent
        _mail(200, "d", "service"),
        _mail(201, "e", "sales", campaign=None),  # stopped by both: overlap now, cap then
    )
)


def test_a_stopped_contact_counts_no_more() -> None:
    """Each policy is enforced as it goes: what it stopped is not among what later contacts are measured against."""
    assert {id_: (one.rules, one.followed) for id_, one in stopped({"c": PAST}, NEW)["c"].items()} == {
        "b": (("a-day",), True),
        "e": (("a-day",), False),
    }
    assert {id_: one.rules for id_, one in stopped({"c": PAST}, CURRENT)["c"].items()} == {
        "c": ("departments-apart",),
        "e": ("departments-apart",),
    }


def test_the_difference_in_words() -> None:
    """By rule, department and campaign, with those that were wrongly stopped."""
    assert lines(difference({"a": PAST, "b": Timeline()}, NEW, CURRENT)) == [
        "5 contacts",
        "1 stopped by the new policy only; 1 of them were followed by a reply or a meeting",
        "  rule a-day: 1",
        "  department marketing: 1",
        "  campaign b: 1",
        "1 stopped by the current policy only; 0 of them were followed by a reply or a meeting",
        "  rule departments-apart: 1",
        "  department sales: 1",
        "  campaign c: 1",
        "1 stopped by both; 0 of them were followed by a reply or a meeting",
        "  rule a-day: 1",
        "  department sales: 1",
        "  campaign (none): 1",
        NOT_JUDGED,
    ]


NOT_JUDGED = "not judged, since they rest on what no timeline holds: do-not-contact, owner-first, sales-has-the-lead"


def test_rules_that_are_not_judged_are_named() -> None:
    """A list of those who want no contact stops nobody in a back-test, so the numbers say that what it would change is not in them."""
    capped = parse(
        '[[rules]]\nname = "hands-off-open-deals"\nenabled = true\n[[rules]]\nname = "consent-needed"\nenabled = true'
    )
    found = difference({"a": PAST}, capped, CURRENT)
    assert (found.newly.contacts, found.no_longer.contacts) == (0, 0)
    assert lines(found)[-2:] == [
        "not judged, since they rest on what no timeline holds: do-not-contact, consent-needed, owner-first, hands-off-open-deals,"
        " sales-has-the-lead",
        "what would change by these is NOT in the numbers: consent-needed, hands-off-open-deals",
    ]


def test_an_opt_out_of_long_ago_stops_too() -> None:
    """What is left of pruned touches is looked at; an open or a reply after another contact is no success of the first."""
    old = Timeline(
        entries=(_mail(100, "a"), _mail(150, "b"), _mail(151, "r", kind="replied")),
        opt_outs=(_mail(1, "o", kind="unsubscribed"),),
    )
    assert {id_: (one.rules, one.followed) for id_, one in stopped({"c": old}, CURRENT)["c"].items()} == {
        "a": (("opted-out",), False),
        "b": (("opted-out",), True),
    }
