"""The codec: what goes in comes out, byte for byte as the Avro libraries write it, and errors say what is wrong."""

from __future__ import annotations

import hashlib
import io
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import schemas
from streams.core import touch as vocabulary
from streams.core.commands import Command
from streams.core.dead_letter import DETAIL_LIMIT, KEY_LIMIT
from streams.core.outcome import Contradiction, Evidence, Finding, Handoff, Rejected, ScoreComponent
from streams.core.touch import Account, Actor, Claim, Customer, IdentifiedTouch, Message, Money, Origin, Touch
from streams.edge.avro_guard import plain
from streams.edge.codec import Codec, DecodeError, EncodeError
from streams.edge.schema_check import example
from streams.edge.wire import single_object_header
from tests.support import histories
from tests.support.samples import (
    COMMAND,
    CONFLICT,
    HANDOFF,
    IDENTIFIED,
    REJECTED,
    TOUCH,
    decoders,
    payloads,
    replace,
)

CODEC = Codec()
PAYLOADS = payloads(CODEC)

words = st.none() | st.text(st.characters(codec="utf-8"), max_size=80)
text = st.text(st.characters(codec="utf-8"), max_size=80)
longs = st.integers(-(2**63), 2**63 - 1)
ints = st.integers(-(2**31), 2**31 - 1)
money = st.builds(Money, text, text)
touches = st.builds(
    Touch,
    touch_id=text,
    occurred_at=longs,
    customer=st.builds(Customer, words, words, words, words, words, words),
    account=st.none() | st.builds(Account, words, words),
    actor=st.none() | st.builds(Actor, text, words),
    campaign=words,
    message=st.none() | st.builds(Message, words, words | st.just("x" * 5000), words, words, st.none() | money, words),
    cost=st.none() | money,
    source=words,
    interaction_id=words,
)
claims = st.builds(Claim, st.sampled_from(["price", "offer"]), text, text, text)
identified = st.builds(
    IdentifiedTouch, text, touches, st.lists(claims, max_size=70).map(tuple), longs,
    st.none() | st.builds(Origin, text, ints, longs),
)  # fmt: skip


evidence = st.builds(Evidence, text, text, longs, text, text, text, words, words, words, words)
contradictions = st.builds(Contradiction, text, text, text, text, text, text, text)
components = st.builds(ScoreComponent, text, ints, st.floats(allow_nan=False))
finding_parts = {
    "rule_version": ints, "revision": ints, "customer_name": words, "touch_ids": st.lists(text).map(tuple),
    "event_time": longs, "evidence": st.lists(evidence, max_size=5).map(tuple),
}  # fmt: skip
conflicts = st.builds(
    Finding,
    finding=st.just("conflict"),
    contradictions=st.lists(contradictions, max_size=3).map(tuple),
    **finding_parts,
)
handoffs = st.builds(
    Finding, finding=st.just("handoff"), contradictions=st.just(()), **finding_parts,
    handoff=st.builds(
        Handoff, score=st.floats(allow_nan=False), threshold=st.floats(allow_nan=False), due_at=longs,
        components=st.lists(components, max_size=3).map(tuple), recent_campaigns=st.lists(text, max_size=3).map(tuple),
    ),
)  # fmt: skip
commands = st.builds(Command, issued_at=longs, into=words, entries=st.lists(st.binary(max_size=3000)).map(tuple))


def by_fastavro(subject: str, datum: Any) -> bytes:
    """A datum as fastavro writes it, with our header."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(plain(schemas.load(subject))), datum)
    return single_object_header(schemas.load(subject)) + out.getvalue()


def as_dict(value: Any) -> Any:
    """A record as the dict that fastavro wants."""
    if hasattr(value, "__struct_fields__"):
        return {name: as_dict(getattr(value, name)) for name in value.__struct_fields__}
    return [as_dict(item) for item in value] if isinstance(value, tuple) else value


def refused(decode: Any, payload: bytes) -> DecodeError:
    """The error with which a payload is refused."""
    with pytest.raises(DecodeError) as caught:
        decode(payload)
    return caught.value


@given(touches)
@settings(max_examples=150, deadline=None)
def test_any_touch_comes_back_and_is_what_fastavro_writes(touch: Touch) -> None:
    """Every touch is decoded as it was encoded, and its bytes are fastavro's."""
    value = CODEC.encode_touch(touch)
    assert CODEC.decode_touch(value) == touch
    assert value == by_fastavro("touch", as_dict(touch))


