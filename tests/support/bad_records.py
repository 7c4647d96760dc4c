"""Everything wrong that a producer can put into Kafka, each with the reason that its dead letter must give."""

from __future__ import annotations

from dataclasses import dataclass

from streams.core.commands import Command
from streams.core.outcome import RejectReason
from streams.core.touch import Customer, IdentifiedTouch, Touch
from streams.edge.codec import Codec
from streams.edge.topics import COMMANDS, IDENTIFIED, TOUCH_TOPICS
from streams.edge.wire import SINGLE_OBJECT_HEADER
from tests.support.histories import HOUR, START

TEN_MB = 10 * 1024 * 1024
YEAR_9999 = 253_370_764_800_000
YEAR_1999 = 915_148_800_000


@dataclass(frozen=True)
class Bad:
    """One bad record. `topic` is a catalogued name; `key` None is a record without key."""

    name: str
    topic: str
    value: bytes | None
    reason: RejectReason
    key: bytes | None = b"bad"


def touch(number: int, **changes: object) -> Touch:
    """A good touch of a customer of its own that finds nothing: an opened mail."""
    values: dict[str, object] = {
        "touch_id": f"bad-{number}",
        "channel": "email",
        "department": "marketing",
        "direction": "inbound",
        "kind": "opened",
        "occurred_at": START,
        "customer": Customer(email=f"bad{number}@example.com"),
        "campaign": "spring-campaign",
    }
    return Touch(**{**values, **changes})  # type: ignore[arg-type]


def long_number(value: int) -> bytes:
    """Avro's long: zigzag, then seven bits a byte, the lowest first."""
    rest, out = value << 1, bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes((*out, rest))


def undecodable(codec: Codec) -> list[Bad]:
    """Bytes that are no touch, on every touch topic."""
    good = codec.encode_touch(touch(0))
    header = good[:SINGLE_OBJECT_HEADER]
    values: list[tuple[str, bytes | None, RejectReason]] = [
        ("truncated", good[:-7], "undecodable"),
        ("header only", header, "undecodable"),
        ("wrong fingerprint", header[:2] + bytes(8) + good[SINGLE_OBJECT_HEADER:], "unknown_schema"),
        ("another record's schema", codec.encode_command(Command("c", "c1-a", "x", START, "y")), "not_a_touch"),
        ("Confluent frame without registry", b"\x00\x00\x00\x00\x07" + good[SINGLE_OBJECT_HEADER:], "unknown_schema"),
        ("trailing bytes", good + b"\x00", "undecodable"),
        ("text of 2^40 bytes", header + long_number(2**40) + b"x", "undecodable"),
        ("length that overflows", header + b"\xff" * 12, "undecodable"),
        ("negative length", header + b"\x01" + good[SINGLE_OBJECT_HEADER:], "undecodable"),
        ("empty", b"", "undecodable"),
        ("tombstone", None, "undecodable"),
        ("text that is not UTF-8", good.replace(b"spring-campaign", b"\xff\xfe\xc3\x28\x80 campaigns"), "undecodable"),
        ("JSON", b'{"touch_id": "t-1", "channel": "email"}', "undecodable"),
    ]
    return [Bad(f"{name} on {t}", t, value, reason) for t in TOUCH_TOPICS.values() for name, value, reason in values]


def senseless(codec: Codec) -> list[Bad]:
    """Touches that can be decoded and must not be taken."""
    nothing = Customer(email="null", phone="0000", crm_id="n/a", click_id="{gclid}", linkedin_url="unknown")
    mail, changed = TOUCH_TOPICS["email"], touch(7)
    cases: list[tuple[str, str, Touch, RejectReason]] = [
        ("no identifier", mail, touch(1, customer=Customer(name="Dana Reyes")), "no_identifier"),
        ("placeholders only", mail, touch(2, customer=nothing), "no_identifier"),
        ("wrong channel", TOUCH_TOPICS["calls"], touch(3), "wrong_channel"),
        ("year 9999", mail, touch(4, occurred_at=YEAR_9999), "occurred_in_future"),
        ("after year 9999", mail, touch(5, occurred_at=2**62), "not_a_touch"),
        ("year 1999", mail, touch(6, occurred_at=YEAR_1999), "not_a_touch"),
        ("same id, other content", mail, touch(7, kind="clicked", customer=changed.customer), "id_conflict"),
        ("too old", mail, touch(8, touch_id="bad-8-old", occurred_at=START - 91 * 24 * HOUR), "too_old"),
        ("impossible kind", mail, touch(9, kind="dialed"), "not_a_touch"),
        ("empty id", mail, touch(10, touch_id=" "), "not_a_touch"),
    ]
    return [Bad(name, topic, codec.encode_touch(bad), reason) for name, topic, bad, reason in cases]


def before_senseless() -> list[Touch]:
    """The good touches that two of `senseless` clash with; they must come first."""
    return [touch(7), touch(8)]


def huge(codec: Codec) -> Bad:
    """A message of 10 MB that even starts as a touch."""
    return Bad("10 MB", TOUCH_TOPICS["email"], codec.encode_touch(touch(11)).ljust(TEN_MB, b"\x00"), "too_large")


def behind_ingest(codec: Codec) -> list[Bad]:
    """Garbage on the topics that only the worker writes."""
    unknown = codec.encode_command(Command("command-1", "c1-aa", "lunch_reserved", START, "a newer release"))
    upwards = codec.encode_command(Command("command-2", "c1-aa", "customer_merged", START, "ids", into="c1-bb"))
    moved = Command("command-3", "c1-aa", "timeline_moved", START, "x", source_customer_id="c2-b", entries=(b"\xc1",))
    absurd = IdentifiedTouch("c1-aa", touch(13, occurred_at=2**62), (), START)
    return [
        Bad("absurd time, identified", IDENTIFIED, codec.encode_identified(absurd), "not_a_touch"),
        Bad("unknown command", COMMANDS, unknown, "unroutable"),
        Bad("merge into a larger id", COMMANDS, upwards, "unroutable"),
        Bad("damaged timeline entry", IDENTIFIED, codec.encode_command(moved), "undecodable"),
        Bad("what only workers say", COMMANDS, codec.encode_command(moved), "unroutable"),
        Bad("garbage command", COMMANDS, b"garbage", "undecodable"),
        Bad("command tombstone", COMMANDS, None, "undecodable"),
        Bad("garbage, identified", IDENTIFIED, b"\xc3\x01garbage!", "unknown_schema"),
        Bad("touch instead of identified touch", IDENTIFIED, codec.encode_touch(touch(12)), "not_a_touch"),
        Bad("identified tombstone", IDENTIFIED, None, "undecodable"),
        Bad("no key", TOUCH_TOPICS["email"], b"no touch and no key", "undecodable", key=None),
    ]
