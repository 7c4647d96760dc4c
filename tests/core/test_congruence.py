"""A web page against a salesperson's profile: what is visible, what is compared, what is said."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core import congruence
from streams.core.claims.html import is_html, visible_lines

TODAY = dt.date(2026, 3, 2)
HERE = Path(__file__).parent / "congruence_set"


def kinds(site: str, profile: str) -> list[str]:
    return [mismatch.kind for mismatch in congruence.compare(site, profile, today=TODAY)]


def test_whole_page() -> None:
    """A pricing page of the usual build and a profile that promises more: each contradiction once, with both quotes."""
    site, profile = ((HERE / name).read_text("utf-8") for name in ("page.html", "profile.txt"))
    found = congruence.compare(site, profile, today=TODAY)
    assert [mismatch.kind for mismatch in found] == ["price", "discount", "deadline", "free_trial", "guarantee"]
    assert found[0] == congruence.Mismatch(
        "price",
        "$49 per user/month, billed annually",
        "Pro is just $39 per user a month.",
        "The price of pro is 49 USD per user per month billed annually on the site, but 39 USD per user per month in the profile.",
    )


def test_same_page_agrees_with_itself() -> None:
    """A page has no contradiction with itself."""
    site = (HERE / "page.html").read_text("utf-8")
    assert congruence.compare(site, site, today=TODAY) == ()


@pytest.mark.parametrize(
    "hidden",
    [
        "<script>'Pro plan $9/month'</script>",
        "<style>.a::after{content:'Pro plan $9/month'}</style>",
        "<!-- Pro plan $9/month -->",
        "<template><p>Pro plan $9/month</p></template>",
        "<noscript>Pro plan $9/month</noscript>",
        "<p hidden>Pro plan $9/month</p>",
        "<div style='color:red; display : none'><p>Pro plan $9/month</p></div>",
        "<p style='visibility:hidden'>Pro plan $9/month",
        "<s>Pro plan $9/month</s>",
        "<del><b>Pro plan $9/month</b></del>",
        "<dialog>Pro plan $9/month</dialog>",
        "<template><script>Pro plan $9/month</script></template><p hidden><s>Pro plan $9/month</s></p>",
    ],
)
def test_what_nobody_sees_is_not_said(hidden: str) -> None:
    """Scripts, styles, comments, hidden and struck-out parts are not part of a page."""
    page = f"<body>{hidden}<p>Pro plan $49/month</p>"
    assert visible_lines(page) == ["Pro plan $49/month"]
    assert kinds(page, "Pro plan $49/month") == []


def test_blocks_stay_apart_and_inline_stays_together() -> None:
    """Cells, items and paragraphs are lines of their own, also without end tags; inline markup does not cut a price."""
    page = "<h2>Pro</h2><p><span>$</span><b>49</b><small>&nbsp;/mo</small><p>5 users<ul><li>A<li>B</ul>x<br>y"
    assert visible_lines(page) == ["## Pro", "$49 /mo", "5 users", "A", "B", "x", "y"]


def test_table_cells_keep_their_plan() -> None:
    """A cell under a header row is read with its row and its column, whichever of them names the plan."""
    page = "<table><tr><th><th>Basic<th>Premium<tr><td>Monthly price<td>$15<td>$45</table>"
    assert visible_lines(page) == [
        "Basic - Premium",
        "Monthly price",
        "Monthly price: Basic: $15",
        "Monthly price: Premium: $45",
    ]
    assert kinds(page, "Premium is $15 a month.") == ["price"]
    assert kinds(page, "Basic is $15 a month.") == []


def test_text_is_not_markup() -> None:
    """Prose with angle brackets is text; a fragment of markup is HTML."""
    assert not is_html("Pro < Team, and 5 > 3 <3")
    assert is_html("Pro<br>$49")
    assert kinds("Teams < 10: Pro plan $49/month", "Pro plan $39/month") == ["price"]


def test_deep_nesting() -> None:
    """Markup nested thousands deep is read without recursion."""
    page = "<div><p>" * 5000 + "Pro plan $49/month"
    assert visible_lines(page) == ["Pro plan $49/month"]


@pytest.mark.parametrize(
    ("site", "profile", "expected"),
    [
        ("14-day free trial", "two-week free trial", []),
        ("14-day free trial", "Sorry, there is no free trial", ["free_trial"]),
        ("Cancel any time", "12-month minimum contract", ["contract"]),
        ("Cancel any time", "Month-to-month only", []),
        ("No setup fee", "$500 setup fee", ["setup_fee"]),
        ("$500 setup fee", "Setup fee: $500", []),
        ("24/7 support", "Support in business hours", ["support_hours"]),
        ("Open 24/7", "Office hours 9-5", []),
        ("Enterprise: 24/7 support", "Starter: support in business hours", []),
        ("Up to 10 users", "Up to 20 users", ["limit"]),
        ("Up to 10 users", "Up to 20 projects", []),
        ("Unlimited users", "50 users included", ["limit"]),
        ("No credit card required", "A credit card is required", ["credit_card"]),
        ("99.9% uptime", "uptime of 99.90%", []),
        ("Free plan available", "We don't have a free plan", ["free_plan"]),
    ],
)
def test_terms(site: str, profile: str, expected: list[str]) -> None:
    """Trial, guarantee, contract, fee, support, limits and the like are compared by meaning, not by wording."""
    assert kinds(site, profile) == expected
    assert kinds(profile, site) == expected


PIECES = st.sampled_from(
    ["<p>", "</p>", "<table>", "<tr>", "<td>", "<th>", "<s>", "<div hidden>", "<!--", "-->", "<script>", "&euro;", "&#0;", "Pro",
     "$49", "/mo", "14-day free trial", "20% off", "until 31 March", "no setup fee", "up to 5 users", "\n", "#", "\ud83d"]
)  # fmt: skip


@given(
    site=st.lists(PIECES, max_size=30).map(" ".join),
    profile=st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=20).map("".join)),
)
def test_any_page(site: str, profile: str) -> None:
    """Any markup is compared without error, the same twice, and nothing contradicts itself."""
    found = congruence.compare(site, profile, today=TODAY)
    assert congruence.compare(site, profile, today=TODAY) == found
    assert congruence.compare(site, site, today=TODAY) == ()
