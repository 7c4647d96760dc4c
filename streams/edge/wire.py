"""Framing: which schema wrote these bytes, and where the Avro body starts.

Two framings are read. *Avro single-object encoding* (Avro specification 1.11, "Single-object encoding"): `C3 01`, then the
8-byte little-endian CRC-64-AVRO fingerprint of the schema's Parsing Canonical Form, then the body. *Confluent framing*
("Wire format" of the Confluent Schema Registry documentation): `00`, then the schema's 4-byte big-endian id, then the body.
"""

from __future__ import annotations

from typing import Any, Literal

from fastavro.schema import fingerprint, to_parsing_canonical_form

SINGLE_OBJECT = b"\xc3\x01"
SINGLE_OBJECT_HEADER = 10
CONFLUENT = b"\x00"
CONFLUENT_HEADER = 5

Reason = Literal["undecodable", "unknown_schema", "too_large", "not_a_touch"]


class DecodeError(Exception):
    """Bytes that are not a record of the wanted kind. `reason` is a dead letter's reason, `detail` one sentence for people:
    what is wrong and what to do. The only exception that leaves a decoder."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason: Reason = reason
        self.detail = detail


class EncodeError(ValueError):
    """A record that cannot be written: a value of the wrong type or range, or one that is too large. The text names it."""


def fingerprint_of(schema: dict[str, Any] | list[Any] | str) -> bytes:
    """The 8 bytes that stand in a single-object header for this schema (CRC-64-AVRO, little-endian)."""
    # fastavro gives the digest as hex of its little-endian bytes, the order of the header.
    return bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))


def single_object_header(schema: dict[str, Any]) -> bytes:
    """`C3 01` and the schema's fingerprint: 10 bytes."""
    return SINGLE_OBJECT + fingerprint_of(schema)


def confluent_header(schema_id: int) -> bytes:
    """`00` and the registry's id: 5 bytes."""
    return CONFLUENT + schema_id.to_bytes(4, "big")


def confluent_id(payload: bytes) -> int | None:
    """The registry id that a Confluent-framed payload names; None for other framings and for payloads without a body."""
    if len(payload) > CONFLUENT_HEADER and payload[:1] == CONFLUENT:
        return int.from_bytes(payload[1:CONFLUENT_HEADER], "big")
    return None
