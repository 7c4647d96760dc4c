"""The published schemas: parsed by avro-python3, compatible, unchanged; both Avro libraries write the same bytes."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Callable
from typing import Any

import avro.io
import avro.schema
import fastavro
import pytest
from avro.io import BinaryDecoder, BinaryEncoder, DatumReader, DatumWriter

import schemas
from streams.edge import schema_check
from streams.edge.avro_guard import plain
from streams.edge.wire import fingerprint_of

PAIRS = [(s, w, r) for s in schemas.SUBJECTS for w in schemas.versions(s) for r in schemas.versions(s)]
V1 = [(s, 1) for s in schemas.SUBJECTS]


def parsed(subject: str, version: int) -> Any:
    """The schema as avro-python3 sees it."""
    return avro.schema.Parse(schemas.text(subject, version))


def written(subject: str, version: int) -> bytes:
    """The example, written by avro-python3 without framing."""
    out = io.BytesIO()
    datum = fitting(parsed(subject, version), schema_check.example(subject))
    DatumWriter(parsed(subject, version)).write(datum, BinaryEncoder(out))
    return out.getvalue()


def fitting(schema: Any, datum: Any) -> Any:
    """The datum with only those fields that the schema has."""
    if schema.type == "union" and datum is not None:
        return fitting(schema.schemas[1], datum)
    if schema.type == "array":
        return [fitting(schema.items, item) for item in datum]
    if schema.type == "record":
        return {field.name: fitting(field.type, datum[field.name]) for field in schema.fields}
    return datum


def changed(subject: str, change: Callable[[dict[str, Any]], object]) -> list[str]:
    """What the check says of a version 2 made from version 1 by `change`."""
    schema = copy.deepcopy(schemas.load(subject, 1))
    change(schema)
    return schema_check.subject_problems(subject, [schemas.text(subject, 1), json.dumps(schema)])


def test_shipped_schemas_have_no_problems() -> None:
    """Every schema parses, is safe to read, documented, unchanged, and compatible with its other versions."""
    assert schema_check.problems() == []


@pytest.mark.parametrize(("subject", "writer", "reader"), PAIRS)
def test_every_version_reads_every_other(subject: str, writer: int, reader: int) -> None:
    """avro-python3 reads the example with each version of the subject, whichever version wrote it."""
    assert DatumReader.match_schemas(parsed(subject, writer), parsed(subject, reader))
    data = BinaryDecoder(io.BytesIO(written(subject, writer)))
    read = DatumReader(parsed(subject, writer), parsed(subject, reader)).read(data)
    both = parsed(subject, min(writer, reader))
    assert fitting(both, read) == fitting(both, schema_check.example(subject))


@pytest.mark.parametrize("subject", schemas.SUBJECTS)
@pytest.mark.parametrize("logical", [True, False])
def test_both_libraries_write_the_same_bytes(subject: str, logical: bool) -> None:
    """fastavro writes the example byte for byte as avro-python3 does, with and without logical types."""
    out = io.BytesIO()
    schema = schemas.load(subject) if logical else plain(schemas.load(subject))
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), schema_check.example(subject))
    assert out.getvalue() == written(subject, schemas.versions(subject)[-1])


@pytest.mark.parametrize(("subject", "version"), V1)
def test_published_versions_do_not_change(subject: str, version: int) -> None:
    """The fingerprint of a published schema is the recorded one; documentation may be improved, fields may not."""
    now = fingerprint_of(schemas.load(subject, version)).hex()
    assert now == schema_check.published()[subject][f"v{version}"]


def test_fingerprint_is_the_specifications() -> None:
    """The fingerprint of "null" is the one that the Avro specification's CRC-64-AVRO gives, little-endian."""
    assert int.from_bytes(fingerprint_of("null"), "little") == 0x63DD24E7CC258F8A


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s["fields"][5].update(type="string"), ("v2 reader cannot read v1", "occurred_at: long")),
        (lambda s: s["fields"].append({"name": "mood", "type": "string", "doc": "Mood."}), ("v2 reader", "mood")),
        (lambda s: s["fields"].pop(4), ("v1 reader cannot read v2", "kind: the writer does not have this field")),
        (lambda s: s["fields"][6]["type"]["fields"][0].update(type="string"), ("v2 reader", "customer.email")),
        (lambda s: s.update(name="Contact"), ("Contact cannot be read as Touch",)),
        (lambda s: s["fields"][1]["type"].pop("default"), ("v2: channel: the enum Channel needs",)),
        (lambda s: s["fields"][9].pop("doc"), ("v2: campaign: the field has no doc",)),
        (lambda s: s["fields"][9].pop("default"), ("v2: campaign: the optional field has no default",)),
        (lambda s: s["fields"][9].update(type=["null", "Touch"]), ("v2: campaign: io.touchstream.Touch contains itself",)),
    ],
)  # fmt: skip
def test_an_incompatible_change_is_named(change: Callable[[dict[str, Any]], object], words: tuple[str, ...]) -> None:
    """A change that would break a reader, old or new, is reported with the versions and the field's path."""
    problems = changed("touch", change)
    assert any(all(word in problem for word in words) for problem in problems), problems


def test_a_compatible_change_passes() -> None:
    """A new optional field and a new enum symbol are no problem in either direction."""

    def change(schema: dict[str, Any]) -> None:
        schema["fields"].append({"name": "mood", "type": ["null", "string"], "doc": "Mood.", "default": None})
        schema["fields"][1]["type"]["symbols"].append("fax")

    assert changed("touch", change) == []


def test_a_text_that_is_no_schema_is_a_problem() -> None:
    """Broken JSON and unknown types are reported, not raised."""
    assert "cannot parse" in schema_check.subject_problems("touch", ['{"type": "rec'])[0]
    assert "cannot parse" in schema_check.subject_problems("touch", ['{"type": "recrod", "name": "Touch"}'])[0]
