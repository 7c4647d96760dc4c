"""What the import promises beyond its formats: defaults, ids, calls told once, and no exception whatever comes."""

from __future__ import annotations

import itertools
import json
from urllib.parse import urlencode

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streams.core.ingest import ADAPTERS, Defaults, Ignored, UnknownSource, read
from streams.core.outcome import Rejected
from streams.core.touch import Actor, Touch
from tests.support.told import FILES

RECORDS = [
    (path.parent.name, record) for path in FILES for _, record in ADAPTERS[path.parent.name].split(path.read_bytes())
]
WORDS = st.sampled_from(
    [
        None, True, False, 0, -1, 1.5, 10**30, -(10**400), 1e308, "", " ", "0", "a" * 2000, "\x00", "\ud800",
        [], {}, [[]], [None], {"a": {}}, "9999999999999999999", "NaN", "-0",
        "Mon, 02 Mar 2026 15:40:09 +9999", "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "urn:li:leadGenFormResponse:", "client:", "machine_start", 2**63, "1" * 5000, "٣", "²",
    ]
)  # fmt: skip


def _call(status: str, at: str, **more: str) -> bytes:
    stamp = f"Mon, 02 Mar 2026 {at} +0000"
    return urlencode(
        {
            "CallSid": "CA1",
            "CallStatus": status,
            "Direction": "outbound-api",
            "To": "+33612345678",
            "Timestamp": stamp,
            **more,
        }
    ).encode()


CALLBACKS = {
    "initiated": _call("initiated", "15:40:00"),
    "ringing": _call("ringing", "15:40:01"),
    "in-progress": _call("in-progress", "15:40:09"),
    "completed": _call("completed", "15:44:20", CallDuration="250"),
}


@pytest.mark.parametrize(
    "names",
    [names for n in range(1, 5) for names in itertools.permutations(CALLBACKS, n)],
    ids=" then ".join,
)
def test_a_call_is_dialed_once_whichever_callbacks_arrive(names: tuple[str, ...]) -> None:
    """Any callbacks of one answered call, in any order, give one dialed and one answered; early ones give none."""
    told = list(read("twilio", b"\n".join(CALLBACKS[name] for name in names)))
    kinds = sorted(one.kind for one in told if isinstance(one, Touch))
    assert kinds == (["answered", "dialed"] if {"in-progress", "completed"} & set(names) else [])
    assert not [one for one in told if isinstance(one, Rejected)]


def test_the_last_callback_decides_who_answered() -> None:
    """A call that looked answered while in progress is a voicemail when its last callback names a machine."""
    data = (
        CALLBACKS["in-progress"] + b"\n" + _call("completed", "15:41:00", CallDuration="20", AnsweredBy="machine_start")
    )
    assert [one.kind for one in read("twilio", data) if isinstance(one, Touch)] == ["dialed", "voicemail"]


@pytest.mark.parametrize(
    ("status", "more", "kind"),
    [
        ("completed", {"CallDuration": "0"}, "no_answer"),
        ("completed", {"CallDuration": "1"}, "answered"),
        ("completed", {}, "answered"),
        ("completed", {"CallDuration": "9", "AnsweredBy": "unknown"}, "answered"),
        ("completed", {"CallDuration": "9", "AnsweredBy": "fax"}, "no_answer"),
        ("completed", {"CallDuration": "9", "AnsweredBy": "machine_end_beep"}, "voicemail"),
        ("completed", {"CallDuration": "0", "AnsweredBy": "machine_end_beep"}, "no_answer"),
        ("busy", {}, "no_answer"),
        ("failed", {}, "no_answer"),
        ("no-answer", {}, "no_answer"),
        ("canceled", {}, "no_answer"),
    ],
)
def test_how_a_call_ended_decides_its_kind(status: str, more: dict[str, str], kind: str) -> None:
    """An outbound call is dialed, and status, duration and AnsweredBy together say how it went."""
    told = ADAPTERS["twilio"].adapt(_call(status, "15:44:20", **more))
    assert [one.kind for one in told if isinstance(one, Touch)] == ["dialed", kind]


def test_defaults_fill_what_records_leave_out() -> None:
    """The department given replaces the adapter's; campaign, actor and time fill gaps."""
    rep = Actor("jo", "J. Okafor")
    defaults = Defaults(department="service", campaign="spring", actor=rep, occurred_at=1_772_442_720_000)
    (dialed, _) = ADAPTERS["twilio"].adapt(CALLBACKS["completed"], defaults)
    assert isinstance(dialed, Touch)
    assert (dialed.department, dialed.campaign, dialed.actor) == ("service", "spring", rep)
    lead = (
        b'{"lead_id":"l","user_column_data":[{"column_id":"EMAIL","string_value":"kim@example.com"}],"campaign_id":7}'
    )
    (form,) = read("google-ads-leads", lead, defaults)
    assert isinstance(form, Touch)
    assert (form.department, form.campaign, form.actor, form.occurred_at) == ("service", "7", None, 1_772_442_720_000)


