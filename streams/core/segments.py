"""A long timeline in parts: its recent entries, and sealed segments that are decoded only when an entry in them is asked for.

A touch that comes in order needs the recent entries and the directory, one `Row` a segment; so that is all it reads and
writes, however long the timeline is. A segment never changes and is named by its content: other entries are another segment. So a
head in the changelog always means the segments that it was written with, also when a crash came in between.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from itertools import accumulate, chain
from typing import overload
from zlib import crc32

from msgspec import Struct

from streams.core.entry import (
    DamagedError,
    Engagement,
    Entry,
    decode_entries,
    encode_entries,
    key,
    newest_name,
    with_opt_outs,
)

LENGTH = 32
"""Entries sealed at once. With twice as many at most in a segment, and as many recent ones. Measured: `tests.benchmarks.growth`."""

LARGEST = 900_000
"""Bytes of one encoded value; Kafka's default record limit is 1,048,588."""

FORMAT = b"\x03"
"""First byte of an encoded segment. 1 and 2 are timelines, see `streams.core.timeline`."""

Load = Callable[[bytes], bytes | None]
"""The encoded segment of a digest, or None."""


def _mark(id_: str) -> bytes:
    return (crc32(id_.encode()) & 0xFFFF).to_bytes(2, "big")


class Row(Struct, frozen=True, gc=False, array_like=True):
    """What the directory knows of a segment: its newest sort key, the customer's name and the latest opt-out of each channel as
    its entries gave them, and two bytes of a hash of each entry's id, in order, so that an unknown id is seen to be unknown.
    `digest` is of the encoded segment."""

    digest: bytes
    count: int
    last: tuple[int, str]
    marks: bytes
    name: str | None = None
    opt_outs: tuple[Entry, ...] = ()


