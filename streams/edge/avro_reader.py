"""Reads Avro bytes that anybody may have sent, at the hot path's speed: a schema becomes one flat Python function.

The common cases stand in line: values that are missing or there, texts of less than 64 bytes, numbers and enums of one byte,
records in records. All others call `avro_checks`. Nothing is trusted in either: every length, count and index is checked
before it is used (see `avro_guard`). `reader_source` shows the code; of an optional text it looks like this:

    branch = data[at]
    at += 1
    if branch == 0:
        campaign = None
    elif branch == 2:
        end = at + SPANS[data[at]]  # beyond the data for every length that is not one even byte
        if end <= limit:
            campaign = data[at + 1 : end].decode()
            at = end
        else:
            campaign, at = read_string(data, at)
    else:
        raise no_branch(at - 1)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from streams.edge import avro_checks as checks
from streams.edge.avro_checks import Read
from streams.edge.avro_guard import Type, UnsafeSchema, resolve
from streams.edge.avro_source import Source

Makers = Mapping[str, Callable[..., Any]]

_FAR = 1 << 62
_SPANS = tuple(1 + byte // 2 if byte < 0x80 and not byte & 1 else _FAR for byte in range(256))
"""By the first byte of a text: how far behind it the text ends. `_FAR`, which no data reaches, asks for the checked reader."""

_NAMES = {name: getattr(checks, name) for name in dir(checks) if name.startswith("read_")} | {
    "no_branch": checks.no_branch, "SPANS": _SPANS,
    "data": None, "at": None, "end": None, "limit": None, "branch": None, "byte": None,
}  # fmt: skip


def compile_reader(schema: Any, makers: Makers | None = None) -> Read:
    """A reader of one datum. Records become dicts, or what `makers[full name]` makes of their fields in order; arrays become tuples.

    With makers the symbol `unknown` raises UnknownSymbol. The reader raises NotAvro, IndexError or UnicodeDecodeError on bad bytes.

    Raises:
        UnsafeSchema: see `avro_guard.resolve`.
    """
    top = resolve(schema)
    generator = _Generator(makers, top)
    name = generator.function(top, "")
    read: Read = generator.source.run(f"Avro reader of {top.name or top.kind}")[name]
    return read


def reader_source(schema: Any, makers: Makers | None = None) -> str:
    """The code of `compile_reader`, for people."""
    top = resolve(schema)
    generator = _Generator(makers, top)
    generator.function(top, "")
    return generator.source.text()


class _Generator:
    """The methods that add code take the type, the name of the variable that gets the value, and the field's path for people."""

    def __init__(self, makers: Makers | None, top: Type) -> None:
        self.makers = makers
        self.source = Source(_NAMES)
        self.functions: dict[Type, str] = {}
        self.uses: Counter[Type] = Counter()  # a record that is used twice becomes a function: the code stays small
        self._count(top)

    def _count(self, kind: Type) -> None:
        self.uses[kind] += 1
        if self.uses[kind] == 1:
            for part in kind.parts:
                self._count(part)

    def function(self, kind: Type, path: str) -> str:
        """Name of a function that reads the type."""
        if f"read_{kind.kind}" in _NAMES and not kind.parts and not kind.size:
            return f"read_{kind.kind}"
        if kind not in self.functions:
            name = self.functions[kind] = self.source.word(f"read_{kind.name.rpartition('.')[2] or path or kind.kind}")
            with self.source.function(f"def {name}(data, at):"):
                self.source.add("limit = len(data)")
                value = self.source.word(path or "value")
                self._body(kind, value, path)
                self.source.add(f"return {value}, at")
        return self.functions[kind]

    def _value(self, kind: Type, to: str, path: str) -> None:
        if kind.kind == "record" and self.uses[kind] > 1:
            self.source.add(f"{to}, at = {self.function(kind, path)}(data, at)")
        else:
            self._body(kind, to, path)

    def _body(self, kind: Type, to: str, path: str) -> None:
        add, block = self.source.add, self.source.block
        if kind.kind == "record":
            self._record(kind, to, path)
        elif kind.optional is not None:
            add("branch = data[at]", "at += 1")
            with block("if branch == 0:"):
                add(f"{to} = None")
            with block("elif branch == 2:"):
                self._value(kind.optional, to, path)
            with block("else:"):
                add("raise no_branch(at - 1)")
        elif kind.kind == "string":
            add("end = at + SPANS[data[at]]")
            with block("if end <= limit:"):
                add(f"{to} = data[at + 1 : end].decode()", "at = end")
            with block("else:"):
                add(f"{to}, at = read_string(data, at)")
        elif kind.kind in {"int", "long"}:
            add("byte = data[at]")
            with block("if byte < 0x80:"):
                add(f"{to} = byte >> 1 ^ -(byte & 1)", "at += 1")
            with block("else:"):
                add(f"{to}, at = read_{kind.kind}(data, at)")
        elif kind.kind == "enum":
            self._enum(kind, to, path)
        elif kind.kind == "fixed":
            add(f"{to}, at = read_fixed(data, at, {kind.size:d})")
        elif kind.parts:  # array, map, union
            parts = ", ".join(self.function(part, path) for part in kind.parts)
            call = f"{to}, at = read_{kind.kind}(data, at, {parts})"
            if kind.kind == "array":
                with block("if data[at] == 0:"):
                    add(f"{to} = ()", "at += 1")
                with block("else:"):
                    add(call)
            else:
                add(call)
        else:
            add(f"{to}, at = read_{kind.kind}(data, at)")

    def _record(self, kind: Type, to: str, path: str) -> None:
        paths = [f"{path}.{field}" if path else field for field in kind.fields]
        values = [self.source.word(field) for field in paths]
        for part, value, where in zip(kind.parts, values, paths, strict=True):
            self._value(part, value, where)
        if self.makers is None:
            items = ", ".join(f"{field!a}: {value}" for field, value in zip(kind.fields, values, strict=True))
            self.source.add(f"{to} = {{{items}}}")
            return
        maker = self.makers[kind.name]
        # Older versions have the first fields only; the record's defaults stand for the others.
        known = tuple(getattr(maker, "__struct_fields__", kind.fields))
        optional = len(getattr(maker, "__struct_defaults__", ()))
        if kind.fields != known[: len(kind.fields)] or len(kind.fields) < len(known) - optional:
            raise UnsafeSchema(f"{kind.name}: fields differ from those of {maker}")
        self.source.add(f"{to} = {self._maker(kind, maker)}({', '.join(values)})")

    def _maker(self, kind: Type, maker: Callable[..., Any]) -> str:
        return self.source.constant(f"make_{kind.name.rpartition('.')[2]}", maker)

    def _enum(self, kind: Type, to: str, path: str) -> None:
        symbols, refuse_at = kind.symbols, path if self.makers is not None else None
        # By the byte: the symbol, or None for what the checked reader must look at.
        common: list[str | None] = [None] * 256
        for index, symbol in enumerate(symbols[:64]):
            common[index * 2] = None if symbol == "unknown" and refuse_at is not None else symbol
        name = self.source.constant(path or "enum", tuple(common))
        every = self.source.constant(f"{path or 'enum'}_symbols", symbols)
        self.source.add(f"{to} = {name}[data[at]]")
        with self.source.block(f"if {to} is None:"):
            self.source.add(f"{to}, at = read_symbol(data, at, {every}, {refuse_at!a})")
        with self.source.block("else:"):
            self.source.add("at += 1")
