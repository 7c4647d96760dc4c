"""The schemas of deals and costs: sound, unchanged, the same to both Avro libraries, and of the shape of the core's records."""

from __future__ import annotations

import io
from typing import Any

import avro.schema
import fastavro
import msgspec
import pytest
from avro.io import BinaryEncoder, DatumWriter

import schemas
from streams.core.ledger.types import COST_KINDS, STAGES, Cost, Deal
from streams.edge import schema_check
from streams.edge.avro_guard import plain

RECORDS: dict[str, Any] = {"deal": Deal, "cost": Cost}


@pytest.mark.parametrize("subject", RECORDS)
def test_the_example_is_the_cores_record(subject: str) -> None:
    """avro-python3 and fastavro write the example as the same bytes; read back it is a core record with the same fields in order."""
    example = schema_check.example(subject)
    by_avro, by_fastavro = io.BytesIO(), io.BytesIO()
    DatumWriter(avro.schema.Parse(schemas.text(subject))).write(example, BinaryEncoder(by_avro))
    schema = fastavro.parse_schema(plain(schemas.load(subject)))
    fastavro.schemaless_writer(by_fastavro, schema, example)
    assert by_avro.getvalue() == by_fastavro.getvalue()
    by_fastavro.seek(0)
    record = msgspec.convert(fastavro.schemaless_reader(by_fastavro, schema, None), RECORDS[subject])
    fields = [field["name"] for field in schemas.load(subject)["fields"]]
    assert msgspec.structs.asdict(record).keys() == example.keys()
    assert fields == list(RECORDS[subject].__struct_fields__)


@pytest.mark.parametrize(("subject", "field", "known"), [("deal", "stage", STAGES), ("cost", "kind", COST_KINDS)])
def test_the_enums_are_the_cores(subject: str, field: str, known: tuple[str, ...]) -> None:
    """The symbols of an enum are `unknown` and then what the core knows, in its order."""
    (found,) = [one for one in schemas.load(subject)["fields"] if one["name"] == field]
    assert tuple(found["type"]["symbols"]) == ("unknown", *known)
