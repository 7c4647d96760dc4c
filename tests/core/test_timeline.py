"""A timeline as bytes: what goes in comes out, and what is damaged is said, never guessed."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core import entry as parts
from streams.core import timeline as module
from streams.core.entry import DamagedError, Engagement, Entry
from streams.core.policy import Policy
from streams.core.timeline import EMPTY, Timeline, decode, encode
from streams.core.touch import Claim
from tests.core.strategies import with_timeline

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
moments = st.integers(0, 2**45)
maybe = st.none() | texts
claims = st.builds(Claim, st.sampled_from(("price", "discount", "deadline", "offer")), texts, texts, texts)
entries = st.builds(
    Entry, moments, texts, texts, texts, texts, texts, moments, *[maybe] * 7, st.lists(claims, max_size=2).map(tuple)
)
engagements = st.builds(
    Engagement,
    moments,
    st.lists(st.tuples(texts, st.integers(0, 1000), st.floats(0, 1e9)), max_size=3).map(tuple),
    st.booleans(),
    st.none() | moments,
)
timelines = st.builds(
    Timeline,
    maybe,
    st.lists(entries, max_size=4).map(tuple),
    st.lists(entries, max_size=2).map(tuple),
    engagements,
    engagements,
    st.tuples(moments, texts),
    st.dictionaries(texts, st.tuples(st.integers(1, 99), moments), max_size=3),
    maybe,
)


def entry(id_: str, at: int, **changes: object) -> Entry:
    """An email."""
    fields = {"channel": "email", "department": "marketing", "direction": "outbound", "kind": "sent"} | changes
    return Entry(at, id_, **fields)  # type: ignore[arg-type]


@given(timelines)
def test_a_timeline_survives_its_bytes(timeline: Timeline) -> None:
    """Any timeline is equal after encode and decode, and encodes to the same bytes again."""
    data = encode(timeline)
    assert decode(data) == timeline
    assert encode(decode(data)) == data


@given(entries)
def test_an_entry_survives_its_bytes(entry: Entry) -> None:
    """Any entry is equal after its way to another customer id."""
    assert parts.decode_entry(parts.encode_entry(entry)) == entry


@given(timelines, st.data())
def test_damaged_bytes_are_refused(timeline: Timeline, data: st.DataObject) -> None:
    """A timeline cut short anywhere raises DamagedError that says so; so does an entry."""
    whole = encode(timeline)
    with pytest.raises(DamagedError, match=r"damaged timeline|layout none"):
        decode(whole[: data.draw(st.integers(0, len(whole) - 1))])
    if timeline.entries:
        part = parts.encode_entry(timeline.entries[0])
        with pytest.raises(DamagedError, match="damaged timeline entry"):
            parts.decode_entry(part[: data.draw(st.integers(0, len(part) - 1))])


@given(st.binary(max_size=60))
def test_arbitrary_bytes_never_raise_anything_else(data: bytes) -> None:
    """Whatever stands behind the layout's byte is a timeline or a DamagedError."""
    for read in (lambda: decode(module.WHOLE + data), lambda: parts.decode_entry(data)):
        with contextlib.suppress(DamagedError):
            assert isinstance(read(), Timeline | Entry)


def test_another_layout_is_named() -> None:
    """The value of a newer release is refused with what to do, not read wrongly."""
    with pytest.raises(
        ValueError, match="layout 04 is unknown to this release; run the release that wrote it, or newer"
    ):
        decode(b"\x04" + encode(EMPTY)[1:])


def test_place_orders_by_time_then_id() -> None:
    """Entries of one millisecond stand by id; an entry belongs before the first that is later."""
    timeline = Timeline(entries=(entry("b", 10), entry("d", 10), entry("a", 20)))
    places = [module.place(timeline, new) for new in (entry("a", 10), entry("c", 10), entry("e", 10), entry("z", 20))]
    assert places == [0, 1, 2, 3]


def test_the_latest_opt_out_of_each_channel_stands() -> None:
    """An older opt-out of a channel gives way to a later one, and one of another channel stays beside it."""
    known: tuple[Entry, ...] = ()
    for id_, at, channel in (("a", 10, "email"), ("b", 30, "email"), ("c", 20, "calls"), ("d", 5, "email")):
        known = parts.with_opt_outs(known, [entry(id_, at, channel=channel, kind="unsubscribed")])
    assert [opt_out.id for opt_out in known] == ["c", "b"]


@pytest.mark.parametrize(
    ("at", "cut"),
    [(0, 0), (999, 0), (1000, 0), (1001, 1)],
    ids=["same time", "inside", "exactly the retention", "a millisecond more"],
)
def test_the_retention_has_a_border(at: int, cut: int) -> None:
    """An entry exactly as old as the retention is kept; a millisecond older goes."""
    policy = with_timeline(Policy(), retention_days=1000 / 86_400_000)
    assert module.prunable((entry("a", 0), entry("b", at)), policy) == cut
    late = module.too_old(Timeline(entries=(entry("b", at),)), entry("a", 0), policy)
    assert late == bool(cut)


def test_the_oldest_go_when_there_are_too_many() -> None:
    """Of twelve entries with room for ten, the first two go."""
    policy = with_timeline(Policy(), max_touches=10)
    assert module.prunable(tuple(entry(f"{n:02d}", n) for n in range(12)), policy) == 2
