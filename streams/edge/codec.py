"""Records to bytes and back: the only place that knows Avro, framing and schema versions.

Written is the newest version of a subject, in Avro single-object encoding, or in Confluent framing when there is a registry. Read are
both framings, all versions that this release ships, and with a registry every schema that resolves to ours. What cannot be
read is a DecodeError, never another exception: bytes from outside are checked by `avro_guard` before any library sees them.
All methods but `prepare` and `learn` are synchronous and do no IO. Formats: schemas/README.md.
"""

from __future__ import annotations

import io
import struct
import time
from collections.abc import Callable, Iterable
from functools import cache, partial
from typing import Any, TypeVar

import msgspec
from fastavro import parse_schema, schemaless_reader
from fastavro.read import SchemaResolutionError

import schemas
from streams.core.commands import Command
from streams.core.dead_letter import DeadLetter, bury
from streams.core.erasure import Receipt
from streams.core.leads.events import LeadEvent
from streams.core.ledger.totals import Total
from streams.core.ledger.types import Cost, Deal
from streams.core.outcome import Finding, Rejected
from streams.core.published import Published
from streams.core.reservation import Reservation
from streams.core.touch import IdentifiedTouch, Touch
from streams.edge import records
from streams.edge.avro_guard import NotAvro, UnknownSymbol, plain
from streams.edge.avro_writer import Write, compile_writer
from streams.edge.registry import Registry
from streams.edge.schema_book import SchemaBook, Writer
from streams.edge.topics import CATALOGUE, TopicSpec
from streams.edge.wire import DecodeError, EncodeError, Reason

__all__ = ["OWN_LIMIT", "Codec", "DecodeError", "EncodeError"]

T = TypeVar("T")

OWN_LIMIT = 8 * 1024 * 1024
"""Bytes of a record of a topic that only touchstream writes (all but touches). The brokers' own limit is lower; this one only
keeps a mistake from taking the worker's memory."""

RECORD_NAMES = {subject: schemas.load(subject)["name"] for subject in schemas.SUBJECTS}


