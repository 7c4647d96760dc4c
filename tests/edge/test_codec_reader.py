"""Readers and writers made from a schema: readable code that reads what fastavro writes, whatever the schema says."""

from __future__ import annotations

import inspect
import io
import struct
from types import SimpleNamespace
from typing import Any

import fastavro
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import schemas
from streams.edge import avro_reader, avro_writer
from streams.edge.avro_guard import NotAvro, UnknownSymbol, UnsafeSchema, resolve
from streams.edge.avro_reader import compile_reader, reader_source
from streams.edge.avro_writer import compile_writer, writer_source, zigzag
from streams.edge.records import MAKERS

OPTIONAL_TEXT = {"type": "record", "name": "R", "fields": [{"name": "campaign", "type": ["null", "string"]}]}

text = st.text(st.characters(codec="utf-8"), max_size=70)
names = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=6)
LEAVES: dict[str, st.SearchStrategy[Any]] = {
    "boolean": st.booleans(),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1) | st.integers(0, 2**42),
    "float": st.floats(width=32, allow_nan=False),
    "double": st.floats(allow_nan=False),
    "bytes": st.binary(max_size=200),
    "string": text,
}


@st.composite
def typed(draw: st.DrawFn, counter: list[int], depth: int = 0) -> tuple[Any, st.SearchStrategy[Any]]:
    """A schema and a strategy of data for it. `counter` numbers the named types."""
    kinds = [*LEAVES, "enum", "fixed", *(["record", "array", "map", "optional", "union"] if depth < 3 else [])]
    kind = draw(st.sampled_from(kinds))
    if kind in LEAVES:
        return kind, LEAVES[kind]
    counter[0] += 1
    name = f"N{counter[0]}"
    if kind == "enum":
        symbols = draw(st.lists(names, min_size=1, max_size=70, unique=True))
        return {"type": "enum", "name": name, "symbols": symbols}, st.sampled_from(symbols)
    if kind == "fixed":
        size = draw(st.integers(1, 9))
        return {"type": "fixed", "name": name, "size": size}, st.binary(min_size=size, max_size=size)
    if kind == "record":
        fields = {field: draw(typed(counter, depth + 1)) for field in draw(st.sets(names, min_size=1, max_size=5))}
        schema = {"type": "record", "name": name, "fields": [{"name": f, "type": t} for f, (t, _) in fields.items()]}
        return schema, st.fixed_dictionaries({field: data for field, (_, data) in fields.items()})
    part, data = draw(typed(counter, depth + 1))
    if kind == "array":
        return {"type": "array", "items": part}, st.lists(data, max_size=3)
    if kind == "map":
        return {"type": "map", "values": part}, st.dictionaries(text, data, max_size=3)
    if isinstance(part, list):
        return part, data  # Avro has no unions in unions
    if kind == "optional":
        return ["null", part], st.none() | data
    return [part, "null"], st.none() | data


@st.composite
def written(draw: st.DrawFn) -> tuple[Any, Any, bytes]:
    """A schema, a datum, and its bytes as fastavro writes them."""
    schema, data = draw(typed([0]))
    datum = draw(data)
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), datum)
    return schema, datum, out.getvalue()


def tuples(value: Any) -> Any:
    """Lists as the tuples that the reader makes of arrays."""
    if isinstance(value, dict):
        return {name: tuples(item) for name, item in value.items()}
    return tuple(tuples(item) for item in value) if isinstance(value, list) else value


@given(written(), st.integers(0, 2**16))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_schema_is_read_as_fastavro_reads_it(case: tuple[Any, Any, bytes], cut: int) -> None:
    """Data of made-up schemas are read as they were written, to the last byte, wherever they stand; cut short they are refused."""
    schema, datum, data = case
    read = compile_reader(schema)
    expected = tuples(fastavro.schemaless_reader(io.BytesIO(data), fastavro.parse_schema(schema)))
    assert expected == tuples(datum)
    assert read(b"\xff\xff" + data + b"\xff", 2) == (expected, len(data) + 2)
    with pytest.raises((NotAvro, IndexError)):
        read(data[: cut % len(data)], 0)


@pytest.mark.parametrize(
    ("module", "source"),
    [(avro_reader, reader_source(OPTIONAL_TEXT)), (avro_writer, writer_source(OPTIONAL_TEXT))],
    ids=["reader", "writer"],
)
def test_the_code_is_what_the_module_shows(module: Any, source: str) -> None:
    """The sample in the module's documentation is what is made of a text that may be missing."""
    doc = inspect.cleandoc(module.__doc__)
    sample = [line for line in doc.splitlines() if line.startswith("    ")]
    code = [line.partition("  # ")[0] for line in sample]
    assert len(code) >= 6 and "\n".join(code) in source


def test_the_touch_reader_is_one_function() -> None:
    """All of a touch is read in line but for money, which it has twice."""
    source = reader_source(schemas.load("touch"), MAKERS)
    assert [line for line in source.splitlines() if line.startswith("def ")] == [
        "def read_Touch(data, at):",
        "def read_Money(data, at):",
    ]