def test_mailgun_ids_are_unique_within_a_day_only() -> None:
    """The same Mailgun event id on another day is another touch; sent twice on one day it is the same."""
    event = {"event": "opened", "id": "x", "recipient": "kim@example.com", "timestamp": 1772442720.5}
    ids = [
        one.touch_id
        for stamp in (1772442720.5, 1772442720.5, 1772529120.5)
        for one in ADAPTERS["mailgun"].adapt(json.dumps({**event, "timestamp": stamp}).encode())
        if isinstance(one, Touch)
    ]
    assert ids[0] == ids[1] != ids[2]


def test_an_unknown_source_is_named_at_once() -> None:
    """`read` of a source that is not in the table raises before any record is asked for, and lists the sources."""
    with pytest.raises(UnknownSource, match="'fax' is no source known here; known: sendgrid, mailgun, twilio"):
        read("fax", b"")


@pytest.mark.parametrize("source", list(ADAPTERS))
@pytest.mark.parametrize(
    "record",
    [
        b"", b"\x00", b"\xff\xfe", b"null", b"[]", b'"text"', b"{}", b"1", b"NaN", b'{"a":NaN}', b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"event":' + b"9" * 10_000 + b"}", b'{"event":' + b"9" * 4_000 + b"}",
        b'{"event":"opened","recipient":"a@example.com","timestamp":-' + b"9" * 4_000 + b"}",
        b'{"\\ud800":1}', b'{"event-data":{"event":"opened","timestamp":1e999}}',
    ],
    ids=lambda record: repr(record[:20]),
)  # fmt: skip
def test_garbage_is_rejected_with_its_own_bytes(source: str, record: bytes) -> None:
    """Nothing that is no record of the provider raises: it is one rejection that holds exactly what came."""
    (one,) = ADAPTERS[source].adapt(record)
    assert isinstance(one, Rejected)
    assert (one.payload, one.stage, one.source) == (record, "import", source)
    assert one.detail


@pytest.mark.parametrize("source", list(ADAPTERS))
@given(data=st.binary(max_size=300) | st.text(alphabet='{}[]",:\\\n a1', max_size=60).map(str.encode))
@example(data=b"[" * 5000)
@example(data=b'"\\\n{"')
@settings(max_examples=150, deadline=None)
def test_arbitrary_bytes_never_raise(source: str, data: bytes) -> None:
    """Whatever a file holds, adapting and reading it gives outcomes, and rejections name a line within the file."""
    assert ADAPTERS[source].adapt(data)
    for one in read(source, data):
        assert isinstance(one, Touch | Rejected | Ignored)
        if not isinstance(one, Touch):
            assert one.line is not None
            assert 1 <= one.line <= data.count(b"\n") + 1


@given(
    known=st.sampled_from(RECORDS),
    flips=st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=8),
    cut=st.integers(0, 3000),
)
@settings(max_examples=400, deadline=None)
def test_true_payloads_with_flipped_and_missing_bytes_never_raise(
    known: tuple[str, bytes], flips: list[tuple[int, int]], cut: int
) -> None:
    """A true record with bytes altered or its end lost is a touch, ignored or rejected, alone and in a file."""
    source, record = known
    mutated = bytearray(record)
    for place, byte in flips:
        mutated[place % len(mutated)] = byte
    data = bytes(mutated[: max(1, len(mutated) - cut)] if cut % 3 == 0 else mutated)
    assert ADAPTERS[source].adapt(data)
    list(read(source, data))


@given(
    known=st.sampled_from([known for known in RECORDS if known[1].startswith(b"{")]),
    pick=st.integers(0, 200),
    word=WORDS,
)
@settings(max_examples=600, deadline=None)
def test_true_payloads_with_a_value_of_another_kind_never_raise(
    known: tuple[str, bytes], pick: int, word: object
) -> None:
    """A true record in which any one value is replaced, at any depth, is a touch, ignored or rejected."""
    source, record = known
    try:
        values = json.loads(record)
    except ValueError:
        return
    places = list(_places(values))
    holder, key = places[pick % len(places)]
    holder[key] = word
    data = json.dumps(values).encode()
    assert ADAPTERS[source].adapt(data)
    list(read(source, data))


def _places(values: object) -> list[tuple[dict[str, object] | list[object], object]]:
    """Every place in nested JSON where a value stands, as (container, key)."""
    found: list[tuple[dict[str, object] | list[object], object]] = []
    items = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for key, value in items:
        found.append((values, key))
        found.extend(_places(value))
    return found
