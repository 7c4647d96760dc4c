"""The codec with a real schema registry (Apicurio, Confluent-compatible API)."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Iterator
from typing import Any

import fastavro
import pytest

import schemas
from streams.edge.codec import Codec, DecodeError, EncodeError
from streams.edge.registry import Registry, RegistryRefused, UnusableSchema
from streams.edge.schema_book import FORGET_AFTER
from streams.edge.schema_check import example
from streams.edge.topics import catalogue
from streams.settings import Settings
from tests.support import schema_registry
from tests.support.samples import TOUCH, decoders, payloads
from tests.support.schema_registry import SchemaRegistry


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SchemaRegistry]:
    """One registry for the tests of this module; each uses subjects of its own."""
    with schema_registry.started(tmp_path_factory.mktemp("registry")) as running:
        yield running


def refused(decode: Any, payload: bytes) -> DecodeError:
    """The error with which a payload is refused."""
    with pytest.raises(DecodeError) as caught:
        decode(payload)
    return caught.value


def framed(schema_id: int, body: bytes) -> bytes:
    """Confluent framing, written here anew."""
    return b"\x00" + schema_id.to_bytes(4, "big") + body


def register(server: SchemaRegistry, subject: str, schema: Any, **more: Any) -> int:
    """Registers a schema without our client; the id."""
    schema_id: int = server.ask(f"subjects/{subject}/versions", {"schema": json.dumps(schema), **more})["id"]
    return schema_id


async def learned(server: SchemaRegistry, payload: bytes) -> Codec:
    """A codec that has looked up what the payload names."""
    async with Registry(server.url) as registry:
        codec = Codec(registry)
        await codec.learn(codec.unknown_ids([payload]))
        assert codec.unknown_ids([payload]) == set()
        return codec


def test_records_are_written_with_ids_of_their_topics_subjects(server: SchemaRegistry) -> None:
    """Every topic's schema is registered as `<topic>-value`; records carry that id, and another process reads them back."""
    topics = catalogue(Settings(topic_prefix="tenant."))

    async def run() -> tuple[Codec, dict[str, bytes], Codec]:
        async with Registry(server.url) as first, Registry(server.url) as second:
            writer, reader = Codec(first, topics=topics), Codec(second, topics=topics)
            await writer.prepare()
            written = payloads(writer)
            ids = reader.unknown_ids(written.values())
            assert ids == {int.from_bytes(value[1:5], "big") for value in written.values()}
            await reader.learn(ids)
            return writer, written, reader

    writer, written, reader = asyncio.run(run())
    assert {value[:1] for value in written.values()} == {b"\x00"}
    wanted = {f"{spec.name}-value" for spec in topics if spec.schema}
    assert wanted <= set(server.ask("subjects")) and "tenant.touches.email-value" in wanted
    for spec in topics:
        if spec.schema is not None:
            found = server.ask(f"subjects/{spec.name}-value/versions/latest")
            assert json.loads(found["schema"]) == schemas.load(spec.schema)
    assert written["touch"] == framed(
        server.ask("subjects/tenant.touches.email-value/versions/latest")["id"], written["touch"][5:]
    )
    assert reader.decode_touch(written["touch"]) == TOUCH
    for subject, value in written.items():
        assert decoders(reader)[subject](value) == decoders(writer)[subject](value)


def test_a_second_start_gets_the_same_ids(server: SchemaRegistry) -> None:
    """Registering what is there already gives the ids that are there, and no new versions."""

    async def run() -> list[bytes]:
        values = []
        for _ in range(2):
            async with Registry(server.url) as registry:
                codec = Codec(registry)
                await codec.prepare()
                await codec.prepare()
                values.append(codec.encode_touch(TOUCH))
        return values

    first, second = asyncio.run(run())
    assert first == second
    assert server.ask("subjects/touches.email-value/versions") == [1]


def test_single_object_records_are_still_read(server: SchemaRegistry) -> None:
    """With a registry, records written before it was configured are read too; nothing is looked up for them."""

    async def run() -> None:
        async with Registry(server.url) as registry:
            codec, value = Codec(registry), Codec().encode_touch(TOUCH)
            assert codec.unknown_ids([value, b"", b"\x00"]) == set()
            assert codec.decode_touch(value) == TOUCH
            with pytest.raises(EncodeError, match="prepare"):
                codec.encode_touch(TOUCH)

    asyncio.run(run())


def test_a_producers_own_newer_schema_is_read(server: SchemaRegistry) -> None:
    """A touch written with a schema that we have never seen, with fields we do not know, is a touch."""
    schema = schemas.load("touch")
    schema["fields"].insert(0, {"name": "tags", "type": {"type": "map", "values": "string"}})
    schema["fields"].append({"name": "mood", "type": ["null", "string"], "default": None})
    schema_id = register(server, "newer-value", schema)
    out = io.BytesIO()
    fastavro.schemaless_writer(
        out, fastavro.parse_schema(schema), {**example("touch"), "tags": {"a": "b"}, "mood": "fine"}
    )
    value = framed(schema_id, out.getvalue())
    codec = asyncio.run(learned(server, value))
    assert codec.decode_touch(value) == TOUCH
    assert refused(codec.decode_touch, value[:-1]).reason == "undecodable"
    assert refused(codec.decode_finding, value).detail.startswith("the record is a Touch")


