"""Splitting files into records: forms, broken records, line numbers, and speed that does not depend on hostility."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.ingest.split import records

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(['"', "\\", "}{", "],[", "\n", "é"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.lists(st.dictionaries(st.text(max_size=4), VALUES, max_size=4), max_size=6)


@given(objects=OBJECTS, indent=st.none() | st.integers(0, 4), ascii_only=st.booleans())
@settings(max_examples=200, deadline=None)
def test_a_valid_array_is_split_into_its_elements(objects: list[Any], indent: int | None, ascii_only: bool) -> None:
    """However an array is printed, its records are its elements."""
    data = json.dumps(objects, indent=indent, ensure_ascii=ascii_only).encode()
    assert [json.loads(record) for _, record in records(data)] == objects


@given(objects=OBJECTS)
@settings(max_examples=100, deadline=None)
def test_json_lines_are_split_with_their_lines(objects: list[Any]) -> None:
    """Objects one a line are records, each with the number of its line."""
    data = b"\n".join(json.dumps(value).encode() for value in objects)
    assert [(line, json.loads(record)) for line, record in records(data)] == list(enumerate(objects, 1))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b" \n\n", []),
        (b"[]", []),
        (b'{"a":1}\n\n{"b":"open}\n{"c":1}', [(1, b'{"a":1}'), (3, b'{"b":"open}'), (4, b'{"c":1}')]),
        (b'{"d":\n{"e":1}\n', [(1, b'{"d":'), (2, b'{"e":1}')]),
        (b'[{"a":1},\n{"b":,\n{"c":1}]', [(1, b'{"a":1}'), (2, b'{"b":'), (3, b'{"c":1}')]),
        (b'[\n {\n  "a": [\n   {"x": 1}\n },\n {"q": 2}\n]', [(2, b'{\n  "a": [\n   {"x": 1}\n }'), (6, b'{"q": 2}')]),
        (b'[{"a":1},7,"x,]",null]', [(1, b'{"a":1}'), (1, b"7"), (1, b'"x,]"'), (1, b"null")]),
        (b"a=1&b=2\r\nnonsense\n", [(1, b"a=1&b=2"), (2, b"nonsense")]),
        (b'{"a":1}}\n{"b":1}', [(1, b'{"a":1}'), (1, b"}"), (2, b'{"b":1}')]),
        (b'[[{"a":1}],\n[{"b":1}]]', [(1, b'{"a":1}'), (2, b'{"b":1}')]),
    ],
    ids=[
        "an empty file", "blank lines", "an empty array", "an open string ends with its line",
        "an open object ends where a line begins another", "a broken element of an array",
        "a broken element of an indented array",
        "elements that are no objects", "plain lines",
        "one bracket too many", "arrays in an array",
    ],
)  # fmt: skip
def test_broken_records_end_where_the_next_begins(data: bytes, expected: list[tuple[int, bytes]]) -> None:
    """A record that is broken costs only itself, and keeps its own bytes."""
    assert list(records(data)) == expected


def test_pages_of_list_apis_are_opened() -> None:
    """The records of a page are its list's elements, also when one is broken; what is behind the list is left out."""
    data = b'{"size":2,"items":[{"a":{"items":[1]}},\n{"b":oops}],"paging":{"next":"x"}}\n{"items":[]}\n{"z":1}'
    assert list(records(data, ("items",))) == [(1, b'{"a":{"items":[1]}}'), (2, b'{"b":oops}'), (4, b'{"z":1}')]


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":\n' * 50_000,
        b"[" * 300_000,
        b'{"a":' * 50_000,
        b'{"a":"\\' * 50_000,
        b'{"a":1}' * 50_000,
        b" {" * 100_000,
    ],
    ids=["open objects", "open arrays", "nested objects", "open strings", "objects on one line", "braces on one line"],
)
def test_hostile_files_are_split_in_one_pass(data: bytes) -> None:
    """Files made to be rescanned end: every record begins behind the one before it."""
    lines = [line for line, _ in records(data)]
    assert lines == sorted(lines)
    assert sum(len(record) for _, record in records(data)) <= len(data)
