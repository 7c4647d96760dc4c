"""What schemas may read bytes that anybody may have sent, and the errors of reading. Nothing here trusts a schema.

Both Avro libraries believe hostile bytes: avro-python3 hangs on an array of 2^40 nulls, fastavro takes gigabytes, crashes the
process on deep recursion, and takes index -1 of a union or an enum for the last branch. So our own reader checks every
byte (`avro_reader`, `avro_checks`; Avro specification 1.11, "Binary encoding"), and `resolve` refuses the schemas that no check can
make safe. Time and memory are bounded by the size of the input, because every item of an array or map takes at least one byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})
MAX_DEPTH = 32
"""Nested types in a schema. Ours have 4; deeper ones only cost stack."""

MAX_TYPES = 4096
"""Types that stand in a schema. Ours have 50; a reader of so many takes half a second to make, and the worker waits for it."""


class NotAvro(ValueError):
    """Bytes that the schema cannot have written. The text says what is wrong and at which byte."""


class UnknownSymbol(ValueError):
    """An enum holds `unknown`, which old readers see of newer symbols. The text is the path of the field."""


class UnsafeSchema(ValueError):
    """A schema that must not be used to read bytes from outside; the text says why."""


@dataclass(frozen=True, eq=False, slots=True)
class Type:
    """A type of a safe schema, its names resolved: a type that is used twice is the same object in both places.

    `kind` is a primitive's name or "record", "enum", "fixed", "array", "map", "union"; `name` the full name of a named type.
    `parts` are the types of a record's `fields`, the branches of a union, or the one of the items of an array or a map.
    """

    kind: str
    name: str = ""
    fields: tuple[str, ...] = ()
    parts: tuple[Type, ...] = ()
    symbols: tuple[str, ...] = ()
    size: int = 0
    height: int = 0

    @property
    def optional(self) -> Type | None:
        """The type of a value that may be missing, for the union of null and one other type, in this order."""
        nulls = [part.kind == "null" for part in self.parts] if self.kind == "union" else []
        return self.parts[1] if nulls == [True, False] else None


_PRIMITIVES = {kind: Type(kind) for kind in PRIMITIVES}


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
    """Why this schema is unsafe to read hostile bytes with; empty when it is safe. See `resolve`."""
    try:
        resolve(schema)
    except UnsafeSchema as error:
        return [str(error)]
    return []


def resolve(schema: Any) -> Type:
    """The types of a schema.

    Raises:
        UnsafeSchema: recursion (depth of the data unbounded), types of no bytes as items or fields (count unbounded), nesting
            deeper than `MAX_DEPTH`, more than `MAX_TYPES`, and anything that is not an Avro schema.
    """
    try:
        return _Resolver().resolve(plain(schema), "", "", 0)
    except RecursionError:
        raise UnsafeSchema(f"nested deeper than {MAX_DEPTH} types") from None
    except (KeyError, TypeError, AttributeError) as error:
        raise UnsafeSchema(f"not an Avro schema: {type(error).__name__} {error}") from None


class _Resolver:
    def __init__(self) -> None:
        self.named: dict[str, Type | None] = {}  # None while the type is being resolved: a use of it then is recursion
        self.count = 0

    def resolve(self, schema: Any, space: str, path: str, depth: int) -> Type:
        """`path` is where the schema stands, for errors; `space` the namespace there; `depth` the number of types around it."""
        _bounded(path, depth)
        self.count += 1
        if self.count > MAX_TYPES:
            raise UnsafeSchema(f"{path}: more than {MAX_TYPES} types")
        if isinstance(schema, list):
            return self._union(schema, space, path, depth)
        if isinstance(schema, str):
            return self._by_name(schema, space, path, depth)
        kind = schema["type"]
        if kind in {"array", "map"}:
            item = self.resolve(schema["items" if kind == "array" else "values"], space, path, depth + 1)
            return Type(kind, parts=(item,), height=item.height + 1)
        if kind in {"record", "enum", "fixed"}:
            return self._named(kind, schema, space, path, depth)
        return self.resolve(kind, space, path, depth + 1)

    def _by_name(self, name: str, space: str, path: str, depth: int) -> Type:
        if name == "null":
            raise UnsafeSchema(f"{path or 'the schema'}: null outside a union takes no bytes")
        if name in PRIMITIVES:
            return _PRIMITIVES[name]
        full = name if "." in name or not space else f"{space}.{name}"
        if full not in self.named:
            raise UnsafeSchema(f"{path or 'the schema'}: unknown type {full}")
        found = self.named[full]
        if found is None:
            raise UnsafeSchema(f"{path}: {full} contains itself")
        _bounded(path, depth + found.height)  # a chain of named types is as deep as if each stood within the other
        return found

    def _union(self, branches: list[Any], space: str, path: str, depth: int) -> Type:
        if not branches or any(isinstance(branch, list) for branch in branches):
            raise UnsafeSchema(f"{path}: an empty or nested union")
        parts = tuple(
            _PRIMITIVES["null"] if branch == "null" else self.resolve(branch, space, path, depth + 1)
            for branch in branches
        )
        return Type("union", parts=parts, height=1 + max(part.height for part in parts))

    def _named(self, kind: str, schema: Mapping[str, Any], space: str, path: str, depth: int) -> Type:
        full = full_name(schema, space)
        if full in self.named:
            raise UnsafeSchema(f"{path}: {full} is defined twice")
        self.named[full] = None
        if kind == "record":
            found = self._record(full, schema["fields"], path, depth)
        elif kind == "enum":
            found = Type(kind, full, symbols=tuple(schema["symbols"]))
        elif int.__index__(schema["size"]) > 0:
            found = Type(kind, full, size=schema["size"])
        else:
            raise UnsafeSchema(f"{full}: a fixed type of no bytes")
        self.named[full] = found
        return found

    def _record(self, full: str, fields: list[Any], path: str, depth: int) -> Type:
        if not fields:
            raise UnsafeSchema(f"{full}: a record without fields takes no bytes")
        space, prefix = full.rpartition(".")[0], f"{path}." if path else ""
        parts = tuple(self.resolve(field["type"], space, prefix + field["name"], depth + 1) for field in fields)
        names = tuple(field["name"] for field in fields)
        return Type("record", full, names, parts, height=1 + max(part.height for part in parts))


def _bounded(path: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise UnsafeSchema(f"{path}: nested deeper than {MAX_DEPTH} types")
