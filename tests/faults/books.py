"""What is in Kafka, record by record, and the rules that must hold at any moment. No IO: `checker` brings what it reads.

A rule that is broken is a line in `violations`. Three kinds, told apart by their first word: `lost`, `doubled`, `backwards`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import msgspec

from streams.core.outcome import Finding
from streams.core.timeline import Timeline, decode
from streams.edge.codec import Codec, DecodeError
from streams.edge.topics import COMMANDS, CONFLICTS, DEAD_LETTER, HANDOFFS, IDENTIFIED, TOUCH_TOPICS, changelog
from streams.settings import Settings
from tests.faults.load import Address, strewn

Place = tuple[str, int]
"""Topic (full name), partition."""

WHOLE = b"\x01"
"""First byte of a timeline that is one value, as nearly all of the load's are. Read here without the product's decoder."""


@dataclass(frozen=True)
class _Sent:
    """A touch in touches.identified: for whom, which, and whence."""

    customer: str
    touch_id: str


@dataclass(frozen=True)
class _Told:
    """A command in touches.identified: a merge (`touch_ids` None), or touches that moved."""

    customer: str
    touch_ids: frozenset[str] | None


LEFT = Timeline.__struct_fields__.index("left")
"""Where an encoded timeline says which identifiers have left it."""


class Books:
    """See the module. `take` each record once in the order of its partition, then `commit` what was committed before that."""

    def __init__(self, settings: Settings) -> None:
        topic = settings.topic
        self._inputs = {topic(name) for name in TOUCH_TOPICS.values()} | {topic(COMMANDS)}
        self._identified, self._dead = topic(IDENTIFIED), topic(DEAD_LETTER)
        self._findings = {topic(CONFLICTS), topic(HANDOFFS)}
        self._changelog = changelog(settings)
        self.topics = [*sorted(self._inputs), self._identified, self._dead, *sorted(self._findings), self._changelog]
        self._codec = Codec()
        self._bad_payloads = {bad.value or b"" for bad in strewn(self._codec)}
        self._read: dict[Place, list[tuple[int, Any]]] = defaultdict(list)
        """Input records not yet committed: (offset, what it says)."""
        self.committed: dict[Place, int] = {}
        self._origins: set[Address] = set()
        self.dead: dict[Address, str] = {}
        """Reason by the address of the record that is buried."""
        self.stands_at: dict[Address, list[Address]] = defaultdict(list)
        """Where a record of an input topic stands in touches.identified."""
        self._letters: dict[Address, str] = {}
        self._sent_to: dict[str, set[str]] = defaultdict(set)
        self._moved: dict[str, set[str]] = defaultdict(set)
        self._segments: dict[str, bytes | None] = {}
        self._timelines: dict[str, frozenset[str]] = {}
        self._ever: dict[str, set[str]] = defaultdict(set)
        self._merged: set[str] = set()
        self._parted: set[str] = set()
        self._shrunk: list[tuple[Address, str, frozenset[str]]] = []
        self._contents: dict[tuple[str, int], bytes] = {}
        self.standing: dict[str, Finding] = {}
        self.written: dict[int, list[float]] = defaultdict(list)
        """Times (UTC seconds) of the changelog's records by partition."""
        self.counts: Counter[str] = Counter()
        self.violations: list[str] = []

    def take(self, record: Any) -> None:
        """Enter one record, as aiokafka gives it."""
        address = (record.topic, record.partition, record.offset)
        if record.topic in self._inputs:
            self._read[address[:2]].append((record.offset, None))
        elif record.topic == self._identified:
            self._read[address[:2]].append((record.offset, self._sent(address, record.value or b"")))
        elif record.topic == self._dead:
            self._buried(record.value)
        elif record.topic in self._findings:
            self._found(record.value)
        elif record.topic == self._changelog:
            self.written[record.partition].append(record.timestamp / 1000)
            self._state(record.key.decode(), record.value, address)

    def commit(self, offsets: Mapping[Place, int], ends: Mapping[Place, int]) -> None:
        """Offsets that were committed before the topics were read up to `ends`."""
        for place, offset in offsets.items():
            before = self.committed.get(place, 0)
            if offset < before:
                self._broken(f"backwards: the committed offset of {_at(place)} went from {before} to {offset}")
            if offset > ends.get(place, offset):
                self._broken(f"backwards: {offset} is committed for {_at(place)}, which ends at {ends[place]}")
            self.committed[place] = max(before, offset)
            waiting = self._read[place]
            done = [item for item in waiting if item[0] < offset]
            self._read[place] = waiting[len(done) :]
            for at, what in done:
                self._settled((*place, at), what)

    def shrunk(self) -> list[str]:
        """Timelines that came to lack touches which they did not send on to another customer: a zombie wrote them. Asked when all is
        read, since a timeline and what it sent on stand in two topics."""
        return [
            f"backwards: the timeline of {customer} at {_at(address)} lacks {', '.join(sorted(lost)[:5])}, which it had"
            for address, customer, gone in self._shrunk
            if (lost := gone - self._moved[customer])
        ]

    def stray_letters(self) -> list[str]:
        """Dead letters of records that nobody made bad."""
        return [letter for letter in self._letters.values() if letter]

    def _settled(self, address: Address, what: _Sent | _Told | None) -> None:
        """A committed record has left all its traces."""
        if address in self.dead:
            return
        if address[0] in self._inputs:
            if address not in self._origins:
                self._broken(f"lost: {_at(address)} is committed, and neither identified nor a dead letter")
        elif isinstance(what, _Sent):
            elsewhere = any(customer < what.customer for customer in self._sent_to[what.touch_id])
            # One micro-batch may bring a touch and the merge that moves it on: then no changelog record ever had it.
            parted = what.customer in self._merged or what.customer in self._parted
            forwarded = parted and (elsewhere or what.touch_id in self._moved[what.customer])
            if what.touch_id not in self._ever[what.customer] and not forwarded:
                self._broken(
                    f"lost: {what.touch_id} at {_at(address)} is committed, not in the changelog of {what.customer}"
                )
        elif isinstance(what, _Told):
            moved = what.touch_ids is not None and what.touch_ids <= self._ever[what.customer]
            if not moved and what.customer not in self._merged and what.customer not in self._parted:
                self._broken(f"lost: the command at {_at(address)} is committed, and did nothing to {what.customer}")
        else:
            self._broken(f"lost: {_at(address)} is committed and cannot be read, and is no dead letter")

    def _sent(self, address: Address, value: bytes) -> _Sent | _Told | None:
        try:
            if self._codec.is_command(value):
                command = self._codec.decode_command(value)
                moved = command.kind == "timeline_moved"
                ids = frozenset(msgspec.msgpack.decode(entry)[1] for entry in command.entries) if moved else None
                self._moved[command.source_customer_id or ""] |= ids or frozenset()
                return _Told(command.customer_id, ids)
            identified = self._codec.decode_identified(value)
        except (DecodeError, msgspec.MsgspecError):
            return None
        touch_id, origin = identified.touch.touch_id, identified.origin
        if origin is not None:
            whence = (origin.topic, origin.partition, origin.offset)
            self.counts["touches sent on twice"] += whence in self._origins and touch_id in self._sent_to
            self._origins.add(whence)
            self.stands_at[whence].append(address)
        self._sent_to[touch_id].add(identified.customer_id)
        return _Sent(identified.customer_id, touch_id)

    def _buried(self, value: bytes) -> None:
        letter = self._codec.decode_dead_letter(value)
        if letter.origin is None:
            self._broken(f"lost: dead letter {letter.dead_letter_id} has no address")
            return
        address = (letter.origin.topic, letter.origin.partition, letter.origin.offset)
        if self.dead.get(address, letter.reason) != letter.reason:
            self._broken(f"doubled: {_at(address)} is buried as {self.dead[address]} and as {letter.reason}")
        self.counts["dead letters republished"] += address in self.dead
        self.dead[address] = letter.reason
        self._letters[address] = (
            "" if self._is_bad(letter.payload) else f"{letter.reason} at {_at(address)}: {letter.detail}"
        )

    def _is_bad(self, payload: bytes) -> bool:
        if payload in self._bad_payloads:
            return True
        try:
            return self._codec.decode_identified(payload).touch.touch_id.startswith("bad-")
        except DecodeError:
            return False

    def _found(self, value: bytes) -> None:
        finding = self._codec.decode_finding(value)
        key = finding.finding_id, finding.revision
        known = self._contents.setdefault(key, value)
        if known is not value:
            self.counts["findings republished"] += 1
            if known != value:
                self._broken(f"doubled: {finding.rule} {key[0]} revision {key[1]} has two contents")
        self.counts["findings"] += 1
        old = self.standing.get(finding.finding_id)
        if old is None or finding.revision >= old.revision:
            self.standing[finding.finding_id] = finding

    def _state(self, customer: str, value: bytes | None, address: Address) -> None:
        if "#" in customer:  # a segment of a long timeline, or its end
            self._segments[customer] = value
            return
        if value is None:
            self._broken(f"lost: the timeline of {customer} was deleted at {_at(address)}")
            return
        into, ids, parted = self._contained(customer, value)
        if parted:
            self._parted.add(customer)
        before = self._timelines.get(customer, frozenset())
        if into is not None:
            self._merged.add(customer)
        elif customer in self._merged:
            self._broken(f"backwards: {customer} was merged, and at {_at(address)} is not")
        elif not before <= ids:
            self._shrunk.append((address, customer, before - ids))
        self._timelines[customer] = ids
        self._ever[customer] |= ids

    def _contained(self, customer: str, value: bytes) -> tuple[str | None, frozenset[str], bool]:
        """Where the customer went, the ids of all touches that the timeline holds, and whether identifiers have left it."""
        if value[:1] == WHOLE:
            held = msgspec.msgpack.decode(value[1:])
            into, entries, opt_outs = held[:3]
            return into, frozenset(entry[1] for entry in (*entries, *opt_outs)), len(held) > LEFT and bool(held[LEFT])
        timeline = decode(value, lambda digest: self._segments.get(f"{customer}#{digest.hex()}"))
        ids = frozenset(entry.id for entry in (*timeline.entries, *timeline.opt_outs))
        return timeline.merged_into, ids, bool(timeline.left)

    def _broken(self, what: str) -> None:
        self.violations.append(what)


def longest_pause(times: Iterable[float], begin: float, end: float) -> float:
    """The longest stretch of [begin, end] without one of the times."""
    inside = [begin, *sorted(t for t in times if begin < t < end), end]
    return max(later - earlier for earlier, later in pairwise(inside))


def _at(place: tuple[str, int] | Address) -> str:
    topic, partition, *offset = place
    return f"{topic}[{partition}]" + "".join(f"@{at}" for at in offset)
