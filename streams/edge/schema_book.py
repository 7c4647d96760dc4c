"""The schemas that bytes may have been written with: those this release ships, and those learned from a registry."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from fastavro import parse_schema

import schemas
from streams.edge.avro_checks import Read
from streams.edge.avro_guard import UnsafeSchema, plain
from streams.edge.avro_reader import compile_reader
from streams.edge.records import MAKERS
from streams.edge.registry import Registry, UnusableSchema
from streams.edge.topics import TopicSpec
from streams.edge.wire import (
    CONFLUENT,
    CONFLUENT_HEADER,
    SINGLE_OBJECT,
    SINGLE_OBJECT_HEADER,
    DecodeError,
    EncodeError,
    confluent_header,
    confluent_id,
    single_object_header,
)

FORGET_AFTER = 60.0
"""Seconds for which an id that the registry does not know is not asked for again."""

FORGET_ABOVE = 10_000
"""Unknown ids remembered; a producer of nonsense could name four thousand million of them."""


_MADE = {"touch", "identified_touch", "command"}
"""Subjects whose schemas have the fields of the core's records in their order, older versions the first ones of them, so that
reading can make these at once."""


@dataclass(frozen=True, slots=True)
class Writer:
    """One schema that bytes may have been written with. `name` is its unqualified record name (the Avro specification resolves
    records by it), `read` gives checked plain values; `made` gives the records themselves, for the schemas of `_MADE` only."""

    what: str
    name: str
    parsed: Any
    read: Read
    made: Read | None = None
    newest: bool = False


class SchemaBook:
    """Knows the schemas. Only `prepare` and `learn` do IO, with the registry; `clock` gives monotonic seconds."""

    def __init__(
        self, registry: Registry | None, topics: Iterable[TopicSpec], clock: Callable[[], float] = time.monotonic
    ):
        self._registry, self._clock = registry, clock
        self._topics = tuple(topic for topic in topics if topic.schema is not None)
        self.shipped = _shipped()
        self.learned: dict[int, Writer] = {}
        self._unusable: dict[int, tuple[float, str]] = {}
        self._headers = {subject: single_object_header(schemas.load(subject)) for subject in schemas.SUBJECTS}
        self._touch_headers: dict[str, bytes] = {}
        self._prepared = registry is None

    def header(self, subject: str, channel: str = "") -> bytes:
        """The bytes in front of a record of the newest version. With a registry each touch topic has its own, by channel.

        Raises:
            EncodeError: `prepare` was not called.
        """
        if not self._prepared:
            raise EncodeError("the schemas are not registered yet: `await codec.prepare()` comes before encoding")
        return self._touch_headers.get(channel) or self._headers[subject]

    def find(self, payload: bytes) -> tuple[Writer, int]:
        """The schema that wrote the payload, and where the Avro body starts.

        Raises:
            DecodeError: undecodable (no framing that we know) or unknown_schema.
        """
        writer = self.shipped.get(payload[:SINGLE_OBJECT_HEADER])
        if writer is not None:
            return writer, SINGLE_OBJECT_HEADER
        if payload[:1] == CONFLUENT:
            return self._by_id(payload), CONFLUENT_HEADER
        if payload[:2] != SINGLE_OBJECT:
            seen = f"starts with {payload[:2].hex(' ')}" if payload else "is empty"
            hint = "; it looks like JSON: publish it with `touchstream send`" if payload[:1] in (b"{", b"[") else ""
            raise DecodeError(
                "undecodable",
                f"the record {seen}, but Avro single-object encoding starts with c3 01 and Confluent framing with 00{hint}",
            )
        if len(payload) < SINGLE_OBJECT_HEADER:
            raise DecodeError("undecodable", f"the record ends after {len(payload)} bytes, within the 10-byte header")
        raise DecodeError(
            "unknown_schema",
            f"no schema of this release has the fingerprint {payload[2:SINGLE_OBJECT_HEADER].hex()};"
            " was it written by a newer release? Upgrade the workers first, then replay",
        )

    def _by_id(self, payload: bytes) -> Writer:
        schema_id = confluent_id(payload)
        if schema_id is None:
            raise DecodeError(
                "undecodable", f"the record ends after {len(payload)} bytes, within the 5-byte Confluent header"
            )
        writer = self.learned.get(schema_id)
        if writer is not None:
            return writer
        if self._registry is None:
            why = "has Confluent framing, but no schema registry is configured: set TOUCHSTREAM_SCHEMA_REGISTRY_URL, then replay"
        elif schema_id in self._unusable:
            why = self._unusable[schema_id][1]
        else:
            why = "was not looked up in the schema registry"
        raise DecodeError("unknown_schema", f"the record names schema id {schema_id}: it {why}")

    async def prepare(self) -> None:
        """Registers the newest schemas and keeps their ids. Nothing to do without a registry, or a second time.

        Raises:
            RegistryUnavailable: it does not answer; try again.
            RegistryRefused: it does not take a schema; an operator must look.
        """
        if self._registry is None or self._prepared:
            return
        for topic in self._topics:
            subject = topic.schema or ""
            schema_id = await self._registry.register(f"{topic.name}-value", schemas.text(subject))
            self.learned[schema_id] = self.shipped[single_object_header(schemas.load(subject))]
            self._headers[subject] = confluent_header(schema_id)
            if subject == "touch":
                self._touch_headers[topic.name.rpartition(".")[2]] = confluent_header(schema_id)
        self._prepared = True

    def unknown_ids(self, payloads: Iterable[bytes]) -> set[int]:
        """The ids that these payloads name and that `learn` must look up first."""
        if self._registry is None:
            return set()
        now = self._clock()
        named = {found for payload in payloads if (found := confluent_id(payload)) is not None} - self.learned.keys()
        return {i for i in named if i not in self._unusable or self._unusable[i][0] <= now}

    async def learn(self, ids: Iterable[int]) -> None:
        """Looks ids up. One that the registry does not know, or whose schema is unsafe or not Avro, stays unknown for
        `FORGET_AFTER` seconds.

        Raises:
            RegistryUnavailable: it does not answer; pause and try again, for good data must not be dead-lettered.
        """
        for schema_id in ids if self._registry is not None else ():
            assert self._registry is not None
            try:
                schema = json.loads(await self._registry.fetch(schema_id))
                self.learned[schema_id] = self._learn_one(schema, schema_id)
                self._unusable.pop(schema_id, None)
            except (UnusableSchema, UnsafeSchema, json.JSONDecodeError, RecursionError) as error:
                self._unusable.pop(schema_id, None)
                while len(self._unusable) >= FORGET_ABOVE:
                    del self._unusable[next(iter(self._unusable))]
                self._unusable[schema_id] = (self._clock() + FORGET_AFTER, f"cannot be used: {error}")

    def _learn_one(self, schema: Any, schema_id: int) -> Writer:
        read = compile_reader(schema)  # refuses unsafe schemas before anything else looks at them
        try:
            ours = self.shipped.get(single_object_header(schema))
            return ours or Writer(f"schema id {schema_id}", _name(schema), parse_schema(plain(schema)), read)
        except Exception as error:  # noqa: BLE001 - fastavro's errors on odd schemas have no common class
            raise UnsafeSchema(f"not an Avro schema: {error}") from None


@cache
def _shipped() -> Mapping[bytes, Writer]:
    known = {}
    for subject in schemas.SUBJECTS:
        numbers = schemas.versions(subject)
        for number in numbers:
            schema, newest = schemas.load(subject, number), number == numbers[-1]
            made = compile_reader(schema, MAKERS) if subject in _MADE else None
            known[single_object_header(schema)] = Writer(
                f"{subject} v{number}", _name(schema), parse_schema(plain(schema)), compile_reader(schema), made, newest
            )
    return known


def _name(schema: Any) -> str:
    named: str = schema["name"] if isinstance(schema, dict) and "name" in schema else str(schema)[:80]
    return named.rpartition(".")[2]