@given(identified)
@settings(max_examples=80, deadline=None)
def test_any_identified_touch_comes_back_and_is_what_fastavro_writes(touch: IdentifiedTouch) -> None:
    """The same for identified touches, with claims and origin."""
    value = CODEC.encode_identified(touch)
    assert CODEC.decode_identified(value) == touch
    assert value == by_fastavro("identified_touch", as_dict(touch))


@given(conflicts | handoffs)
@settings(max_examples=150, deadline=None)
def test_any_finding_comes_back_and_is_what_fastavro_writes(finding: Finding) -> None:
    """The same for conflicts and hand-offs, whose schemas name their parts otherwise than the core."""
    value = CODEC.encode_finding(finding)
    assert CODEC.decode_finding(value) == finding
    datum = as_dict(finding)
    datum |= {"customer_id": finding.customer} | (datum["handoff"] or {})
    assert value == by_fastavro(finding.finding, datum)


@given(commands)
@settings(max_examples=80, deadline=None)
def test_any_command_comes_back_and_is_what_fastavro_writes(command: Command) -> None:
    """The same for commands."""
    value = CODEC.encode_command(command)
    assert CODEC.decode_command(value) == command
    assert value == by_fastavro("command", as_dict(command))


@pytest.mark.parametrize("finding", [CONFLICT, HANDOFF, replace(CONFLICT, contradictions=(), evidence=())])
def test_findings_come_back(finding: Any) -> None:
    """Conflicts and hand-offs are decoded as they were encoded; the schema tells which they are."""
    assert CODEC.decode_finding(CODEC.encode_finding(finding)) == finding


def test_commands_come_back() -> None:
    """A command with raw entries, and one without, are decoded as they were encoded."""
    for command in (COMMAND, replace(COMMAND, entries=(), source_customer_id=None, into="c1", kind="not_yet_invented")):
        assert CODEC.decode_command(CODEC.encode_command(command)) == command


@pytest.mark.parametrize("subject", schemas.SUBJECTS)
def test_the_examples_are_the_core_records(subject: str) -> None:
    """The example of each subject decodes to a core record, and that encodes to the example's bytes again."""
    value = by_fastavro(subject, example(subject))
    record = decoders(CODEC)[subject](value)
    encode = {
        "touch": CODEC.encode_touch,
        "identified_touch": CODEC.encode_identified,
        "conflict": CODEC.encode_finding,
        "handoff": CODEC.encode_finding,
        "command": CODEC.encode_command,
        "erasure": CODEC.encode_receipt,
        "reservation": CODEC.encode_reservation,
        "policy": CODEC.encode_policy,
        "deal": CODEC.encode_deal,
        "cost": CODEC.encode_cost,
        "ledger_total": CODEC.encode_total,
        "lead_event": CODEC.encode_lead_event,
    }
    if subject != "dead_letter":
        assert encode[subject](record) == value
    else:
        origin = record.origin
        again = Rejected(record.reason, record.detail, record.stage, record.payload, origin, record.key)
        assert CODEC.encode_dead_letter(again, record.rejected_at) == value


@pytest.mark.parametrize(
    ("field", "allowed"),
    [("channel", vocabulary.CHANNELS), ("department", vocabulary.DEPARTMENTS), ("kind", vocabulary.KINDS),
     ("direction", ("outbound", "inbound"))],
)  # fmt: skip
def test_enums_and_vocabulary_are_the_same(field: str, allowed: tuple[str, ...]) -> None:
    """The schema's symbols are the core's words, and `unknown`."""
    (enum,) = [f["type"] for f in schemas.load("touch")["fields"] if f["name"] == field]
    assert enum["symbols"] == ["unknown", *allowed]


@pytest.mark.parametrize("field", ["channel", "department", "direction", "kind"])
def test_a_symbol_that_we_do_not_know_is_no_touch(field: str) -> None:
    """`unknown`, which stands for a newer symbol, is refused and the field is named."""
    error = refused(CODEC.decode_touch, by_fastavro("touch", {**example("touch"), field: "unknown"}))
    assert error.reason == "not_a_touch" and error.detail.startswith(field)


def test_an_unknown_actor_kind_names_its_path() -> None:
    """The path of a nested field is given in full."""
    datum = example("touch")
    datum["actor"]["kind"] = "unknown"
    assert refused(CODEC.decode_touch, by_fastavro("touch", datum)).detail.startswith("actor.kind")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "faxed"}, "$.kind"),
        ({"kind": "unknown"}, "$.kind"),
        ({"occurred_at": 2**63}, "64 bits"),
        ({"touch_id": None}, "$.touch_id"),
        ({"customer": Customer(name="half \ud800 pair")}, "surrogate"),
        ({"message": Message(text="x" * 300_000)}, "at most 262144"),
    ],
)
def test_a_touch_that_cannot_be_written_says_why(changes: dict[str, Any], words: str) -> None:
    """Wrong values raise EncodeError with the field or the limit; nothing is written."""
    with pytest.raises(EncodeError, match="touch") as caught:
        CODEC.encode_touch(replace(TOUCH, **changes))
    assert words in str(caught.value)


