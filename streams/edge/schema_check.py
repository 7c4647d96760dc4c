"""Proves the schemas: parsed by avro-python3, safe to read, documented, unchanged since published, and compatible both ways.

Compatibility is that of the Avro specification 1.11, "Schema Resolution": a new reader reads old records, an old reader new
ones, between all versions of a subject. avro-python3's own `match_schemas` only looks at the outermost type, so the fields are
walked here and it decides on the leaves.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from importlib.resources import files
from typing import Any

import avro.schema
from avro.io import DatumReader

import schemas
from streams.edge.avro_guard import lint
from streams.edge.wire import fingerprint_of

NAMED = ("record", "error", "enum", "fixed")


def problems(subjects: Iterable[str] = schemas.SUBJECTS) -> list[str]:
    """What is wrong with the shipped schemas, one sentence each with subject, version and field; empty when all is well."""
    return [
        problem
        for subject in subjects
        for problem in (
            *_changed(subject),
            *subject_problems(subject, [schemas.text(subject, number) for number in schemas.versions(subject)]),
        )
    ]


def subject_problems(subject: str, texts: Sequence[str]) -> list[str]:
    """As `problems`, for the given versions of one subject, oldest first (JSON text)."""
    found, parsed = [], []
    for number, text in enumerate(texts, 1):
        try:
            schema, read = json.loads(text), avro.schema.Parse(text)
        except (ValueError, avro.schema.AvroException) as error:
            found.append(f"{subject} v{number}: avro-python3 cannot parse it: {error}")
            continue
        unsafe = lint(schema)
        found += [f"{subject} v{number}: {problem}" for problem in (*unsafe, *_undocumented(schema, ""))]
        if not unsafe:  # a recursive schema has no end to walk to
            parsed.append((number, read))
    for (older, old), (newer, new) in itertools.combinations(parsed, 2):
        found += [f"{subject}: a v{newer} reader cannot read v{older} records: {why}" for why in _clashes(old, new, "")]
        found += [f"{subject}: a v{older} reader cannot read v{newer} records: {why}" for why in _clashes(new, old, "")]
    return found


def example(subject: str) -> dict[str, Any]:
    """The example of a subject as a datum of its newest schema: as in `example.json`, with `bytes` values as bytes."""
    text = files("schemas").joinpath(subject, "example.json").read_text(encoding="utf-8")
    datum: dict[str, Any] = _with_bytes(schemas.load(subject), json.loads(text))
    return datum


def published() -> dict[str, dict[str, str]]:
    """The fingerprints of all published versions, `{"touch": {"v1": "<16 hex digits>"}}`, as they stand in the header."""
    recorded: dict[str, dict[str, str]] = json.loads(files("schemas").joinpath("fingerprints.json").read_text("utf-8"))
    return recorded


def _changed(subject: str) -> Iterator[str]:
    recorded = published().get(subject, {})
    for number in schemas.versions(subject):
        now, then = fingerprint_of(schemas.load(subject, number)).hex(), recorded.get(f"v{number}")
        if then is None:
            yield f"{subject} v{number}: not in schemas/fingerprints.json; add {now!r} when you publish it"
        elif now != then:
            yield f"{subject} v{number}: changed after it was published ({then} is now {now}); restore it and add a version"


def _undocumented(schema: Any, path: str) -> Iterator[str]:
    """Named types and fields without `doc`, optional fields without a default, enums that an old reader could not read."""
    if isinstance(schema, list):
        for branch in schema:
            yield from _undocumented(branch, path)
        return
    if not isinstance(schema, dict):
        return
    if schema["type"] in NAMED and not schema.get("doc"):
        yield f"{path or schema['name']}: the type {schema['name']} has no doc"
    if schema["type"] == "enum" and schema.get("default") != "unknown":
        yield f"{path or schema['name']}: the enum {schema['name']} needs the symbol `unknown` as its default"
    for field in schema.get("fields", ()):
        where = f"{path}.{field['name']}" if path else field["name"]
        if not field.get("doc"):
            yield f"{where}: the field has no doc"
        if isinstance(field["type"], list) and "null" in field["type"] and "default" not in field:
            yield f"{where}: the optional field has no default"
        yield from _undocumented(field["type"], where)
    yield from _undocumented(schema.get("items") or schema.get("values"), path)


def _clashes(writer: Any, reader: Any, path: str) -> Iterator[str]:
    """Why records of `writer` cannot be read with `reader`; both are avro-python3's schema objects."""
    where = path or "the record"
    if writer.type in ("union", "error_union"):
        for branch in writer.schemas:
            yield from _clashes(branch, reader, path)
    elif reader.type in ("union", "error_union"):
        attempts = [list(_clashes(writer, branch, path)) for branch in reader.schemas]
        if all(attempts):
            # Of several reasons the closest is that of the branch of the same type, when there is one.
            same = [why for branch, why in zip(reader.schemas, attempts, strict=True) if branch.type == writer.type]
            yield from same[0] if same else [f"{where}: {_name(writer)} is in no branch of the reader's union"]
    elif writer.type == reader.type == "record":
        yield from _record_clashes(writer, reader, path)
    elif writer.type == reader.type == "enum":
        missing = [symbol for symbol in writer.symbols if symbol not in reader.symbols]
        if missing and "default" not in reader.other_props:
            yield f"{where}: the symbols {', '.join(missing)} are unknown and the enum has no default"
    elif writer.type == reader.type == "array":
        yield from _clashes(writer.items, reader.items, f"{path}[]")
    elif writer.type == reader.type == "map":
        yield from _clashes(writer.values, reader.values, f"{path}{{}}")
    elif not DatumReader.match_schemas(writer, reader):
        yield f"{where}: {_name(writer)} cannot be read as {_name(reader)}"


def _record_clashes(writer: Any, reader: Any, path: str) -> Iterator[str]:
    if writer.name != reader.name:
        yield f"{path or 'the record'}: {writer.name} cannot be read as {reader.name}"
    written = {field.name: field for field in writer.fields}
    for field in reader.fields:
        where = f"{path}.{field.name}" if path else field.name
        if field.name in written:
            yield from _clashes(written[field.name].type, field.type, where)
        elif not field.has_default:
            yield f"{where}: the writer does not have this field, and it has no default"


def _name(schema: Any) -> str:
    return str(schema.fullname if schema.type in NAMED else schema.type)


def _with_bytes(schema: Any, value: Any) -> Any:
    """JSON to a datum: Avro's JSON encoding writes a byte as the character of that number."""
    if isinstance(schema, list):
        return None if value is None else _with_bytes(next(branch for branch in schema if branch != "null"), value)
    if schema == "bytes":
        return value.encode("latin-1")
    if not isinstance(schema, dict):
        return value
    if schema["type"] == "array":
        return [_with_bytes(schema["items"], item) for item in value]
    if schema["type"] == "record":
        return {field["name"]: _with_bytes(field["type"], value[field["name"]]) for field in schema["fields"]}
    return value
