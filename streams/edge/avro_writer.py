"""Writes records as Avro straight from their attributes, without a dict between: the hot path's encoder.

`fastavro.schemaless_writer` tries every union branch against the value, and of a touch's 35 fields 22 are unions. Here a schema
becomes one flat Python function that writes the same bytes (a test holds them equal). `writer_source` shows it; of a text that
may be missing it has:

    campaign = record.campaign
    if campaign is None:
        campaign = b'\\x00'
    else:
        campaign = campaign.encode()
        campaign = SOME_SIZES[len(campaign)] + campaign

All pieces are joined at the end. Only schemas that we ship are written, so only the types that they have are known.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from streams.edge.avro_guard import Type, resolve
from streams.edge.avro_source import Source

Write = Callable[..., bytes]
"""Takes the bytes of the header, the record and, for a spliced writer, the encoded field; gives header and body."""

_pack_timestamp = struct.Struct("6B").pack
_pack_double = struct.Struct("<d").pack


def _varint(rest: int) -> bytes:
    out = bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


_SHORT = tuple(map(_varint, range(2**13)))


def zigzag(value: int) -> bytes:
    """A long. Small numbers and six bytes (timestamps from 1971 to 2039) come before the rest, for speed."""
    rest = (value << 1) ^ (value >> 63)
    if 2**35 <= rest < 2**42:
        return _pack_timestamp(
            rest & 0x7F | 0x80,
            rest >> 7 & 0x7F | 0x80,
            rest >> 14 & 0x7F | 0x80,
            rest >> 21 & 0x7F | 0x80,
            rest >> 28 & 0x7F | 0x80,
            rest >> 35,
        )
    if rest < 2**13:
        return _SHORT[rest]
    if rest >> 64:
        raise OverflowError(f"{value} has more than 64 bits")
    return _varint(rest)


def zigzag_int(value: int) -> bytes:
    """An int."""
    if not -(2**31) <= value < 2**31:
        raise OverflowError(f"{value} has more than 32 bits")
    return zigzag(value)


class _Sizes(dict[int, bytes]):
    """Lengths as they are written, after `before`; the short ones stand ready."""

    def __init__(self, before: bytes) -> None:
        super().__init__((size, before + zigzag(size)) for size in range(2048))
        self._before = before

    def __missing__(self, size: int) -> bytes:
        return self._before + zigzag(size)


def _array(values: Iterable[Any], write: Callable[[Any], bytes]) -> bytes:
    if values == ():  # as a rule
        return b"\x00"
    items = [write(value) for value in values]
    return b"".join((zigzag(len(items)), *items, b"\x00")) if items else b"\x00"


_NAMES = {
    "BOOLEANS": {False: b"\x00", True: b"\x01"},
    "zigzag": zigzag, "zigzag_int": zigzag_int, "pack_double": _pack_double, "write_array": _array,
    "SIZES": _Sizes(b""), "SOME_SIZES": _Sizes(b"\x02"),
    "header": None, "record": None, "spliced": None, "item": None,
}  # fmt: skip


def compile_writer(schema: Any, attributes: Mapping[str, str] | None = None, spliced: str | None = None) -> Write:
    """A writer of objects whose attributes are named as the schema's fields, but for `attributes`: of the top record's fields those
    that stand elsewhere, as `{"due_at": "handoff.due_at"}`. The top field `spliced` is not taken from the object, but
    given in its encoding.

    The writer raises AttributeError, KeyError, TypeError, ValueError, OverflowError or struct.error on values that the schema
    cannot hold.
    """
    write: Write = _Generator(resolve(schema), attributes or {}, spliced).source.run("Avro writer")["write"]
    return write


def writer_source(schema: Any, attributes: Mapping[str, str] | None = None, spliced: str | None = None) -> str:
    """The code of `compile_writer`, for people."""
    return _Generator(resolve(schema), attributes or {}, spliced).source.text()


class _Generator:
    def __init__(self, top: Type, attributes: Mapping[str, str], spliced: str | None) -> None:
        self.source = Source(_NAMES)
        with self.source.function("def write(header, record, spliced=b''):"):
            pieces = ["header"]
            for field, part in zip(top.fields, top.parts, strict=True):
                if field == spliced:
                    pieces.append("spliced")
                else:
                    pieces += self._pieces(part, f"record.{attributes.get(field, field)}", field)
            self.source.add(f"return b''.join(({', '.join(pieces)}))")

    def _pieces(self, kind: Type, value: str, path: str) -> list[str]:
        """Adds the code that encodes an expression's value; gives the names of its pieces, in order."""
        name = value if value.isidentifier() and kind.kind == "record" else self.source.word(path)
        if kind.kind == "record":
            if name != value:
                self.source.add(f"{name} = {value}")
            return [
                piece
                for field, part in zip(kind.fields, kind.parts, strict=True)
                for piece in self._pieces(part, f"{name}.{field}", f"{path}_{field}")
            ]
        if kind.kind in {"string", "bytes"}:
            self.source.add(f"{name} = {value}{'.encode()' if kind.kind == 'string' else ''}")
            return [f"SIZES[len({name})]", name]
        if kind.optional is not None:
            self._optional(kind.optional, name, value, path)
        else:
            self.source.add(f"{name} = {self._call(kind, value, path)}")
        return [name]

    def _optional(self, some: Type, name: str, value: str, path: str) -> None:
        add, block = self.source.add, self.source.block
        add(f"{name} = {value}")
        with block(f"if {name} is None:"):
            add(f"{name} = b'\\x00'")
        with block("else:"):
            if some.kind in {"string", "bytes"}:
                if some.kind == "string":
                    add(f"{name} = {name}.encode()")
                add(f"{name} = SOME_SIZES[len({name})] + {name}")
            else:
                pieces = self._pieces(some, name, path)
                add(f"{name} = b''.join((b'\\x02', {', '.join(pieces)}))")

    def _call(self, kind: Type, value: str, path: str) -> str:
        """An expression that encodes a value which is one piece."""
        if kind.kind == "enum":
            symbols = {symbol: zigzag(i) for i, symbol in enumerate(kind.symbols) if symbol != "unknown"}
            return f"{self.source.constant(path, symbols)}[{value}]"
        if kind.kind == "array":
            return f"write_array({value}, {self._item(kind.parts[0], path)})"
        if kind.kind == "boolean":
            return f"BOOLEANS[{value}]"
        calls = {"long": "zigzag", "int": "zigzag_int", "double": "pack_double"}
        if kind.kind not in calls:
            raise NotImplementedError(f"{path}: no writer of {kind.kind} {[part.kind for part in kind.parts]}")
        return f"{calls[kind.kind]}({value})"

    def _item(self, kind: Type, path: str) -> str:
        function = self.source.word(f"write_{path}_item")
        with self.source.function(f"def {function}(item):"):
            self.source.add(f"return b''.join(({', '.join(self._pieces(kind, 'item', path))},))")
        return function