def test_a_finding_that_cannot_be_written_says_why() -> None:
    """A hand-off without its part, and an origin beyond 32 bits, are EncodeErrors."""
    with pytest.raises(EncodeError, match="no `handoff` part"):
        CODEC.encode_finding(replace(HANDOFF, handoff=None))
    with pytest.raises(EncodeError, match=r"conflict cannot be written.*\$\.state"):
        CODEC.encode_finding(replace(CONFLICT, state="guessed"))
    with pytest.raises(EncodeError, match="32 bits"):
        CODEC.encode_identified(replace(IDENTIFIED, origin=Origin("t", 2**31, 0)))
    with pytest.raises(EncodeError, match="dead letter cannot be written: AttributeError"):
        CODEC.encode_dead_letter(replace(REJECTED, source=None, reason=None), 1)


def test_dead_letter_keeps_payload_and_address() -> None:
    """A dead letter has the payload as it came, its size and hash, and where it stood."""
    letter = CODEC.decode_dead_letter(PAYLOADS["dead_letter"])
    assert (letter.payload, letter.payload_size, letter.is_whole) == (REJECTED.payload, 2, True)
    assert letter.payload_sha256 == hashlib.sha256(REJECTED.payload).hexdigest()
    assert (letter.origin, letter.key, letter.source, letter.line) == (REJECTED.origin, b"key", "x", 7)
    assert (letter.reason, letter.stage, letter.rejected_at) == ("undecodable", "ingest", 1_772_466_000_000)


def test_dead_letter_of_a_huge_record_is_cut() -> None:
    """Payload, key and text are cut at their limits, size and hash are of the whole; half a surrogate pair is no obstacle."""
    huge = b"x" * 10_000_000
    rejected = Rejected("too_large", "\ud800" + "d" * 9999, "ingest", huge, None, b"k" * 100_000)
    value = CODEC.encode_dead_letter(rejected, 0)
    letter = CODEC.decode_dead_letter(value)
    assert len(value) < 400_000 and len(letter.payload) == CODEC.max_bytes and not letter.is_whole
    assert letter.payload_size == len(huge) and letter.payload_sha256 == hashlib.sha256(huge).hexdigest()
    assert len(letter.detail) == DETAIL_LIMIT and len(letter.key or b"") == KEY_LIMIT


def test_a_dead_letter_repeated_has_the_same_id() -> None:
    """The id depends on stage and address, or on the payload when there is no address; never on the time."""
    first, again = (CODEC.decode_dead_letter(CODEC.encode_dead_letter(REJECTED, at)) for at in (1, 2))
    assert first.dead_letter_id == again.dead_letter_id
    moved = CODEC.encode_dead_letter(replace(REJECTED, origin=Origin("touches.calls", 3, 1)), 1)
    assert CODEC.decode_dead_letter(moved).dead_letter_id != first.dead_letter_id
    lines = [CODEC.encode_dead_letter(replace(REJECTED, origin=None, payload=p), 1) for p in (b"a", b"b")]
    assert len({CODEC.decode_dead_letter(line).dead_letter_id for line in lines}) == 2


@pytest.mark.parametrize("subject", schemas.SUBJECTS)
def test_records_in_the_wrong_topic_are_named(subject: str) -> None:
    """A record of another subject is refused, with what it is and what was wanted."""
    for other, payload in PAYLOADS.items():
        if other != subject and {subject, other} != {"conflict", "handoff"}:
            error = refused(decoders(CODEC)[subject], payload)
            assert schemas.load(other)["name"] in error.detail and error.reason in ("not_a_touch", "undecodable")


def test_a_spliced_touch_is_written_as_the_same_bytes() -> None:
    """An identified touch that takes over its touch's encoded body is byte for byte the one that is encoded anew."""
    codec = Codec()
    for touch in histories.touches(seed=11, customers=50, count=300):
        payload = codec.encode_touch(touch)
        identified = IdentifiedTouch(
            "c2-1", codec.decode_touch(payload), (Claim("price", "pro", "49 EUR", "€49"),), 7, Origin("t", 1, 2)
        )
        assert codec.encode_identified(identified, payload) == codec.encode_identified(identified)
