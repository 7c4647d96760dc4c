"""Mistakes in a policy file are told with their line and the name that was meant; rules of a file go over the shipped ones."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.govern.defaults import RULES
from streams.core.govern.policy import FrequencyCap, QuietHours
from streams.core.govern.positions import line_of, lines
from streams.core.policy import Policy, PolicyError, fingerprint, parse
from tests.core.mistakes import one_is_told

HERE = Path(__file__).parent
BAD = (HERE / "bad_policy.toml").read_text(encoding="utf-8")
SHIPPED = (HERE.parents[2] / "streams" / "policy.toml").read_text(encoding="utf-8")


def test_all_mistakes_are_told_with_their_lines() -> None:
    """Every line of the bad policy with a `# !` comment has a mistake, told as the comment says; no other line has one."""
    wanted = {
        n: line.partition("# ! ")[2].strip() for n, line in enumerate(BAD.splitlines(), start=1) if "# ! " in line
    }
    with pytest.raises(PolicyError) as caught:
        parse(BAD, "bad.toml")
    told = dict(_numbered(line) for line in str(caught.value).splitlines())
    assert told.keys() == wanted.keys()
    assert {n: text for n, text in told.items() if wanted[n] not in text} == {}


def _numbered(line: str) -> tuple[int, str]:
    name, number, text = line.split(":", 2)
    assert name == "bad.toml"
    return int(number), text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("rules = 5", "p:1: rules: Expected tables, written [[rules]]"),
        ("[governance]\ntime_zones = [\n  'UTC',\n  'Mars/Phobos',\n]", "p:4: governance.time_zones[1]: `Mars/Phobos` is no IANA"),
        ("[timeline]\nretention_days = 20\n[governance]\nfindings = true\n[incongruent_message]\nwindow_days = 1\n"
         "[handoff]\nrecent_campaign_days = 9", "p: rules.campaign-once: the rule `campaign-once` looks back 30 days"),
        ("[[rules]]\nname = 'campaign-once'\n\nwindow = '100d'", "p:4: rules[0]: the rule `campaign-once` looks back 100 days"),
        ("[[rules]]\nname = 'a'\nkind = 'never_with'\na = []\nb = [{}]", "p:4: rules[0].a: Expected `array` of length >= 1"),
        ("[[rules]]\nkind = 'holidays'", "p:1: rules[0]: a rule needs a `name`"),
        ("[[rules]]\nname = 'A b'\nkind = 'holidays'", "p:2: rules[0].name: Expected a name of lower-case letters"),
        ("[[rules]]\nname = 'r'\nkind = 'frequency_cap'\nwindow = '1y'\nlimit = 1",
         "p:4: rules[0].window: Expected a length of time such as \"24h\" or \"7d\", or a calendar \"day\""),
    ],
)  # fmt: skip
def test_a_mistake_of_a_rule(text: str, told: str) -> None:
    """One mistake, one line of text."""
    one_is_told(text, told)


def test_a_rule_of_a_shipped_name_changes_what_it_gives() -> None:
    """The other knobs and all other rules stay; a new name comes behind them; a kind given anew starts from its own defaults."""
    text = """