class Codec:
    """Encodes and decodes every record of touchstream. See the module.

    `max_bytes` bounds an encoded touch (other records: `OWN_LIMIT`) and the payload kept in a dead letter. `topics` are the
    topics with their schemas, for the registry's subjects (`<topic>-value`, TopicNameStrategy); the catalogue's by default.
    `clock` gives monotonic seconds; it only times how long an unknown id stays unknown.
    The encoders raise EncodeError, the decoders DecodeError; nothing else.
    """

    def __init__(
        self,
        registry: Registry | None = None,
        max_bytes: int = 262_144,
        topics: Iterable[TopicSpec] = CATALOGUE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.max_bytes = max_bytes
        self._book = SchemaBook(registry, topics, clock)
        self.prepare, self.learn, self.unknown_ids = self._book.prepare, self._book.learn, self._book.unknown_ids
        self._newest = {subject: parse_schema(plain(schemas.load(subject))) for subject in schemas.SUBJECTS}
        self._writes, self._write_spliced = _writers()

    def encode_touch(self, touch: Touch) -> bytes:
        """A touch for the topic of its channel. Larger than `max_bytes` is an EncodeError: the workers would refuse it."""
        value = self._encode("touch", touch, touch.channel)
        if len(value) > self.max_bytes:
            raise EncodeError(
                f"the touch takes {len(value)} bytes, at most {self.max_bytes} are accepted; shorten its message"
            )
        return value

    def decode_touch(self, payload: bytes) -> Touch:
        """A touch of a known version and kind. Its values are checked by `streams.core.touch_check`, not here."""
        return self._decode("touch", payload, records.touch_from_dict, self.max_bytes)

    def encode_identified(self, identified: IdentifiedTouch, payload: bytes | None = None) -> bytes:
        """A touch of a known customer. `payload` is what `decode_touch` made the touch of, if it was: written by the newest
        schema, its body is taken over as it stands, which saves most of the work."""
        if payload is not None:
            writer, start = self._book.find(payload)
            if writer.newest:
                return self._encode("identified_touch", identified, "", payload[start:])
        return self._encode("identified_touch", identified)

    def decode_identified(self, payload: bytes) -> IdentifiedTouch:
        """A touch of a known customer."""
        return self._decode("identified_touch", payload, records.identified_from_dict)

    def encode_finding(self, finding: Finding) -> bytes:
        """A conflict or a hand-off, by `finding.finding`."""
        if finding.finding == "handoff" and finding.handoff is None:
            raise EncodeError(f"the hand-off {finding.finding_id} cannot be written: it has no `handoff` part")
        return self._encode(finding.finding, finding)

    def decode_finding(self, payload: bytes) -> Finding:
        """A conflict or a hand-off, by the schema that wrote it."""
        _check_size(payload, OWN_LIMIT)
        is_handoff = self._book.find(payload)[0].name == RECORD_NAMES["handoff"]
        kind = "handoff" if is_handoff else "conflict"
        return self._decode(kind, payload, partial(records.finding_from_dict, kind))

    def encode_lead_event(self, event: LeadEvent) -> bytes:
        """A change of a lead."""
        return self._encode("lead_event", event)

    def decode_lead_event(self, payload: bytes) -> LeadEvent:
        """A change of a lead."""
        return self._decode("lead_event", payload, records.lead_event_from_dict)

    def encode_command(self, command: Command) -> bytes:
        """A command."""
        return self._encode("command", command)

    def decode_command(self, payload: bytes) -> Command:
        """A command, of a kind that we may not know."""
        return self._decode("command", payload, records.command_from_dict)

    def is_command(self, payload: bytes) -> bool:
        """Whether the payload is framed as a command; touches.identified holds both. DecodeError when it is framed as nothing."""
        return bool(self._book.find(payload)[0].name == RECORD_NAMES["command"])

    def encode_dead_letter(self, rejected: Rejected, rejected_at: int) -> bytes:
        """A rejected input; `rejected_at` in UTC ms. Its payload is cut at `max_bytes`: what could have been decoded is whole."""
        return self._encode("dead_letter", records.flat_dead_letter(bury(rejected, rejected_at, self.max_bytes)))

    def decode_dead_letter(self, payload: bytes) -> DeadLetter:
        """A dead letter."""
        return self._decode("dead_letter", payload, records.dead_letter_from_dict)

    def encode_receipt(self, receipt: Receipt) -> bytes:
        """A part of an erasure's receipt."""
        return self._encode("erasure", receipt)

    def decode_receipt(self, payload: bytes) -> Receipt:
        """A part of an erasure's receipt."""
        return self._decode("erasure", payload, records.receipt_from_dict)

    def encode_reservation(self, reservation: Reservation) -> bytes:
        """A state of a reservation."""
        return self._encode("reservation", reservation)

    def decode_reservation(self, payload: bytes) -> Reservation:
        """A state of a reservation."""
        return self._decode("reservation", payload, records.reservation_from_dict)

    def encode_policy(self, published: Published) -> bytes:
        """A policy that was published."""
        return self._encode("policy", published)

    def decode_policy(self, payload: bytes) -> Published:
        """A policy that was published; whether this release can read its text is not looked at."""
        return self._decode("policy", payload, records.published_from_dict)

    def encode_deal(self, deal: Deal) -> bytes:
        """A deal."""
        return self._encode("deal", deal)

    def decode_deal(self, payload: bytes) -> Deal:
        """A deal. Its values are checked by `streams.core.ledger.records`, not here."""
        return self._decode("deal", payload, records.deal_from_dict)

    def encode_cost(self, cost: Cost) -> bytes:
        """A cost."""
        return self._encode("cost", cost)

    def decode_cost(self, payload: bytes) -> Cost:
        """A cost. Its values are checked by `streams.core.ledger.records`, not here."""
        return self._decode("cost", payload, records.cost_from_dict)

    def encode_total(self, total: Total) -> bytes:
        """A figure of the ledger."""
        return self._encode("ledger_total", total)

    def decode_total(self, payload: bytes) -> Total:
        """A figure of the ledger."""
        return self._decode("ledger_total", payload, records.total_from_dict)

    def _encode(self, subject: str, record: Any, channel: str = "", spliced: bytes | None = None) -> bytes:
        header = self._book.header(subject, channel)
        try:
            if spliced is not None:
                return self._write_spliced(header, record, spliced)
            return self._writes[subject](header, record)
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError, struct.error) as error:
            raise EncodeError(_explained(subject.replace("_", " "), record, error)) from None

    def _decode(self, subject: str, payload: bytes, from_dict: Callable[[Any], T], limit: int = OWN_LIMIT) -> T:
        _check_size(payload, limit)
        writer, start = self._book.find(payload)
        if writer.name != RECORD_NAMES[subject]:
            raise DecodeError(
                _unfit(subject),
                f"the record is a {writer.name}, not a {RECORD_NAMES[subject]}; it is in the wrong topic",
            )
        try:
            value, end = (writer.made or writer.read)(payload, start)
        except (NotAvro, IndexError, UnicodeDecodeError, UnknownSymbol) as error:
            raise _unreadable(error, payload, writer.what) from None
        if end != len(payload):
            raise DecodeError(
                "undecodable", f"not a valid {writer.what}: {len(payload) - end} bytes are left over after the record"
            )
        if writer.made is not None:
            made: T = value
            return made
        if not writer.newest:
            value = self._resolved(subject, payload[start:], writer)
        try:
            return from_dict(value)
        except msgspec.ValidationError as error:
            raise DecodeError(_unfit(subject), f"the {subject.replace('_', ' ')} cannot be used: {error}") from None

    def _resolved(self, subject: str, body: bytes, writer: Writer) -> Any:
        """The value as the newest schema sees it. `body` has been checked: it is exactly one datum of the writer's schema."""
        try:
            return schemaless_reader(io.BytesIO(body), writer.parsed, self._newest[subject])
        except SchemaResolutionError as error:
            why = " ".join(str(error).split())[:300]
            raise DecodeError("unknown_schema", f"{writer.what} does not resolve to our {subject}: {why}") from None
        except Exception as error:  # noqa: BLE001 - fastavro's errors have no common class; the record is bad, the worker lives
            raise DecodeError("undecodable", f"{writer.what}: {type(error).__name__}: {error}") from None