@pytest.mark.parametrize(
    "name",
    ["a'); import os; ('", 'x"]\nraise SystemExit', "data", "at", "class", "read_string", "ü", "1", "", "\\", "{at}"],
)
def test_names_of_a_schema_do_not_become_code(name: str) -> None:
    """A schema from a registry may name fields and symbols as it likes: they are keys and values, never code."""
    symbols = {"type": "enum", "name": f"E{name}", "symbols": [name, "b"]}
    fields = [
        {"name": name, "type": symbols},
        {"name": f"{name} ", "type": ["null", "string"]},
        {"name": name, "type": "int"},
    ]
    read = compile_reader({"type": "record", "name": f"R{name}", "fields": fields})
    assert read(b"\x00\x02\x02t\x08", 0) == ({name: 4, f"{name} ": "t"}, 5)


def test_a_type_used_twice_is_read_in_both_places() -> None:
    """A record, an enum and an array of records that stand in several places give the same values there."""
    money = {"type": "record", "name": "Money", "fields": [{"name": "amount", "type": "string"}]}
    rest, by_name = {"type": "array", "items": "Money"}, {"type": "map", "values": "Money"}
    fields = [("first", money), ("second", "Money"), ("rest", rest), ("map", by_name)]
    read = compile_reader({"type": "record", "name": "R", "fields": [{"name": n, "type": t} for n, t in fields]})
    value, _ = read(b"\x02a\x02b\x04\x02c\x02d\x00\x02\x02k\x02e\x00", 0)
    amounts = [value["first"], value["second"], *value["rest"], value["map"]["k"]]
    assert [amount["amount"] for amount in amounts] == list("abcde")


def test_symbols_beyond_one_byte_are_read() -> None:
    """An enum of 200 symbols is read to its last; the one after is refused, and `unknown` too where records are made."""
    enum = {"type": "enum", "name": "E", "symbols": [*(f"s{i}" for i in range(199)), "unknown"]}
    schema = {"type": "record", "name": "R", "fields": [{"name": "e", "type": enum}]}
    read, make = compile_reader(schema), compile_reader(schema, {"R": lambda e: e})
    for index in (0, 63, 64, 198):
        assert read(zigzag(index), 0) == ({"e": f"s{index}"}, len(zigzag(index)))
        assert make(zigzag(index), 0)[0] == f"s{index}"
    assert read(zigzag(199), 0)[0] == {"e": "unknown"}
    with pytest.raises(UnknownSymbol, match=r"^e$"):
        make(zigzag(199), 0)
    with pytest.raises(NotAvro, match="no symbol 200"):
        read(zigzag(200), 0)


def test_a_maker_with_other_fields_is_refused() -> None:
    """Fields are given by position, so a record whose fields stand otherwise in the schema must not be made."""
    swapped = schemas.load("touch")
    swapped["fields"][0], swapped["fields"][1] = swapped["fields"][1], swapped["fields"][0]
    with pytest.raises(UnsafeSchema, match="fields differ"):
        compile_reader(swapped, MAKERS)


@given(
    st.integers(-(2**63), 2**63 - 1)
    | st.sampled_from([s * 2**n + d for n in range(63) for s in (1, -1) for d in (-1, 0, 1)])
)
@settings(max_examples=300, deadline=None)
def test_numbers_are_written_and_read_as_fastavro_does(number: int) -> None:
    """Every 64-bit number, those at the borders of each length among them, has fastavro's bytes and comes back, also at the end."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, "long", number)
    assert zigzag(number) == out.getvalue()
    assert compile_reader("long")(zigzag(number), 0) == (number, len(zigzag(number)))


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 2**80, -(2**80)])
def test_numbers_of_more_than_64_bits_are_not_written(number: int) -> None:
    """They raise, in place of bytes that no reader takes."""
    with pytest.raises(OverflowError):
        zigzag(number)


def test_a_field_may_stand_elsewhere_in_the_record() -> None:
    """A writer takes a field from where `attributes` says, and writes long texts and bytes with their true length."""
    fields = [("a", "string"), ("b", ["null", "bytes"]), ("c", "double")]
    schema = {"type": "record", "name": "R", "fields": [{"name": n, "type": t} for n, t in fields]}
    write = compile_writer(schema, {"a": "part.text"})
    record = SimpleNamespace(part=SimpleNamespace(text="é" * 3000), b=b"x" * 9999, c=1.5)
    out = io.BytesIO()
    datum = {"a": "é" * 3000, "b": b"x" * 9999, "c": 1.5}
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), datum)
    assert write(b"head", record) == b"head" + out.getvalue()
    with pytest.raises(struct.error):
        write(b"", SimpleNamespace(part=record.part, b=None, c="1.5"))


def test_types_without_a_writer_are_refused_at_the_start() -> None:
    """A new version of a schema that has a map is noticed when its writer is made, not by the first record."""
    with pytest.raises(NotImplementedError, match="tags: no writer of map"):
        compile_writer(
            {"type": "record", "name": "R", "fields": [{"name": "tags", "type": {"type": "map", "values": "int"}}]}
        )


def test_optional_is_null_and_one_other() -> None:
    """Only the union of null and one type, in this order, is read by its first byte."""
    assert resolve(["null", "int"]).optional is resolve("int")
    for union in (["int", "null"], ["null"], ["null", "int", "string"]):
        assert resolve(union).optional is None
