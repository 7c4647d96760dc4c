"""Bytes that are no record: each is refused with the right reason, and the text says what to do."""

from __future__ import annotations

import struct
from typing import Any

import pytest

import schemas
from streams.edge.codec import OWN_LIMIT, Codec, DecodeError
from streams.edge.wire import single_object_header
from tests.support.samples import TOUCH, decoders, payloads

CODEC = Codec()
PAYLOADS = payloads(CODEC)
TOUCH_HEADER = single_object_header(schemas.load("touch"))
CONFLICT_HEADER = single_object_header(schemas.load("conflict"))


def zigzag(value: int) -> bytes:
    """A long as Avro writes it, of any size."""
    value = value << 1 if value >= 0 else (-value << 1) - 1
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def refused(decode: Any, payload: bytes) -> DecodeError:
    """The error with which a payload is refused."""
    with pytest.raises(DecodeError) as caught:
        decode(payload)
    return caught.value


@pytest.mark.parametrize("subject", schemas.SUBJECTS)
def test_every_truncation_is_refused(subject: str) -> None:
    """A record cut anywhere is undecodable, whichever byte is the last."""
    payload = PAYLOADS[subject]
    reasons = {refused(decoders(CODEC)[subject], payload[:end]).reason for end in range(len(payload))}
    assert reasons == {"undecodable"}


@pytest.mark.parametrize("subject", schemas.SUBJECTS)
def test_trailing_bytes_are_refused(subject: str) -> None:
    """A whole record with more behind it is not that record."""
    error = refused(decoders(CODEC)[subject], PAYLOADS[subject] + b"\x00")
    assert error.reason == "undecodable" and "1 bytes are left over" in error.detail


@pytest.mark.parametrize(
    ("payload", "reason", "words"),
    [
        (b"", "undecodable", "is empty"),
        (b"\xc3", "undecodable", "starts with c3"),
        (b"\xc3\x01\x00", "undecodable", "10-byte header"),
        (b"\xc3\x02" + b"0" * 20, "undecodable", "starts with c3 02"),
        (b'{"touch_id": "a"}', "undecodable", "touchstream send"),
        (b"\xc3\x01" + b"8bytes!!" + b"body", "unknown_schema", "3862797465732121"),
        (b"\x00\x00\x00", "undecodable", "5-byte Confluent header"),
        (b"\x00\x00\x00\x00\x07body", "unknown_schema", "TOUCHSTREAM_SCHEMA_REGISTRY_URL"),
        (TOUCH_HEADER, "undecodable", "ends too early"),
        (TOUCH_HEADER + zigzag(2**40), "undecodable", "1099511627776"),
        (TOUCH_HEADER + zigzag(-1), "undecodable", "length"),
        (TOUCH_HEADER + zigzag(2**63), "undecodable", "64 bits"),
        (TOUCH_HEADER + b"\xff" * 60, "undecodable", "64 bits"),
        (TOUCH_HEADER + b"\x80" * 9, "undecodable", "ends too early"),
        (TOUCH_HEADER + b"\x04\xff\xfe", "undecodable", "UTF-8"),
        (TOUCH_HEADER + b"\x02a\x09", "undecodable", "no symbol -5"),
        (TOUCH_HEADER + b"\x02a\x0a", "undecodable", "no symbol 5"),
        (TOUCH_HEADER + b"\x02a" + zigzag(2**40), "undecodable", "no symbol"),
    ],
)
def test_bad_touches(payload: bytes, reason: str, words: str) -> None:
    """Each kind of broken framing and body has its reason, and words that lead to the cause."""
    error = refused(CODEC.decode_touch, payload)
    assert error.reason == reason
    assert words in error.detail


@pytest.mark.parametrize("index", [b"\x01", b"\x04", zigzag(2**40), b"\x80\x00"])
def test_a_bad_union_branch_is_refused(index: bytes) -> None:
    """Negative and too large branches of a union are refused; fastavro alone takes -1 for the last branch."""
    payload = TOUCH_HEADER + b"\x02a\x02\x02\x02\x02\x00" + index + b"\x02x"
    assert "union" in refused(CODEC.decode_touch, payload).detail


def conflict_up_to_touch_ids() -> bytes:
    """A conflict whose next bytes are the array `touch_ids`."""
    return CONFLICT_HEADER + b"\x02f" + b"\x02" + b"\x02" + b"\x02r" + b"\x02" + b"\x02c" + b"\x00"


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (zigzag(2**40), "1099511627776 items"),
        (zigzag(-(2**63)) + zigzag(1) + b"\x00", "items"),
        (zigzag(-1) + zigzag(2**40) + b"\x02a\x00", "the size that it says"),
        (zigzag(-1) + zigzag(-7) + b"\x02a\x00", "the size that it says"),
        (b"\x06\x00\x00", "3 items, but 2 bytes"),
    ],
)
def test_array_bombs_are_refused(array: bytes, words: str) -> None:
    """Counts and block sizes that cannot be true are refused before anything is read or allocated."""
    assert words in refused(CODEC.decode_finding, conflict_up_to_touch_ids() + array).detail


def test_an_int_beyond_32_bits_is_refused() -> None:
    """A revision of 2^31 is no Avro int; both libraries would take it."""
    error = refused(CODEC.decode_finding, CONFLICT_HEADER + b"\x02f" + zigzag(2**31) + b"\x02" * 40)
    assert "32 bits" in error.detail


def test_an_array_in_sized_blocks_is_read() -> None:
    """Arrays in several blocks, with and without byte sizes, are valid Avro and are read."""
    rest = PAYLOADS["conflict"]
    before = conflict_up_to_touch_ids()
    body = (
        before
        + b"\x02\x02a"
        + zigzag(-2)
        + zigzag(4)
        + b"\x02b\x02c"
        + b"\x00"
        + zigzag(0)
        + b"\x02"
        + b"\x02w"
        + b"\x00\x00"
        + b"\x00\x00\x00"
    )
    assert rest[:10] == body[:10]
    assert CODEC.decode_finding(body).touch_ids == ("a", "b", "c")


def test_a_large_touch_is_not_looked_at() -> None:
    """Beyond the limit the reason is too_large, whatever the bytes are; at the limit they are decoded."""
    value = PAYLOADS["touch"]
    assert Codec(max_bytes=len(value)).decode_touch(value) == TOUCH
    error = refused(Codec(max_bytes=len(value) - 1).decode_touch, value)
    assert error.reason == "too_large" and str(len(value)) in error.detail
    assert refused(CODEC.decode_touch, b"x" * 10_000_000).reason == "too_large"
    assert refused(CODEC.decode_finding, b"x" * (OWN_LIMIT + 1)).reason == "too_large"


def test_a_finding_with_unknown_state_is_refused() -> None:
    """The `unknown` of a finding's enums is refused with the field's name."""
    payload = bytearray(conflict_up_to_touch_ids() + b"\x00" + b"\x00" + b"\x02" + b"\x02w" + bytes(5))
    payload[13] = 0  # the state, after header, finding_id and revision
    error = refused(CODEC.decode_finding, bytes(payload))
    assert error.reason == "undecodable" and "$.state" in error.detail


def test_a_not_a_number_score_comes_back() -> None:
    """Any 64 bits are a double; NaN does not upset the decoder."""
    payload = PAYLOADS["handoff"]
    at = payload.index(struct.pack("<d", 50.0))
    changed = payload[:at] + struct.pack("<d", float("nan")) + payload[at + 8 :]
    found = CODEC.decode_finding(changed)
    assert found.handoff is not None and found.handoff.threshold != found.handoff.threshold