[[rules]]
name = "quiet-hours"
start = "19:30"
[[rules]]
name = "holidays"
kind = "frequency_cap"
window = "day"
limit = 2
[[rules]]
name = "mine"
kind = "quiet_hours"
start = "00:00"
end = "24:00"
days = ["sunday"]
"""
    rules = {rule.name: rule for rule in parse(text).rules}
    shipped = {rule.name: rule for rule in RULES}
    assert list(rules) == [*shipped, "mine"]
    quiet, was = rules["quiet-hours"], shipped["quiet-hours"]
    assert isinstance(quiet, QuietHours) and isinstance(was, QuietHours)
    assert (quiet.start, quiet.end, quiet.applies_to) == ("19:30", was.end, was.applies_to)
    assert rules["holidays"] == FrequencyCap(name="holidays", window="day", limit=2)
    changed = {"quiet-hours", "holidays", "mine"}
    assert {name: rule for name, rule in rules.items() if name not in changed} == {
        name: rule for name, rule in shipped.items() if name not in changed
    }
    assert fingerprint(parse(text)) != fingerprint(Policy())


def test_the_places_of_the_shipped_policy() -> None:
    """Every key of the shipped policy is found on a line that begins with it."""
    known, text = lines(SHIPPED), SHIPPED.splitlines()
    assert len(known) > 150
    for path, line in known.items():
        last = path[-1]
        if isinstance(last, str):
            assert last in text[line - 1].replace('"', ""), (path, line)


_keys = st.sampled_from(("a", "b-c", "d e", 'q"q', "ü", "#", "[x]", "1"))
_values = st.recursive(
    st.one_of(
        st.integers(-9, 9), st.booleans(), st.sampled_from(("", "a # b", "x = [1]", 'it"s', "l1\nl2", "}", "]]"))
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_keys, inner, max_size=3)),
    max_leaves=8,
)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


class _Writer:
    """Writes TOML and remembers on which line each path begins: what the reader must find."""

    def __init__(self) -> None:
        self.text = ""
        self.places: dict[tuple[str | int, ...], int] = {}

    def put(self, text: str, path: tuple[str | int, ...] | None = None) -> None:
        if path is not None:
            self.places.setdefault(path, self.text.count("\n") + 1)
        self.text += text

    def value(self, value: Any, path: tuple[str | int, ...]) -> None:
        if isinstance(value, list):
            self.put("[ # ]\n")
            for n, one in enumerate(value):
                self.put("", (*path, n))
                self.value(one, (*path, n))
                self.put(",\n # 'x' \n")
            self.put("]")
        elif isinstance(value, dict):
            self.put("{ ")
            for n, (key, one) in enumerate(value.items()):
                self.put(", " if n else "")
                self.put(f"{_quoted(key)} = ", (*path, key))
                self.value(one, (*path, key))
            self.put(" }")
        elif isinstance(value, str):
            if "\n" in value:
                self.put('"""')
                for n, line in enumerate(value.split("\n")):
                    self.put("\n" if n else "")
                    self.put(line, (*path, n))
                self.put('"""')
            else:
                self.put(f"'{value}'" if '"' in value else _quoted(value))
        else:
            self.put(str(value).lower())


@given(
    st.dictionaries(
        _keys,
        st.one_of(_values, st.lists(st.dictionaries(_keys, _values, max_size=3), min_size=1, max_size=3)),
        max_size=4,
    )
)
def test_places_in_any_text(data: dict[str, Any]) -> None:
    """Whatever stands in strings and comments, each key and element is found on the line on which it was written."""
    writer = _Writer()
    nested = {
        key: value
        for key, value in data.items()
        if isinstance(value, list) and value and all(isinstance(v, dict) for v in value)
    }
    for key, value in data.items():
        if key not in nested:
            writer.put(f"{_quoted(key)} = ", (key,))
            writer.value(value, (key,))
            writer.put("\n\n# [not.a.table]\n")
    for key, tables in nested.items():
        for n, table in enumerate(tables):
            writer.put("", (key,))
            writer.put(f"[[ {_quoted(key)} ]] # ]]\n", (key, n))
            for name, value in table.items():
                writer.put(f"{_quoted(name)} = ", (key, n, name))
                writer.value(value, (key, n, name))
                writer.put("\n")
    assert tomllib.loads(writer.text) == data
    assert lines(writer.text) == writer.places


def test_lines_of_a_text() -> None:
    """A newline right behind the quotes is none of the text's, as in TOML; joined lines have no places of their own."""
    known = lines('a = 1\nb = \'\'\'\nx\ny\'\'\'\nc = {d = """x\n\ny"""}\ne = """x\\\ny"""\n')
    assert {path: line for path, line in known.items() if path[0] != "a"} == {
        ("b",): 2, ("b", 0): 3, ("b", 1): 4, ("c",): 5, ("c", "d"): 5, ("c", "d", 0): 5, ("c", "d", 1): 6, ("c", "d", 2): 7, ("e",): 8,
    }  # fmt: skip


def test_the_nearest_place() -> None:
    """What does not stand in the text has the line of the table around it; what is nowhere has none."""
    known = lines("a = 1\n[b.c]\nd = [\n1]\n[[e]]\n[[e]]\n[e.f]\ng.h = 2\n")
    assert known[("e", 1, "f", "g", "h")] == 8
    assert [line_of(known, path) for path in (("b", "c", "x"), ("b", "c", "d", 0), ("e", 1, "y"), ("z",))] == [
        2,
        4,
        6,
        None,
    ]