class Segment:
    """Some entries next to each other. `entries` decodes them at first use."""

    __slots__ = ("_entries", "_load", "row")

    def __init__(self, row: Row, load: Load, entries: tuple[Entry, ...] = ()) -> None:
        self.row = row
        self._load = load
        self._entries = entries

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All its entries.

        Raises:
            DamagedError: it is missing, damaged, or not the one that the directory means.
        """
        if not self._entries:
            data = self.encoded()
            entries = decode_entries(memoryview(data)[1:]) if data[:1] == FORMAT else ()
            if len(entries) != self.row.count or key(entries[-1]) != self.row.last:
                raise DamagedError(
                    f"segment {self.row.digest.hex()} of the timeline is not the one that its directory means"
                )
            self._entries = entries
        return self._entries

    def encoded(self) -> bytes:
        """Its value in the changelog."""
        data = self._load(self.row.digest)
        if data is None:
            raise DamagedError(f"segment {self.row.digest.hex()} of the timeline is missing")
        return data


def seal(entries: tuple[Entry, ...]) -> tuple[Segment, ...]:
    """Segments of these entries: one, or more where it would be too long."""
    if not entries:
        return ()
    data = FORMAT + encode_entries(entries)
    if len(entries) > 1 and (len(entries) > 2 * LENGTH or len(data) > LARGEST):
        half = len(entries) // 2
        return seal(entries[:half]) + seal(entries[half:])
    row = Row(
        blake2b(data, digest_size=8).digest(),
        len(entries),
        key(entries[-1]),
        b"".join(_mark(entry.id) for entry in entries),
        newest_name(entries),
        with_opt_outs((), entries),
    )
    return (Segment(row, lambda _: data, entries),)


class Entries(Sequence[Entry]):
    """The entries of a long timeline, in order. Never changed; never without recent ones nor without segments.

    `sealed` is the number of entries in segments, `engagement` the engagement after those.
    """

    __slots__ = ("_ends", "engagement", "recent", "sealed", "segments")

    def __init__(self, segments: tuple[Segment, ...], recent: tuple[Entry, ...], engagement: Engagement) -> None:
        self.segments = segments
        self.recent = recent
        self.engagement = engagement
        self._ends = list(accumulate(segment.row.count for segment in segments))
        self.sealed = self._ends[-1]

    def __len__(self) -> int:
        return self.sealed + len(self.recent)

    @overload
    def __getitem__(self, index: int) -> Entry: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Entry, ...]: ...
    def __getitem__(self, index: int | slice) -> Entry | tuple[Entry, ...]:
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            return self._between(start, stop) if step == 1 else tuple(self)[index]
        if index < 0:
            index += len(self)
        if index >= self.sealed:
            return self.recent[index - self.sealed]
        if index < 0:
            raise IndexError(index)
        segment, offset = self._place(index)
        return self.segments[segment].entries[offset]

    def __iter__(self) -> Iterator[Entry]:
        for segment in self.segments:
            yield from segment.entries
        yield from self.recent

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Entries | tuple) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]

    def _between(self, start: int, stop: int) -> tuple[Entry, ...]:
        """Decodes only the segments in which one of the entries is."""
        if start >= self.sealed:
            return self.recent[start - self.sealed : max(0, stop - self.sealed)]
        if start >= stop:
            return ()
        segment, offset = self._place(start)
        begin = start - offset
        parts = []
        while begin < min(stop, self.sealed):
            parts.append(self.segments[segment].entries)
            segment, begin = segment + 1, self._ends[segment]
        if stop > self.sealed:
            parts.append(self.recent[: stop - self.sealed])
        return tuple(chain.from_iterable(parts))[offset : offset + stop - start]

    def _place(self, index: int) -> tuple[int, int]:
        segment = bisect_right(self._ends, index)
        return segment, index - (self._ends[segment - 1] if segment else 0)

    def bisect(self, wanted: tuple[int, str]) -> int:
        """Index of the first entry whose sort key is not before the wanted one."""
        segment = bisect_left(self.segments, wanted, key=lambda segment: segment.row.last)
        if segment == len(self.segments):
            return self.sealed + bisect_left(self.recent, wanted, key=key)
        before = self._ends[segment - 1] if segment else 0
        return before + bisect_left(self.segments[segment].entries, wanted, key=key)

    def find(self, id_: str) -> Entry | None:
        """The entry of this touch id."""
        mark = _mark(id_)
        for segment in self.segments:
            if mark in segment.row.marks:  # or a part of two marks, or another id's
                for entry in segment.entries:
                    if entry.id == id_:
                        return entry
        return next((entry for entry in self.recent if entry.id == id_), None)

    def ends(self) -> Iterator[tuple[int, int]]:
        """Of each segment, oldest first: the index behind its last entry, and when that was."""
        return zip(self._ends, (segment.row.last[0] for segment in self.segments), strict=True)

    def past(self, index: int) -> tuple[list[Row], tuple[Entry, ...]]:
        """All before the index: rows of the segments that lie wholly before it, and the entries between those and the index."""
        whole = bisect_right(self._ends, index)
        return [segment.row for segment in self.segments[:whole]], self[self._ends[whole - 1] if whole else 0 : index]

    def since(self, index: int) -> Entries | tuple[Entry, ...]:
        """The entries from the index on, which must be the end of a segment."""
        return _joined(self.segments[self._ends.index(index) + 1 :], self.recent, self.engagement)

    def splice(self, index: int, removed: int, *added: Entry) -> Entries | tuple[Entry, ...]:
        """The entries with `removed` of them at the index, all of one segment or recent, taken out and others in their place.

        `engagement` is left as it was. Where no recent entry is left, the newest segment's are the recent ones.
        """
        if index >= self.sealed:
            i = index - self.sealed
            recent = (*self.recent[:i], *added, *self.recent[i + removed :])
            return _joined(self.segments, recent, self.engagement)
        k, i = self._place(index)
        old = self.segments[k].entries
        if i + removed > len(old):
            raise ValueError("entries of more than one segment cannot be replaced at once")
        made = seal((*old[:i], *added, *old[i + removed :]))
        return _joined(self.segments[:k] + made + self.segments[k + 1 :], self.recent, self.engagement)


def _joined(
    segments: tuple[Segment, ...], recent: tuple[Entry, ...], engagement: Engagement
) -> Entries | tuple[Entry, ...]:
    if segments and not recent:
        segments, recent = segments[:-1], segments[-1].entries
    return Entries(segments, recent, engagement) if segments else recent
