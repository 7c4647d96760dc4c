"""Exact, bounded reading of Avro bytes that anybody may have sent. Nothing here trusts a length, a count or an index.

Both Avro libraries believe hostile bytes: avro-python3 hangs on an array of 2^40 nulls, fastavro takes gigabytes, crashes the
process on deep recursion, and takes index -1 of a union or an enum for the last branch. So `compile_reader` turns a schema
into functions that check every byte (Avro specification 1.11, "Binary encoding"), and `lint` refuses the schemas that no check can make
safe. Time and memory are bounded by the size of the input, because every item of an array or map takes at least one byte.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

Read = Callable[[bytes, int], tuple[Any, int]]
"""Takes the bytes and a position; gives the value and the position behind it."""

PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})
MAX_DEPTH = 32
"""Nested types in a schema. Ours have 4; deeper ones only cost stack."""


class NotAvro(ValueError):
    """Bytes that the schema cannot have written. The text says what is wrong and at which byte."""


class UnknownSymbol(ValueError):
    """An enum holds `unknown`, which old readers see of newer symbols. The text is the path of the field."""


class UnsafeSchema(ValueError):
    """A schema that must not be used to read bytes from outside; the text says why."""


def plain(schema: Any) -> Any:
    """The schema without logical types and documentation: timestamps stay integers (UTC milliseconds)."""
    if isinstance(schema, list):
        return [plain(branch) for branch in schema]
    if not isinstance(schema, dict):
        return schema
    kind = schema.get("type")
    if isinstance(kind, str) and kind in PRIMITIVES and "name" not in schema:
        return kind
    return {
        name: plain(value) if name in {"type", "items", "values", "fields"} else value
        for name, value in schema.items()
        if name not in {"doc", "logicalType"}
    }


def full_name(schema: Mapping[str, Any], namespace: str = "") -> str:
    """Full name of a named type, as the Avro specification defines it."""
    name: str = schema["name"]
    space: str = schema.get("namespace", namespace)
    return name if "." in name or not space else f"{space}.{name}"


def lint(schema: Any) -> list[str]:
    """Why this schema is unsafe to read hostile bytes with; empty when it is safe.

    Refused: recursion (depth of the data unbounded), types of no bytes as items or fields (count unbounded), nesting deeper than
    `MAX_DEPTH`, and anything that is not an Avro schema.
    """
    try:
        compile_reader(schema)
    except UnsafeSchema as error:
        return [str(error)]
    return []


def compile_reader(schema: Any, makers: Mapping[str, Callable[..., Any]] | None = None) -> Read:
    """A reader of one datum. Records become dicts, or what `makers[full name]` makes of their fields in order; arrays become tuples.

    With makers the symbol `unknown` raises UnknownSymbol. The reader raises NotAvro, IndexError or UnicodeDecodeError on bad bytes.

    Raises:
        UnsafeSchema: see `lint`.
    """
    try:
        return _Compiler(makers).compile(plain(schema), "", "", 0)
    except RecursionError:
        raise UnsafeSchema(f"nested deeper than {MAX_DEPTH} types") from None
    except (KeyError, TypeError, AttributeError) as error:
        raise UnsafeSchema(f"not an Avro schema: {type(error).__name__} {error}") from None


class _Compiler:
    def __init__(self, makers: Mapping[str, Callable[..., Any]] | None) -> None:
        self.makers = makers
        self.named: dict[str, Read | None] = {}  # None while the type is being compiled: a use of it then is recursion

    def compile(self, schema: Any, space: str, path: str, depth: int) -> Read:
        if depth > MAX_DEPTH:
            raise UnsafeSchema(f"{path}: nested deeper than {MAX_DEPTH} types")
        if isinstance(schema, list):
            return self._union(schema, space, path, depth)
        if isinstance(schema, str):
            return self._by_name(schema, space, path)
        kind = schema["type"]
        if kind in {"array", "map"}:
            item = self.compile(schema["items" if kind == "array" else "values"], space, path, depth + 1)
            return _array(item) if kind == "array" else _map(item)
        if kind in {"record", "enum", "fixed"}:
            return self._named(kind, schema, space, path, depth)
        return self.compile(kind, space, path, depth + 1)

    def _by_name(self, name: str, space: str, path: str) -> Read:
        if name == "null":
            raise UnsafeSchema(f"{path or 'the schema'}: null outside a union takes no bytes")
        if name in _READERS:
            return _READERS[name]
        full = name if "." in name or not space else f"{space}.{name}"
        if full not in self.named:
            raise UnsafeSchema(f"{path or 'the schema'}: unknown type {full}")
        found = self.named[full]
        if found is None:
            raise UnsafeSchema(f"{path}: {full} contains itself")
        return found

    def _union(self, branches: list[Any], space: str, path: str, depth: int) -> Read:
        if not branches or any(isinstance(branch, list) for branch in branches):
            raise UnsafeSchema(f"{path}: an empty or nested union")
        reads = [_null if branch == "null" else self.compile(branch, space, path, depth + 1) for branch in branches]
        if len(reads) == 2 and reads[0] is _null:
            return _optional(reads[1])
        return _choice(reads)

    def _named(self, kind: str, schema: Mapping[str, Any], space: str, path: str, depth: int) -> Read:
        full = full_name(schema, space)
        if full in self.named:
            raise UnsafeSchema(f"{path}: {full} is defined twice")
        self.named[full] = None
        read: Read
        if kind == "record":
            inner = full.rpartition(".")[0]
            names = [field["name"] for field in schema["fields"]]
            if not names:
                raise UnsafeSchema(f"{full}: a record without fields takes no bytes")
            prefix = f"{path}." if path else ""
            reads = [self.compile(f["type"], inner, prefix + f["name"], depth + 1) for f in schema["fields"]]
            read = self._record(full, names, reads)
        elif kind == "enum":
            read = _enum(list(schema["symbols"]), path if self.makers is not None else None)
        elif schema["size"] > 0:
            read = _fixed(schema["size"])
        else:
            raise UnsafeSchema(f"{full}: a fixed type of no bytes")
        self.named[full] = read
        return read

    def _record(self, full: str, names: list[str], reads: list[Read]) -> Read:
        if self.makers is None:
            return _dict_record(names, reads)
        maker = self.makers[full]
        if tuple(names) != tuple(getattr(maker, "__struct_fields__", names)):
            raise UnsafeSchema(f"{full}: fields differ from those of {maker}")
        return _made_record(maker, reads)


def _null(data: bytes, at: int) -> tuple[Any, int]:
    return None, at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A zig-zag long of at most 64 bits."""
    byte = data[at]
    value, shift, end = byte & 0x7F, 7, at + 1
    while byte > 0x7F:
        byte = data[end]
        value |= (byte & 0x7F) << shift
        shift += 7
        end += 1
        if shift > 63 and byte > 1:
            raise NotAvro(f"the number at byte {at} has more than 64 bits")
    return (value >> 1) ^ -(value & 1), end