@cache
def _writers() -> tuple[dict[str, Write], Write]:
    """The writers of the newest schemas by subject, and that of an identified touch whose touch is encoded already."""
    writers = {
        subject: compile_writer(schemas.load(subject), records.ATTRIBUTES.get(subject)) for subject in schemas.SUBJECTS
    }
    return writers, compile_writer(schemas.load("identified_touch"), spliced="touch")


def _check_size(payload: bytes, limit: int) -> None:
    if len(payload) > limit:
        raise DecodeError(
            "too_large", f"the record has {len(payload)} bytes, at most {limit} are accepted; it was not decoded"
        )


def _unfit(subject: str) -> Reason:
    """The reason to refuse a record that can be read, but not used as one of the subject."""
    return "not_a_touch" if subject in {"touch", "identified_touch"} else "undecodable"


def _unreadable(error: Exception, payload: bytes, what: str) -> DecodeError:
    """What a reader's error says of the payload."""
    if isinstance(error, UnknownSymbol):
        detail = f"{error} has a value that this release does not know; upgrade the workers, then replay"
        return DecodeError("not_a_touch", detail)
    if isinstance(error, IndexError):
        return DecodeError("undecodable", f"not a valid {what}: it ends too early, after {len(payload)} bytes")
    if isinstance(error, UnicodeDecodeError):
        return DecodeError("undecodable", f"not a valid {what}: a text is not UTF-8 ({error.reason})")
    return DecodeError("undecodable", f"not a valid {what}: {error}")


def _explained(what: str, record: Any, error: Exception) -> str:
    """What is wrong with a record, with the path of the field when msgspec finds it."""
    try:
        if isinstance(record, msgspec.Struct):
            msgspec.convert(msgspec.to_builtins(record, builtin_types=(bytes,)), type(record))
    except (msgspec.ValidationError, TypeError, ValueError) as reason:
        return f"the {what} cannot be written: {reason}"
    return f"the {what} cannot be written: {type(error).__name__}: {error}"
