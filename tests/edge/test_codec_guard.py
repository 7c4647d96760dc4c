"""The guard: all of Avro is read exactly, and schemas that would make reading unsafe are refused."""

from __future__ import annotations

import io
import math
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import schemas
from streams.edge.avro_guard import MAX_DEPTH, MAX_TYPES, NotAvro, lint
from streams.edge.avro_reader import compile_reader

KITCHEN_SINK: dict[str, Any] = {
    "type": "record",
    "name": "Sink",
    "namespace": "n",
    "fields": [
        {"name": "flag", "type": "boolean"},
        {"name": "small", "type": "int"},
        {"name": "big", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "single", "type": "float"},
        {"name": "double", "type": "double"},
        {"name": "raw", "type": "bytes"},
        {"name": "hash", "type": {"type": "fixed", "name": "Hash", "size": 3}},
        {"name": "again", "type": ["null", "Hash"]},
        {"name": "colour", "type": {"type": "enum", "name": "other.Colour", "symbols": ["red", "green"]}},
        {"name": "pages", "type": {"type": "map", "values": {"type": "array", "items": "string"}}},
        {"name": "either", "type": ["string", "null", "long"]},
        {"name": "inner", "type": {"type": "array", "items": {"type": "record", "name": "In", "fields": [
            {"name": "c", "type": "other.Colour"}, {"name": "h", "type": "n.Hash"}]}}},
    ],
}  # fmt: skip
PARSED = fastavro.parse_schema(KITCHEN_SINK)
READ = compile_reader(KITCHEN_SINK)

text = st.text(st.characters(codec="utf-8"), max_size=40)
fixed = st.binary(min_size=3, max_size=3)
colour = st.sampled_from(["red", "green"])
sinks = st.fixed_dictionaries(
    {
        "flag": st.booleans(),
        "small": st.integers(-(2**31), 2**31 - 1),
        "big": st.integers(-(2**63), 2**63 - 1),
        "single": st.floats(width=32, allow_nan=False),
        "double": st.floats(allow_nan=False),
        "raw": st.binary(max_size=200),
        "hash": fixed,
        "again": st.none() | fixed,
        "colour": colour,
        "pages": st.dictionaries(text, st.lists(text, max_size=3), max_size=3),
        "either": text | st.none() | st.integers(-(2**63), 2**63 - 1),
        "inner": st.lists(st.fixed_dictionaries({"c": colour, "h": fixed}), max_size=3),
    }
)


def tuples(value: Any) -> Any:
    """Lists as the tuples that the guard makes of arrays."""
    if isinstance(value, dict):
        return {name: tuples(item) for name, item in value.items()}
    return tuple(tuples(item) for item in value) if isinstance(value, list) else value


@given(sinks)
@settings(max_examples=150, deadline=None)
def test_everything_fastavro_writes_is_read(datum: dict[str, Any]) -> None:
    """Every Avro type is read as fastavro wrote it, to the last byte."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, PARSED, datum)
    assert READ(out.getvalue(), 0) == (tuples(datum), len(out.getvalue()))


@pytest.mark.parametrize(
    ("schema", "data"),
    [
        ("boolean", b"\x02"),
        (["string", "null", "long"], b"\x06"),
        (["string", "null", "long"], b"\x01"),
        ({"type": "map", "values": "int"}, b"\x08\x02a\x02"),
        ("int", b"\x80\x80\x80\x80\x10"),
        ("long", b"\xff" * 9 + b"\x02"),
        ("long", b"\xff" * 10 + b"\x01"),
        ("bytes", b"\x03\x00\x00"),
    ],
)
def test_inexact_bytes_are_refused(schema: Any, data: bytes) -> None:
    """Values outside a type's range are not taken for others."""
    with pytest.raises(NotAvro):
        compile_reader(schema)(data, 0)


@pytest.mark.parametrize("schema", ["float", "double", "boolean", {"type": "fixed", "name": "F", "size": 4}, "string"])
def test_missing_bytes_are_refused(schema: Any) -> None:
    """A value that is not there is an error, not a shorter one."""
    for data in (b"", b"\x08\x00\x00"[: 3 if schema != "boolean" else 0]):
        with pytest.raises((NotAvro, IndexError)):
            compile_reader(schema)(data, 0)