def _int(data: bytes, at: int) -> tuple[int, int]:
    value, end = _varint(data, at)
    if not -(2**31) <= value < 2**31:
        raise NotAvro(f"the int at byte {at} has more than 32 bits")
    return value, end


def _span(data: bytes, at: int) -> tuple[int, int]:
    """Start and end of a length-prefixed run of bytes."""
    size = data[at]
    if size < 0x80 and not size & 1:
        start, size = at + 1, size >> 1
    else:
        size, start = _varint(data, at)
    if size < 0 or size > len(data) - start:
        raise NotAvro(f"the length at byte {at} is {size}, but {len(data) - start} bytes are left")
    return start, start + size


def _string(data: bytes, at: int) -> tuple[str, int]:
    start, end = _span(data, at)
    return data[start:end].decode(), end


def _bytes(data: bytes, at: int) -> tuple[bytes, int]:
    start, end = _span(data, at)
    return data[start:end], end


def _boolean(data: bytes, at: int) -> tuple[bool, int]:
    if data[at] > 1:
        raise NotAvro(f"the boolean at byte {at} is {data[at]}")
    return data[at] == 1, at + 1


def _packed(layout: str) -> Read:
    packer = struct.Struct(layout)

    def read(data: bytes, at: int) -> tuple[Any, int]:
        end = at + packer.size
        if end > len(data):
            raise IndexError
        return packer.unpack_from(data, at)[0], end

    return read


