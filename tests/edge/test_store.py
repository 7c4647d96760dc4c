"""The timelines' store: partitions that come and go, and what it says of its size."""

from __future__ import annotations

from collections.abc import Iterator

import faust
import pytest

from streams.core import segments
from streams.core.entry import Engagement, Entry
from streams.core.timeline import EMPTY, Timeline, encode, encode_head, is_customer
from streams.edge.store import Store

ENTRY = Entry(1, "t-1", "email", "sales", "outbound", "sent")
OWN, LONGER, MOVED = (
    encode(Timeline(entries=(ENTRY,))),
    encode(Timeline(entries=(ENTRY,) * 20)),
    encode(Timeline("c1-a")),
)


SEGMENTS = segments.seal((ENTRY,))
SEGMENT = SEGMENTS[0].encoded()
HEAD = encode_head(Timeline(entries=segments.Entries(SEGMENTS, (ENTRY,), Engagement())))


@pytest.fixture
def store() -> Iterator[Store]:
    """A store outside a worker."""
    app = faust.App("store-test", store="touchstream://", autodiscover=False)
    yield app.Table("timelines", key_type=bytes, value_type=bytes).data


def restore(store: Store, partition: int, *values: tuple[bytes, bytes | None]) -> None:
    """Changelog records, as recovery hands them over."""
    for key, value in values:
        store.partitions[partition].put(key, value)


def test_customer_is_told_without_decoding() -> None:
    """A value tells by two bytes whether it stands for a customer with touches: a segment and an id that was merged do not."""
    values = (encode(EMPTY), OWN, LONGER, HEAD, SEGMENT, MOVED)
    assert [is_customer(data) for data in values] == [True, True, True, True, False, False]


def test_segments_count_as_bytes_and_as_no_customer(store: Store) -> None:
    """A customer with segments is one customer; a segment that goes, by a write or a changelog record, frees its bytes."""
    store.write(0, {b"a#1": SEGMENT, b"a#2": SEGMENT, b"a": HEAD})
    assert store.sizes() == (1, 2 * len(SEGMENT) + len(HEAD))
    store.write(0, {b"a": OWN, b"a#1": None, b"a#3": None})
    assert (store.sizes(), store.read(0, b"a#1")) == ((1, len(SEGMENT) + len(OWN)), None)


def test_sizes_follow_every_change(store: Store) -> None:
    """Customers and bytes are those held now: an update replaces, a merged customer counts no more, its bytes do."""
    store.write(0, {b"a": OWN, b"b": OWN})
    store.write(1, {b"c": OWN})
    assert store.sizes() == (3, 3 * len(OWN))
    store.write(0, {b"a": LONGER, b"b": MOVED})
    assert store.sizes() == (2, len(LONGER) + len(MOVED) + len(OWN))
    assert (store.read(0, b"a"), store.read(0, b"c"), store.read(7, b"a")) == (LONGER, None, None)


def test_partitions_that_leave(store: Store) -> None:
    """The changelog's last word holds, a null value deletes, and a partition that moved away takes its customers along."""
    restore(store, 0, (b"a", OWN), (b"a", LONGER), (b"b", OWN), (b"b", None))
    restore(store, 1, (b"c", OWN), (b"d", MOVED), (b"x", None))
    assert store.sizes() == (2, len(LONGER) + len(OWN) + len(MOVED))
    store.keep({1, 2})
    assert store.sizes() == (1, len(OWN) + len(MOVED))
    assert (store.read(0, b"a"), store.read(1, b"c")) == (None, OWN)


def test_last_record_of_a_key_holds_also_behind_a_tombstone(store: Store) -> None:
    """Later values replace earlier ones, and a value behind a null value stands."""
    restore(store, 0, (b"a", OWN), (b"a", None))
    assert (store.read(0, b"a"), store.sizes()) == (None, (0, 0))
    restore(store, 0, (b"a", MOVED), (b"a", LONGER))
    assert (store.read(0, b"a"), store.sizes()) == (LONGER, (1, len(LONGER)))


def test_key_belongs_to_its_partition(store: Store) -> None:
    """The same key in two partitions is two values."""
    for partition, value in enumerate((OWN, LONGER, MOVED)):
        restore(store, partition, (b"a", value))
    store.keep({0, 2})
    assert [store.read(partition, b"a") for partition in range(3)] == [OWN, None, MOVED]


def test_partition_that_comes_back_is_read_anew(store: Store) -> None:
    """A partition that was elsewhere in between holds nothing of its first stay and is read from the changelog's beginning."""
    restore(store, 0, (b"kept", OWN), (b"deleted elsewhere", OWN))
    store.partitions[0].offset = 2
    store.keep(set())
    assert (store.partitions[0].offset, store.sizes()) == (0, (0, 0))


def test_fausts_own_recovery_is_refused(store: Store) -> None:
    """Two recoveries at once would mix old and new values; the second one says so instead."""
    with pytest.raises(RuntimeError, match=r"streams\.edge\.recovery"):
        store.apply_changelog_batch([], None, None)  # type: ignore[arg-type]


def test_segments_of_one_customer(store: Store) -> None:
    """All segments of a customer are found, with or without a head that means them; not those of an id that begins alike."""
    restore(store, 0, (b"c1-a", HEAD), (b"c1-a#1", SEGMENT), (b"c1-a#2", SEGMENT), (b"c1-ab#1", SEGMENT))
    restore(store, 1, (b"c1-a#3", SEGMENT))
    assert store.segments(0, b"c1-a") == [b"c1-a#1", b"c1-a#2"]
    assert (store.segments(0, b"c1-b"), store.segments(7, b"c1-a")) == ([], [])


def test_segments_are_found_without_a_walk(store: Store) -> None:
    """However many customers a partition holds, to ask for the segments of one does not look at the others: those of who has none cost
    nothing, also after all of theirs went, or a value that is no segment took the place of one."""

    class Unwalked(dict[bytes, bytes]):
        def __iter__(self) -> Iterator[bytes]:
            raise AssertionError("the partition was walked")

        keys = items = values = __iter__  # type: ignore[assignment]

    store.partitions[0].values = Unwalked()
    store.write(0, {b"a#1": SEGMENT, b"a#2": SEGMENT, b"a": HEAD, b"b#1": SEGMENT, b"b#2": SEGMENT, b"b": HEAD})
    store.write(0, {b"a#1": None, b"a#2": None, b"a": OWN, b"b#1": SEGMENT, b"b#2": OWN, b"x#1": None})
    assert (store.segments(0, b"a"), store.segments(0, b"b")) == ([], [b"b#1"])
    assert store.partitions[0].segments == {b"b": {b"b#1"}}


def test_marks_of_erasures(store: Store) -> None:
    """A customer of whom only the moment of an erasure is left is known as such, until something else or nothing takes its place."""
    mark = encode(Timeline(erased_at=1_772_442_722_000_123))
    fresh = encode(Timeline(entries=(ENTRY,), erased_at=1_772_442_722_000_123))
    restore(store, 0, (b"a", OWN), (b"a", mark), (b"b", mark), (b"c", fresh), (b"d", mark))
    restore(store, 1, (b"e", mark))
    store.write(0, {b"b": fresh, b"d": None})
    assert store.marks() == {b"a": 1_772_442_722_000_123, b"e": 1_772_442_722_000_123}
    assert store.sizes()[0] == 2  # b and c
    store.keep({0})
    assert list(store.marks()) == [b"a"]
