"""Timelines whose segments are so short that the small histories of the properties have some."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from streams.core import segments
from streams.core.entry import Entry
from streams.core.segments import Entries
from streams.core.timeline import EMPTY, Timeline, decode, records, segment_key

KEY = b"c1-x"


@contextlib.contextmanager
def length(entries: int) -> Iterator[None]:
    """So many entries are sealed at once; twice as many may be in a segment, or recent."""
    usual, segments.LENGTH = segments.LENGTH, entries
    try:
        yield
    finally:
        segments.LENGTH = usual


class Log:
    """One customer's records in the changelog, as compaction leaves them, and what was loaded from it."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.loaded: list[bytes] = []

    def load(self, digest: bytes) -> bytes | None:
        self.loaded.append(digest)
        return self.values.get(segment_key(KEY, digest))

    def timeline(self) -> Timeline:
        """The timeline as a worker reads it."""
        return decode(self.values[KEY], self.load) if KEY in self.values else EMPTY

    def write(self, before: Timeline, after: Timeline) -> dict[bytes, bytes | None]:
        """Takes over what changed, and returns it."""
        changed = records(KEY, before, after)
        for key, value in changed.items():
            self.put(key, value)
        return changed

    def put(self, key: bytes, value: bytes | None) -> None:
        """One record."""
        if value is None:
            del self.values[key]
        else:
            self.values[key] = value

    def kept(self) -> int:
        """Values that the head means, and the head."""
        entries = self.timeline().entries
        return 1 + len(entries.segments) if isinstance(entries, Entries) else 1


def emails(*times: int) -> tuple[Entry, ...]:
    """Deliveries at these moments."""
    return tuple(Entry(at, f"t{n}", "email", "marketing", "outbound", "delivered") for n, at in enumerate(times))
