"""Up to when a worker's view has everything (`fresh_at` of `streams.edge.view.Beat`). No clock and no IO: it is told what can be seen.

A touch passes two topics, its tool's and that of identified touches, and mostly in different partitions. On its way it may be in no lag:
between two fetches, between a poll and its micro-batch, while its write is not acknowledged. Nor does the time of the last touch tell
anything: another partition may be an hour behind. So each look notes where each partition ended then. Once a partition is done up
to there, and all writes begun until then are acknowledged, what was in it at that look has gone through. What the topics of touches
held at one moment is in the view when, after it had gone through them, so has all that the topic of identified touches held.

That is exact for one worker. Among several, each tells of what it reads, and the oldest counts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

Place = tuple[str, int]
"""A topic (full name) and a partition."""

SLACK_MS = 100
"""A fetch tells of the end of a partition so late at most, unless the process is stopped."""

MARKS = 1000
"""Looks that are remembered for a partition that is behind; with more, those in between are left out."""


class _Partition:
    """Of one topic. Times in UTC ms. `noted` is up to where it was done when `Freshness` last noted the writes under way."""

    def __init__(self) -> None:
        self.marks: deque[tuple[int, int]] = deque()
        self.done = self.end = -1
        self.noted: int | None = None
        self.through = 0

    def settle(self, done: int) -> None:
        """All writes that were under way at the note are acknowledged. What a poll has just taken is counted as done until its
        micro-batches are there, so what is done now counts, too."""
        if self.noted is not None:
            while self.marks and self.marks[0][1] <= min(self.noted, done):
                self.through = self.marks.popleft()[0]

    def look(self, before: int | None, done: int, end: int) -> None:
        """Where it is now; `before` is the last look. An end that has not moved is an old one, unless all up to it was done at both
        looks: only then it was surely fetched in between."""
        is_known = end != self.end or (done >= end and self.done >= self.end)
        if before is not None and is_known:
            if self.marks and self.marks[-1][1] == end:
                self.marks[-1] = before - SLACK_MS, end
            elif len(self.marks) < MARKS:
                self.marks.append((before - SLACK_MS, end))
        self.done, self.end = done, end


class Freshness:
    """One for each worker. `identified` is the full name of the second topic."""

    def __init__(self, identified: str) -> None:
        self._identified = identified
        self.forget()

    def forget(self) -> None:
        """The partitions are given out anew: nothing is known."""
        self._places: dict[Place, _Partition] = {}
        self._under_way: frozenset[object] = frozenset()
        self._looked_at: int | None = None
        self._waiting: dict[int, deque[tuple[int, int]]] = {}
        self.fresh_at: dict[int, int] = {}
        """By partition: what was published before (UTC ms) is in the view. A partition of which nothing is known yet is missing."""

    def look(self, now: int, places: Mapping[Place, tuple[int, int]], under_way: frozenset[object]) -> None:
        """Look at this moment, some times a second. Of each partition that is read: the offset behind all that is done, and its end as the
        last fetch has told; and the writes that are not acknowledged."""
        for gone in self._places.keys() - places.keys():
            del self._places[gone]
        are_written = self._under_way.isdisjoint(under_way)
        for place, (done, end) in places.items():
            known = self._places.setdefault(place, _Partition())
            if are_written:
                known.settle(done)
                known.noted = done
            known.look(self._looked_at, done, end)
        if are_written:
            self._under_way = under_way
        self._looked_at = now
        self._tell(now)

    def _tell(self, now: int) -> None:
        first: dict[int, int] = {}
        last = []
        for (topic, partition), known in self._places.items():
            if topic == self._identified:
                last.append(known.through)
            else:
                first[partition] = min(known.through, first.get(partition, known.through))
        for gone in (self.fresh_at.keys() | self._waiting.keys()) - first.keys():
            self.fresh_at.pop(gone, None)
            self._waiting.pop(gone, None)
        copied = min(last, default=0)
        for partition, through in first.items():
            waiting = self._waiting.setdefault(partition, deque())
            newest = waiting[-1][0] if waiting else self.fresh_at.get(partition, 0)
            if through > newest and len(waiting) < MARKS:
                waiting.append((through, now))  # identified by now, all of it
            while waiting and waiting[0][1] <= copied:
                self.fresh_at[partition] = waiting.popleft()[0]