def test_a_newer_symbol_of_a_newer_schema_is_no_touch(server: SchemaRegistry) -> None:
    """A channel that this release does not know resolves to `unknown`, which is refused with the field's name."""
    schema = schemas.load("touch")
    schema["fields"][1]["type"]["symbols"].append("fax")
    schema_id = register(server, "fax-value", schema)
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), {**example("touch"), "channel": "fax"})
    value = framed(schema_id, out.getvalue())
    error = refused(asyncio.run(learned(server, value)).decode_touch, value)
    assert error.reason == "not_a_touch" and "channel" in error.detail


def test_a_schema_that_does_not_resolve_names_the_reason(server: SchemaRegistry) -> None:
    """A record whose schema lacks a field without default cannot be a touch; the schema is at fault, not the bytes."""
    schema = {
        "type": "record",
        "name": "Touch",
        "namespace": "io.touchstream",
        "fields": [{"name": "x", "type": "long"}],
    }
    value = framed(register(server, "lacking-value", schema), b"\x02")
    error = refused(asyncio.run(learned(server, value)).decode_touch, value)
    assert error.reason == "unknown_schema" and "touch_id" in error.detail


@pytest.mark.parametrize(
    ("subject", "schema", "more", "words"),
    [
        (
            "recursive-value",
            {"type": "record", "name": "Touch", "fields": [{"name": "next", "type": ["null", "Touch"]}]},
            {},
            "contains itself",
        ),
        (
            "nulls-value",
            {"type": "record", "name": "Touch", "fields": [{"name": "n", "type": {"type": "array", "items": "null"}}]},
            {},
            "takes no bytes",
        ),
        (
            "json-value",
            {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"},
            {"schemaType": "JSON"},
            "JSON, not Avro",
        ),
    ],
)
def test_unsafe_and_foreign_schemas_are_not_used(
    server: SchemaRegistry, subject: str, schema: Any, more: dict[str, str], words: str
) -> None:
    """Recursive schemas, arrays of nulls and JSON Schema are refused before any byte is read with them."""
    value = framed(register(server, subject, schema, **more), b"\x80\x80\x80\x80\x80\x40")
    error = refused(asyncio.run(learned(server, value)).decode_touch, value)
    assert error.reason == "unknown_schema" and words in error.detail


def test_an_unknown_id_is_asked_for_once_a_minute(server: SchemaRegistry) -> None:
    """An id that the registry does not know is a dead letter at once, and is asked for again after a minute."""
    now = [1000.0]
    value = framed(999_999, b"body")

    async def run() -> None:
        async with Registry(server.url) as registry:
            codec = Codec(registry, clock=lambda: now[0])
            assert "not looked up" in refused(codec.decode_touch, value).detail
            assert codec.unknown_ids([value]) == {999_999}
            await codec.learn({999_999})
            assert codec.unknown_ids([value]) == set()
            error = refused(codec.decode_touch, value)
            assert error.reason == "unknown_schema" and "does not know this id" in error.detail
            now[0] += FORGET_AFTER - 0.001
            assert codec.unknown_ids([value]) == set()
            now[0] += 0.002
            assert codec.unknown_ids([value]) == {999_999}

    asyncio.run(run())


def test_an_incompatible_schema_is_refused_by_the_registry(server: SchemaRegistry) -> None:
    """What the registry's own compatibility rule refuses is RegistryRefused with its words, not a reason to wait."""
    register(server, "strict-value", schemas.load("touch"))
    server.ask("config/strict-value", {"compatibility": "FULL"}, "PUT")
    broken = schemas.load("touch")
    broken["fields"].append({"name": "mood", "type": "string"})

    async def run() -> None:
        async with Registry(server.url) as registry:
            with pytest.raises(RegistryRefused, match=r"strict-value.*409"):
                await registry.register("strict-value", json.dumps(broken))

    asyncio.run(run())


def test_the_client_speaks_of_ids_and_addresses(server: SchemaRegistry) -> None:
    """Fetching gives the schema as registered; an unknown id and a wrong path each have their own error."""

    async def run() -> None:
        async with Registry(server.url) as registry:
            schema_id = await registry.register("plain/odd name-value", schemas.text("command"))
            assert json.loads(await registry.fetch(schema_id)) == schemas.load("command")
            with pytest.raises(UnusableSchema, match="does not know"):
                await registry.fetch(999_998)
        async with Registry(server.url + "/nowhere/") as registry:
            with pytest.raises(RegistryRefused, match="is the address right"):
                await registry.register("x-value", schemas.text("command"))

    asyncio.run(run())
    assert "plain/odd name-value" in server.ask("subjects")
