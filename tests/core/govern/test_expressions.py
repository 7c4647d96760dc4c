"""Expressions of segments: what they mean, that none ever raises, and who is in a segment."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.entry import Entry
from streams.core.govern.check import check
from streams.core.govern.enforcing import stopped
from streams.core.govern.expressions import ExpressionError, attributes_of, expression
from streams.core.govern.loading import on_timelines
from streams.core.govern.policy import Segment
from streams.core.govern.records import Contact, Standing
from streams.core.govern.segments import needs_attributes, within
from streams.core.policy import Policy, PolicyError, parse
from streams.core.timeline import Timeline
from tests.core.govern.worlds import HOUR, START

_PARTS = (
    'country time_zone account attributes.plan attributes attributes.a.b "DE" \'\' "(" 1 0 1.5 true null [ ] ( ) { } , . ? : == != < in'
    " && || ! + - / % .matches( .startsWith( .size() has( size( .all(x, x .exists( timestamp( \\n // foo and or not"
)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from(_PARTS.split()), max_size=12).map(" ".join),
    st.text(),
    st.dictionaries(st.sampled_from(("plan", "a")), st.text()),
)
def test_no_expression_raises_for_a_customer(text: str, said: str, attributes: dict[str, str]) -> None:
    """What is no expression is told when it is made ready; what is one says yes or no of everybody, the same each time."""
    try:
        ready = expression(text)
    except ExpressionError as error:
        assert error.mistakes and all(one.line >= 1 and one.column >= 1 and one.what for one in error.mistakes)
        return
    first = ready.holds(said, said, said, attributes)
    assert isinstance(first, bool)
    ready._known.clear()
    assert ready.holds(said, said, said, attributes) is first


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "Syntax error: mismatched input the end"),
        ("country ==", "Syntax error: mismatched input the end"),
        ('country == "DE" "AT"', "Syntax error: extraneous input '\"AT\"'"),
        ("(" * 300 + "true" + ")" * 300, "recursion limit exceeded"),
        ('email == "x"', "`email` is unknown; known: country, time_zone, account, attributes.NAME"),
        ('attributes["plan"] == "x"', "`attributes` is unknown; known: country, time_zone, account, attributes.NAME"),
        ('has(attributes.plan) && country == "DE"', "`&&` does not go with (string, bool)"),
        ('account.endswith("x")', "`endswith` is unknown; did you mean `endsWith`?"),
        ('country in "DE"', "`in` does not go with (string, string)"),
        ("timestamp(account) > now()", "`now` is unknown"),
        ("!country", "`!` does not go with (string)"),
    ],
)
def test_what_is_no_condition(text: str, told: str) -> None:
    """Unknown names, wrong types and what cannot be read are told in words; there is no clock, and nothing without an end."""
    with pytest.raises(ExpressionError) as caught:
        expression(text)
    assert told in caught.value.mistakes[0].what


@pytest.mark.parametrize(
    ("text", "line", "column", "told"),
    [
        ("[account]" + ".map(x, x + x)" * 28 + ".size() > 0", 1, 11, "`map` makes lists"),
        ('country == "DE" &&\n  ["a"].filter(x, x == account).size() > 0', 2, 9, "`filter` makes lists"),
        ("[1].all(a, [2].all(b, a < b))", 1, 16, "`all` within another one"),
        ("[account].exists(x, [x+x].exists(y, [y+y].exists(z, z == '')))", 1, 27, "`exists` within another one"),
        ("[account] . map ( x, x + x ).size() > 0", 1, 13, "`map` makes lists"),
        ('account == "' + "x" * 4_000 + '"', 1, 4_001, "at most 4,000 characters"),
    ],
)
def test_what_may_grow_is_refused(text: str, line: int, column: int, told: str) -> None:
    """An expression that would build on what it built, until there is no memory, is told with its place before it is asked."""
    with pytest.raises(ExpressionError) as caught:
        expression(text)
    first = caught.value.mistakes[0]
    assert (first.line, first.column) == (line, column) and told in first.what


@pytest.mark.parametrize(
    "text",
    [
        '[".map(", "x.map(y, y+y)"].exists(x, x == account) // .map(x, x + x)',
        'account == """ .map( """ || ["a"].exists(x, x == account) || ["b"].all(x, x != account)',
        "([1].exists(a, (a > 0))) && [1, 2].exists_one(a, a == 2)",
    ],
)
def test_what_cannot_grow_is_taken(text: str) -> None:
    """Texts and comments that look so are nothing, and lists may be asked one after another."""
    assert expression(text).holds(account="x.map(y, y+y)") is True


def test_who_is_in_a_segment() -> None:
    """Lists and the expression must all hold; a country may be written small on either side, and unknown is "" for both."""
    where = 'country != "AT" && attributes.plan in ["team", ""]'
    assert attributes_of(where) == ("plan",)
    some = Segment(country=("de", "AT", ""), where=where)
    assert [within(some, country) for country in ("DE", "de", "at", "FR", None)] == [True, True, False, False, True]
    assert within(some, "DE", attributes={"plan": "free"}) is False
    assert needs_attributes(some) and needs_attributes(Segment(attributes={"x": ("y",)}))
    assert not needs_attributes(Segment(where='account == "attributes"'))


def entry(at: int, **values: str) -> Entry:
    """A marketing mail."""
    return Entry(at, values.pop("id", "t"), "email", "marketing", "outbound", "sent", **values)


RULE = """
[[rules]]
name = "gap"
kind = "minimum_gap"
window = "24h"
segment = { where = 'WHERE' }
"""


@pytest.mark.parametrize("country", ["DE", "FR"])
def test_a_backtest_and_a_check_agree_on_the_segment(country: str) -> None:
    """The second of two contacts within a day is stopped in the segment only, by the check before and by the back-test after."""
    policy = parse(RULE.replace("WHERE", 'country == "DE"'))
    first, second = (entry(START + n * HOUR, id=f"t{n}", country=country) for n in (0, 1))
    verdict = check((first,), Contact(second.at, "email", "marketing"), policy, 0)
    assert [one.rule for one in verdict.violations] == (["gap"] if country == "DE" else [])
    assert set(stopped({"c": Timeline(entries=(first, second))}, policy)["c"]) == ({"t1"} if country == "DE" else set())


def test_attributes_are_for_checks() -> None:
    """A rule whose expression asks for attributes cannot be found after the fact, one that does not can be."""
    rules = [
        parse(RULE.replace("WHERE", where)).rules[-1]
        for where in ('country == "DE"', 'country == "DE" && attributes.plan == "team"')
    ]
    assert [on_timelines(rule) for rule in rules] == [True, False]
    policy = parse(RULE.replace("WHERE", 'attributes.plan == "team"'))
    history, contact = (entry(START),), Contact(START + HOUR, "email", "marketing")
    for plan, broken in (("team", ["gap"]), ("free", [])):
        verdict = check(history, contact, policy, 0, Standing(attributes={"plan": plan}))
        assert [one.rule for one in verdict.violations] == broken


def test_a_team_takes_customers_by_an_expression_without_attributes() -> None:
    """What only whoever asks for a check can know says nothing of a lead."""
    team = "[[teams]]\nname = 'a'\n\nsegment = { where = 'attributes.plan == \"team\"' }"
    with pytest.raises(
        PolicyError, match=r"p:4: teams\[0\]\.segment\.where: attributes are known only to whoever asks"
    ):
        parse(team, "p")
    with pytest.raises(PolicyError, match=r"p:4: teams\[0\]\.segment\.where: `plan` is unknown"):
        parse(team.replace("attributes.plan", "plan"), "p")


def test_long_values_are_not_remembered() -> None:
    """What whoever asks writes does not fill the memory: the answer is right, and gone."""
    ready = expression('attributes.plan == "long values"')
    assert [ready.holds(attributes={"plan": plan}) for plan in ("long values", "x" * 1_001, "x" * 1_000)] == [
        True,
        False,
        False,
    ]
    assert {len(values[-1]) for values in ready._known} == {11, 1_000}


def test_a_policy_without_expressions_loads_no_cel() -> None:
    """Fourteen megabytes are for those who use them."""
    script = "import sys; from streams.core.policy import parse; parse(''); print('cel_expr_python' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "False\n"
    )
    assert Policy().rules