def test_the_ends_of_the_ranges_are_read() -> None:
    """The least and greatest int and long are themselves; infinity is a double."""
    assert compile_reader("long")(b"\xff" * 9 + b"\x01", 0) == (-(2**63), 10)
    assert compile_reader("long")(b"\xfe" + b"\xff" * 8 + b"\x01", 0) == (2**63 - 1, 10)
    assert compile_reader("int")(b"\xff\xff\xff\xff\x0f", 0) == (-(2**31), 5)
    assert compile_reader("double")(b"\x00" * 6 + b"\xf0\x7f", 0)[0] == math.inf


def record(*types: Any, name: str = "R") -> dict[str, Any]:
    """A record with fields of these types."""
    return {"type": "record", "name": name, "fields": [{"name": f"f{i}", "type": t} for i, t in enumerate(types)]}


def nested(depth: int) -> Any:
    """Records in records."""
    return "int" if depth == 0 else record(nested(depth - 1), name=f"R{depth}")


def chain(length: int) -> dict[str, Any]:
    """A record of records, each of which holds the one before by its name: flat to look at, deep to read."""
    first = {"type": "record", "name": "C0", "fields": [{"name": "x", "type": "int"}]}
    rest = [
        {"type": "record", "name": f"C{n}", "fields": [{"name": "x", "type": f"C{n - 1}"}]} for n in range(1, length)
    ]
    return record(first, *rest)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (record(["null", "R"]), "contains itself"),
        (record({"type": "array", "items": "R"}), "contains itself"),
        (record(record(["null", "R"], name="S")), "contains itself"),
        ({"type": "array", "items": "null"}, "takes no bytes"),
        ({"type": "map", "values": record()}, "takes no bytes"),
        ({"type": "array", "items": {"type": "fixed", "name": "F", "size": 0}}, "no bytes"),
        ({"type": "array", "items": {"type": "fixed", "name": "F", "size": -5}}, "no bytes"),
        (record("null", "int"), "takes no bytes"),
        ([], "empty"),
        (["null", ["int"]], "nested union"),
        (record("Unheard"), "unknown type Unheard"),
        (record(record("int")), "defined twice"),
        (nested(MAX_DEPTH + 1), "deeper"),
        (nested(300), "deeper"),
        (chain(MAX_DEPTH), "f31.x: nested deeper"),
        (chain(3000), "nested deeper"),
        (record(*["int"] * MAX_TYPES), "more than 4096 types"),
        ({"type": "record", "name": "R"}, "not an Avro schema"),
        ({"type": "enum", "name": "E", "symbols": None}, "not an Avro schema"),
        ({"type": {"type": {"type": 5}}}, "not an Avro schema"),
        (5, "not an Avro schema"),
        (None, "not an Avro schema"),
    ],
)
def test_unsafe_schemas_are_refused(schema: Any, words: str) -> None:
    """A schema that could make a decoder hang, crash or take all memory, or that is none, is refused with the reason."""
    (problem,) = lint(schema)
    assert words in problem


@pytest.mark.parametrize(
    "schema",
    [KITCHEN_SINK, "string", nested(MAX_DEPTH - 1), chain(MAX_DEPTH - 1), *map(schemas.load, schemas.SUBJECTS)],
)
def test_safe_schemas_pass(schema: Any) -> None:
    """Ordinary schemas, ours among them, are not refused, and a reader can be made of each."""
    assert lint(schema) == []
    compile_reader(schema)


def deepest(depth: int, around: Any) -> Any:
    """Types in types, as `around` makes each of the next."""
    return "int" if depth == 0 else around(deepest(depth - 1, around), depth)


@pytest.mark.parametrize(
    ("schema", "data"),
    [
        (
            deepest(MAX_DEPTH, lambda t, _: {"type": "array", "items": t}),
            b"\x02" * MAX_DEPTH + b"\x06" + b"\x00" * MAX_DEPTH,
        ),
        (deepest(MAX_DEPTH // 2, lambda t, n: record(["null", t], name=f"R{n}")), b"\x02" * (MAX_DEPTH // 2) + b"\x06"),
        (record(*["int"] * (MAX_TYPES - 1)), b"\x06" * (MAX_TYPES - 1)),
        ([record("int", name=f"R{n}") for n in range(MAX_TYPES // 2 - 1)], b"\x02\x06"),
    ],
    ids=["arrays", "optional records", "fields", "branches"],
)
def test_the_largest_schemas_can_be_read(schema: Any, data: bytes) -> None:
    """At the limits of depth and number Python still compiles the reader, and it reads to the end."""
    assert lint(schema) == []
    assert compile_reader(schema)(data, 0)[1] == len(data)