def _fixed(size: int) -> Read:
    def read(data: bytes, at: int) -> tuple[bytes, int]:
        if size > len(data) - at:
            raise IndexError
        return data[at : at + size], at + size

    return read


def _optional(some: Read) -> Read:
    def read(data: bytes, at: int) -> tuple[Any, int]:
        index = data[at]
        if index == 0:
            return None, at + 1
        if index == 2:
            return some(data, at + 1)
        raise NotAvro(f"the union at byte {at} has no branch of that index")

    return read


def _choice(reads: list[Read]) -> Read:
    def read(data: bytes, at: int) -> tuple[Any, int]:
        index, end = _varint(data, at)
        if not 0 <= index < len(reads):
            raise NotAvro(f"the union at byte {at} has no branch {index}")
        return reads[index](data, end)

    return read


def _enum(symbols: list[str], refuse_at: str | None) -> Read:
    def read(data: bytes, at: int) -> tuple[str, int]:
        index, end = _varint(data, at)
        if not 0 <= index < len(symbols):
            raise NotAvro(f"the enum at byte {at} has no symbol {index}")
        symbol = symbols[index]
        if refuse_at is not None and symbol == "unknown":
            raise UnknownSymbol(refuse_at)
        return symbol, end

    return read


def _blocks(data: bytes, at: int, item: Callable[[bytes, int], int]) -> int:
    """Walks the blocks of an array or a map; every item takes a byte at least, which bounds the counts."""
    while True:
        start = at
        count, at = _varint(data, at)
        if count == 0:
            return at
        end = None
        if count < 0:
            count = -count
            size, at = _varint(data, at)
            end = at + size
        if count > len(data) - at:
            raise NotAvro(f"the block at byte {start} says {count} items, but {len(data) - at} bytes are left")
        for _ in range(count):
            at = item(data, at)
        if end is not None and at != end:
            raise NotAvro(f"the block at byte {start} does not have the size that it says")


def _array(item: Read) -> Read:
    def read(data: bytes, at: int) -> tuple[tuple[Any, ...], int]:
        values: list[Any] = []

        def one(data: bytes, at: int) -> int:
            value, at = item(data, at)
            values.append(value)
            return at

        at = _blocks(data, at, one)
        return tuple(values), at

    return read


def _map(item: Read) -> Read:
    def read(data: bytes, at: int) -> tuple[dict[str, Any], int]:
        values: dict[str, Any] = {}

        def one(data: bytes, at: int) -> int:
            key, at = _string(data, at)
            values[key], at = item(data, at)
            return at

        at = _blocks(data, at, one)
        return values, at

    return read


def _dict_record(names: list[str], reads: list[Read]) -> Read:
    fields = list(zip(names, reads, strict=True))

    def read(data: bytes, at: int) -> tuple[dict[str, Any], int]:
        record: dict[str, Any] = {}
        for name, field in fields:
            record[name], at = field(data, at)
        return record, at

    return read


def _made_record(maker: Callable[..., Any], reads: list[Read]) -> Read:
    def read(data: bytes, at: int) -> tuple[Any, int]:
        values: list[Any] = []
        add = values.append
        for field in reads:
            value, at = field(data, at)
            add(value)
        return maker(*values), at

    return read


_READERS: dict[str, Read] = {
    "boolean": _boolean, "int": _int, "long": _varint, "float": _packed("<f"), "double": _packed("<d"),
    "bytes": _bytes, "string": _string,
}  # fmt: skip
