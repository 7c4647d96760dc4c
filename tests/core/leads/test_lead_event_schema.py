"""The schema of lead events: sound, unchanged, the same to both Avro libraries, and of the shape of the core's record."""

from __future__ import annotations

import io
from typing import Any, get_args

import avro.schema
import fastavro
import msgspec
import pytest
from avro.io import BinaryEncoder, DatumWriter

import schemas
from streams.core.leads.events import LeadEvent, ledger_state
from streams.core.leads.states import ChangeKind, State
from streams.core.ledger.types import LeadReason
from streams.core.ledger.types import LeadState as LedgerState
from streams.edge import schema_check
from streams.edge.avro_guard import plain
from tests.core.leads.test_stories import STORIES, told
from tests.core.leads.world import World


def test_it_has_no_problems() -> None:
    """It parses, is safe to read, documented, recorded in fingerprints.json and unchanged since."""
    assert schema_check.problems(["lead_event"]) == []


def test_every_event_goes_there_and_back() -> None:
    """The example and all events of all stories: the same bytes from avro-python3 and fastavro, and read back the same record."""
    events = [msgspec.convert(schema_check.example("lead_event"), LeadEvent)]
    for story in STORIES:
        world = World()
        for n, step in enumerate(story["steps"]):
            told(world, n, *step)
        events += world.records
    assert len({event.kind for event in events}) > 10
    by_name = avro.schema.Parse(schemas.text("lead_event"))
    schema = fastavro.parse_schema(plain(schemas.load("lead_event")))
    for event in events:
        datum = whole(event)
        by_avro, by_fastavro = io.BytesIO(), io.BytesIO()
        DatumWriter(by_name).write(datum, BinaryEncoder(by_avro))
        fastavro.schemaless_writer(by_fastavro, schema, datum)
        assert by_avro.getvalue() == by_fastavro.getvalue()
        by_fastavro.seek(0)
        assert msgspec.convert(fastavro.schemaless_reader(by_fastavro, schema, None), LeadEvent) == event
        assert ledger_state(event) in (None, *get_args(LedgerState))


def whole(value: Any) -> Any:
    """A record as Avro's libraries take it, with the defaults."""
    if isinstance(value, msgspec.Struct):
        return {name: whole(part) for name, part in msgspec.structs.asdict(value).items()}
    return list(map(whole, value)) if isinstance(value, tuple) else value


def test_its_fields_are_the_cores() -> None:
    """Same names in the same order."""
    assert [field["name"] for field in schemas.load("lead_event")["fields"]] == list(LeadEvent.__struct_fields__)


@pytest.mark.parametrize(
    ("field", "known"), [("kind", get_args(ChangeKind)), ("state", get_args(State)), ("reason", get_args(LeadReason))]
)
def test_the_enums_are_the_cores(field: str, known: tuple[str, ...]) -> None:
    """The symbols of an enum are `unknown` and then what the core knows, in its order."""
    (found,) = [one["type"] for one in schemas.load("lead_event")["fields"] if one["name"] == field]
    enum = found[1] if isinstance(found, list) else found
    assert tuple(enum["symbols"]) == ("unknown", *known)
