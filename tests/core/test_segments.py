"""Entries in segments are a sequence like any other, that decodes only what is asked for."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core import entry as parts
from streams.core import segments
from streams.core.entry import DamagedError, Engagement, Entry, key
from streams.core.segments import Entries, Row, Segment
from tests.core.segmented import emails, length

lengths = st.integers(1, 4)


def stored(entries: Entries, loaded: list[bytes]) -> Entries:
    """The same entries as from the changelog: nothing decoded yet. What is asked for is noted."""
    values = {part.row.digest: part.encoded() for part in entries.segments}

    def load(digest: bytes) -> bytes | None:
        loaded.append(digest)
        return values.get(digest)

    return Entries(tuple(Segment(part.row, load) for part in entries.segments), entries.recent, entries.engagement)


def split(all_of_them: tuple[Entry, ...], cuts: list[int]) -> Entries | None:
    """The entries cut into segments at these indexes; the last part is recent."""
    borders = sorted({cut % len(all_of_them) for cut in cuts} - {0})
    made: list[Segment] = []
    for start, end in zip([0, *borders], borders, strict=False):
        made += segments.seal(all_of_them[start:end])
    return Entries(tuple(made), all_of_them[borders[-1] :], Engagement()) if made else None


def opt_out(entry: Entry) -> Entry:
    """An unsubscribe instead."""
    return Entry(entry.at, entry.id, entry.channel, entry.department, "inbound", "unsubscribed", name="Dana")


cut_entries = st.builds(
    split,
    st.lists(st.integers(0, 40), min_size=2, max_size=20)
    .map(sorted)
    .map(lambda times: emails(*times))
    .map(lambda made: tuple(sorted(made, key=key))),
    st.lists(st.integers(0, 19), min_size=1, max_size=6),
).filter(bool)


@given(cut_entries, st.integers(-25, 25), st.integers(-25, 25))
def test_reads_like_a_tuple(entries: Entries, a: int, b: int) -> None:
    """Length, indexes, slices, order, equality and search are those of the tuple of all entries."""
    plain = tuple(entries)
    lazy = stored(entries, [])
    assert (len(lazy), lazy == plain, plain == lazy, lazy == plain[1:]) == (len(plain), True, True, False)
    assert (lazy[a:b], lazy[a:], lazy[:b], lazy[::-1]) == (plain[a:b], plain[a:], plain[:b], plain[::-1])
    assert list(reversed(lazy)) == list(reversed(plain))
    if -len(plain) <= a < len(plain):
        assert lazy[a] == plain[a]
    else:
        with pytest.raises(IndexError):
            lazy[a]
    for wanted in ((a, "t5"), (b, ""), key(plain[-1])):
        assert lazy.bisect(wanted) == bisect_left(plain, wanted, key=key)
    assert [lazy.find(entry.id) for entry in plain] == list(plain)
    assert lazy.find("t") is None


@given(cut_entries, st.integers(0, 20), st.integers(0, 1), st.integers(0, 2), lengths)
def test_splices_like_a_list(entries: Entries, index: int, removed: int, added: int, sealed: int) -> None:
    """An entry put in, replaced or taken out leaves the list that it leaves of a plain one, in parts that are not too long."""
    plain, new = list(entries), emails(1, 2)[:added]
    index = min(index, len(plain) - removed)
    with length(sealed):
        spliced = entries.splice(index, removed, *new)
    plain[index : index + removed] = new
    assert spliced == tuple(plain)
    if isinstance(spliced, Entries):
        assert spliced.recent and all(part.row.count for part in spliced.segments)
        assert all(part.row.count <= 2 * sealed or part in entries.segments for part in spliced.segments)
        assert stored(spliced, []) == tuple(plain)


def test_several_segments_cannot_be_spliced_at_once() -> None:
    """Entries of two segments are not replaced in one go: the error says so, rather than that the wrong ones go."""
    entries = split(emails(*range(9)), [3, 6])
    assert entries is not None
    with pytest.raises(ValueError, match="more than one segment"):
        entries.splice(2, 2)


@given(cut_entries, st.integers(0, 20))
def test_past_tells_all_before_an_index(entries: Entries, index: int) -> None:
    """Rows and entries together are what lies before the index: as many, and the same opt-outs and name."""
    changed = tuple(opt_out(entry) if n % 3 == 1 else entry for n, entry in enumerate(entries))
    with_opt_outs = split(changed, list(entries._ends))
    assert with_opt_outs is not None
    index = min(index, len(changed))
    rows, near = with_opt_outs.past(index)
    assert sum(row.count for row in rows) + len(near) == index
    assert near == changed[index - len(near) : index]
    latest = [e for e in changed[: index - len(near)] if e.kind == "unsubscribed"][-1:]
    assert [e for row in rows for e in row.opt_outs][-1:] == latest
    assert [row.name for row in rows if row.name][-1:] == ["Dana"] * len(latest)


def test_decodes_only_what_is_asked_for() -> None:
    """Ends, an unknown id, a place among the recent ones and the past of a recent one need no segment; one entry needs one."""
    entries = split(emails(*range(100)), list(range(10, 100, 10)))
    assert entries is not None
    loaded: list[bytes] = []
    lazy = stored(entries, loaded)
    unknown = (
        f"u{next(n for n in range(1000) if all(segments._mark(f'u{n}') not in p.row.marks for p in lazy.segments))}"
    )
    assert (len(lazy), lazy[-1].id, lazy.find(unknown), lazy.bisect((99, ""))) == (100, "t99", None, 99)
    assert (len(lazy.past(95)[0]), loaded) == (9, [])
    assert (lazy[42].id, lazy[42:44], loaded) == ("t42", emails(*range(100))[42:44], [lazy.segments[4].row.digest])


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda data: None, "is missing"),
        (lambda data: data[:-1], "damaged timeline entries"),
        (lambda data: segments.FORMAT + parts.encode_entries(emails(0, 1)), "not the one that its directory means"),
        (lambda data: segments.FORMAT + parts.encode_entries(emails(0, 1, 7)), "not the one that its directory means"),
        (lambda data: b"\x01" + data[1:], "not the one that its directory means"),
        (lambda data: b"", "not the one that its directory means"),
    ],
    ids=["missing", "cut", "shorter", "other", "no segment", "empty"],
)
def test_a_segment_that_is_not_the_right_one_is_said(spoil: Callable[[bytes], bytes | None], said: str) -> None:
    """A missing or damaged segment, or another one in its place, is an error and never other entries."""
    (part,) = segments.seal(emails(0, 1, 2))
    data = spoil(part.encoded())
    entries = Entries((Segment(part.row, lambda digest: data),), emails(9), Engagement())
    assert entries[-1].at == 9
    with pytest.raises(DamagedError, match=said):
        entries[0]


def test_segments_are_named_by_their_content() -> None:
    """The same entries make the same segment, others another one: what is written again after a crash is the same."""
    same, again, other = (segments.seal(emails(*times))[0].row.digest for times in ((1, 2), (1, 2), (1, 3)))
    assert same == again != other


def test_entries_too_large_for_a_record_make_several_segments() -> None:
    """Large entries are sealed in segments that one record each can hold; none is lost."""
    rng = random.Random(1)
    large = tuple(
        Entry(n, f"t{n}", "email", "marketing", "outbound", "sent", label=rng.choice("abc") * 60_000) for n in range(40)
    )
    made = segments.seal(large)
    assert sum((part.entries for part in made), ()) == large
    assert 2 < len(made) < 10
    assert all(len(part.encoded()) <= segments.LARGEST for part in made)


def test_a_row_is_small() -> None:
    """The directory adds less than four bytes for each entry that it stands for."""
    row: Row = segments.seal(emails(*range(1_772_409_600_000, 1_772_409_600_032)))[0].row
    assert len(parts._encoder.encode(row)) < 4 * 32
