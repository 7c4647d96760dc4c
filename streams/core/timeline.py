"""A customer's timeline: the touches that rules look at, and the standing that older touches leave behind.

It holds the touches of the last `timeline.retention_days` before its newest, `timeline.max_touches` at most, sorted by event time, then
touch id. What is pruned leaves its opt-outs and its engagement score in the standing, so that a rule sees the same past with or
without the pruned touches. And it stays out: a finding that rests on it stays as it is, others are decided by what is held. Only a
correction may bring a pruned touch back, with a time that is in reach: then it is a new one. A short timeline is one value in the
changelog. A long one is a head with the recent entries, and a record for each segment of older ones (`streams.core.segments`), so that a
touch need not read and write them all.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from streams.core import segments
from streams.core.consent import Consent
from streams.core.entry import UNREADABLE, DamagedError, Engagement, Entry, is_opt_out, key
from streams.core.leads.acts import INTERNAL
from streams.core.leads.states import LeadState, next_due
from streams.core.policy import Policy
from streams.core.segments import Entries, Load, Row, Segment

WHOLE, HEAD = b"\x01", b"\x02"
"""First byte of an encoded timeline: its layout, all in one or a head. A release that knows a newer layout keeps reading these."""

if TYPE_CHECKING:
    History = tuple[Entry, ...] | Entries
else:
    History = tuple[Entry, ...]  # what a `WHOLE` value holds: msgspec reads it from here


class Judged(Struct, frozen=True, gc=False, array_like=True):
    """What a timeline remembers of its plans beside them, as long as it has any (`streams.core.plans`).

    `due` is when something about them changes by time alone (UTC ms), `clock` the latest moment that a timer said had come; 0: none. `told`
    has a digest of the finding that stands, by plan. `by` names the policy that decided all that; it is never empty where it was encoded.
    """

    due: int = 0
    clock: int = 0
    told: dict[str, bytes] = {}
    by: str = ""


class Timeline(Struct, frozen=True, gc=False, array_like=True):
    """All state of one customer.

    `merged_into` is the id the customer goes by now; then it holds no entries and touches are sent on. `identity_at` is the identity
    index's clock (us) when it last said whose this id is, `left` where touches of identifiers that were split off belong, each with the
    clock of that decision, and `erased_at` that of an erasure. `floor` is the sort key of the
    newest pruned touch, `name` the customer's name as the newest pruned touch with one gave it. In `opt_outs` are the standing ones,
    then tombstones of pruned touches that were corrected or deleted.
    `base` is the engagement after the pruned touches, `tail` after all. `revisions` are the finding
    ids that were amended or retracted, with their last revision and event time (see `FORGOTTEN`); `acknowledged` those that somebody
    acts on, with when they said so (UTC ms) and who. `lead` is the customer's lead after all entries, `lead_base` after the pruned ones.
    `plans` are touches to come (`streams.core.plans`), `judged` is what is remembered of them. `consents` are records of the customer's
    consent (`streams.core.consent`); None, never empty, where there are none: see `_NO_PLANS`.
    """

    merged_into: str | None = None
    entries: History = ()
    opt_outs: tuple[Entry, ...] = ()
    base: Engagement = Engagement()
    tail: Engagement = Engagement()
    floor: tuple[int, str] = (0, "")
    revisions: dict[str, tuple[int, int]] = {}
    name: str | None = None
    identity_at: int = 0
    left: dict[str, tuple[str, int]] = {}
    acknowledged: dict[str, tuple[int, str]] = {}
    erased_at: int = 0
    lead: LeadState | None = None
    lead_base: LeadState | None = None
    plans: tuple[Entry, ...] = ()
    judged: Judged | None = None
    consents: tuple[Consent, ...] | None = None


class _Head(Struct, frozen=True, gc=False, array_like=True):
    """A long timeline without what its segments hold."""

    merged_into: str | None
    recent: tuple[Entry, ...]
    opt_outs: tuple[Entry, ...]
    base: Engagement
    tail: Engagement
    floor: tuple[int, str]
    revisions: dict[str, tuple[int, int]]
    name: str | None
    engagement: Engagement
    directory: tuple[Row, ...]
    identity_at: int = 0
    left: dict[str, tuple[str, int]] = {}
    acknowledged: dict[str, tuple[int, str]] = {}
    erased_at: int = 0
    lead: LeadState | None = None
    lead_base: LeadState | None = None
    plans: tuple[Entry, ...] = ()
    judged: Judged | None = None
    consents: tuple[Consent, ...] | None = None


_NIL, _NONE = b"\xc0", b"\x90"
"""MessagePack's nil and its empty array. An encoded timeline is its layout, the array's head, then `merged_into`."""

_NO_PLANS = (_NIL + _NONE + _NIL + _NIL, _NIL + _NONE + _NIL, _NIL + _NONE)
"""How a timeline without plans, pruned leads and records of consent ends, and how earlier releases wrote it, which knew no `consents`, and
no `judged`. No other's encoding ends so: the last field of a record of consent, of what is judged, of a plan and of a lead is a text, or
nil behind nil. For that, no records are nil: an empty array behind nothing judged would end as the oldest releases' values do."""

_NO_TIMERS = tuple(_NIL + end for end in _NO_PLANS)
"""The same without a lead."""


def _timers_alone(before: int) -> msgspec.msgpack.Decoder[Any]:
    """A decoder that reads of a timeline, behind so many other fields, only what timers are about."""
    skipped = [(f"f{n}", msgspec.Raw) for n in range(before)]
    read = [("lead", LeadState | None, None), ("lead_base", msgspec.Raw, msgspec.Raw(_NIL))]
    plans = [("plans", msgspec.Raw, msgspec.Raw(_NONE)), ("judged", Judged | None, None)]
    return msgspec.msgpack.Decoder(msgspec.defstruct("_Timed", [*skipped, *read, *plans], array_like=True))


_TIMERS = {
    layout: _timers_alone(struct.__struct_fields__.index("lead"))
    for layout, struct in ((WHOLE, Timeline), (HEAD, _Head))
}

EMPTY = Timeline()

STALE = 0
"""Due at once."""

FORGOTTEN = ""
"""In `revisions`: the highest revision of all findings that were left out of it as too old, or that an erasure forgot."""

NEVER = 1 << 53
"""The event time beside it: it is not left out itself."""

_ARRAY16 = b"\xdc"
"""MessagePack's head of an array of more than 15 elements: two more bytes follow, which count them."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Timeline)
_head_decoder = msgspec.msgpack.Decoder(_Head)


def encode(timeline: Timeline) -> bytes:
    """All of a timeline in one value."""
    if not isinstance(timeline.entries, tuple):
        timeline = msgspec.structs.replace(timeline, entries=tuple(timeline.entries))
    return WHOLE + _encoder.encode(timeline)


def encode_head(timeline: Timeline) -> bytes:
    """The value under the customer's own key: what is not in segments."""
    t, entries = timeline, timeline.entries
    if isinstance(entries, tuple):
        return WHOLE + _encoder.encode(timeline)
    directory = tuple(segment.row for segment in entries.segments)
    head = _Head(
        t.merged_into, entries.recent, t.opt_outs, t.base, t.tail, t.floor, t.revisions, t.name,
        entries.engagement, directory, t.identity_at, t.left, t.acknowledged, t.erased_at,
        t.lead, t.lead_base, t.plans, t.judged, t.consents,
    )  # fmt: skip
    return HEAD + _encoder.encode(head)


def decode(data: bytes, load: Load = lambda digest: None) -> Timeline:
    """A timeline from the value under its customer's key; `load` gives the encoded segments of a long one, when they are needed.

    Raises:
        DamagedError: written by a layout that this release does not know, or damaged. A segment is looked at only when an
            entry in it is asked for: so the same error can come from there, later.
    """
    try:
        if data[:1] == WHOLE:
            return _decoder.decode(memoryview(data)[1:])
        if data[:1] == HEAD:
            return _joined(_head_decoder.decode(memoryview(data)[1:]), load)
    except UNREADABLE as error:
        raise DamagedError(f"damaged timeline: {error}") from None
    raise DamagedError(
        f"timeline layout {data[:1].hex() or 'none'} is unknown to this release; run the release that wrote it, or newer"
    )


def _joined(head: _Head, load: Load) -> Timeline:
    parts = tuple([Segment(row, load) for row in head.directory])
    if not parts or not head.recent:
        raise DamagedError("damaged timeline: a head without segments, or without recent entries")
    entries = Entries(parts, head.recent, head.engagement)
    return Timeline(
        head.merged_into, entries, head.opt_outs, head.base, head.tail, head.floor, head.revisions, head.name,
        head.identity_at, head.left, head.acknowledged, head.erased_at,
        head.lead, head.lead_base, head.plans, head.judged, head.consents,
    )  # fmt: skip


def segment_key(customer: bytes, digest: bytes) -> bytes:
    """Key of a segment in the changelog; no customer id has a `#`."""
    return b"%b#%b" % (customer, digest.hex().encode())


def customer_of(key: bytes) -> bytes:
    """Whose segment a key of the changelog means."""
    return key.partition(b"#")[0]


def records(customer: bytes, before: Timeline, after: Timeline) -> dict[bytes, bytes | None]:
    """What turns `before` into `after` in the changelog, by key and in this order: new segments, the head, and a null for each
    segment that is no more. So what the log holds is one of the two at any moment, and perhaps segments that nobody means."""
    head = None if after is EMPTY else encode_head(after)  # what is left of an erased customer is forgotten
    if isinstance(before.entries, tuple) and isinstance(after.entries, tuple):
        return {customer: head}
    old, new = _parts(before), _parts(after)
    changed: dict[bytes, bytes | None] = {
        segment_key(customer, digest): part.encoded() for digest, part in new.items() if digest not in old
    }
    changed[customer] = head
    changed |= {segment_key(customer, digest): None for digest in old if digest not in new}
    return changed


def segment_keys(customer: bytes, timeline: Timeline) -> frozenset[bytes]:
    """Keys of the segments that the timeline means."""
    return frozenset(segment_key(customer, digest) for digest in _parts(timeline))


def _parts(timeline: Timeline) -> dict[bytes, Segment]:
    entries = timeline.entries
    return {} if isinstance(entries, tuple) else {part.row.digest: part for part in entries.segments}


def is_customer(data: bytes) -> bool:
    """Whether a value of the changelog stands for a customer who holds touches: it is no segment, and does not only say where its
    customer went (`merged_into`). Told without decoding it."""
    first = 4 if data[1:2] == _ARRAY16 else 2
    return data[first : first + 1] == _NIL and data[:1] != segments.FORMAT


def lead_of(data: bytes) -> LeadState | None:
    """The customer's lead, told by an encoded value of the changelog, without decoding the rest; None also of values that are no timeline.
    Raises DamagedError."""
    held = _timed(data)
    lead: LeadState | None = None if held is None else held.lead
    return lead


def due(timeline: Timeline) -> int | None:
    """When something of the customer's lead or plans is due (UTC ms); None when nothing is."""
    lead, judged = next_due(timeline.lead), timeline.judged
    plans = judged.due if judged is not None and judged.due else None
    return plans if lead is None else (lead if plans is None else min(lead, plans))


def due_of(data: bytes, policy: str = "") -> int | None:
    """The same, told by an encoded value of the changelog, without decoding the rest; None also of values that are no timeline.
    `STALE` where plans were judged by another policy than the one of this name, unless that is empty. Raises DamagedError."""
    held = _timed(data)
    if held is None:
        return None
    if policy and bytes(held.plans) != _NONE and (held.judged or Judged()).by != policy:
        return STALE
    return due(held)


def _timed(data: bytes) -> Any:
    """Of a timeline with a lead or plans, what `due` looks at."""
    decoder = None if data.endswith(_NO_TIMERS) else _TIMERS.get(data[:1])
    if decoder is None:
        return None
    try:
        return decoder.decode(memoryview(data)[1:])
    except UNREADABLE as error:
        raise DamagedError(f"damaged timeline: {error}") from None


def may_have_plans(data: bytes) -> bool:
    """Whether a value of the changelog may hold plans, told without decoding it."""
    return is_customer(data) and not data.endswith(_NO_PLANS)


def forgotten(timeline: Timeline) -> int:
    """The highest revision that anything had of which the timeline remembers none; 0 when there was nothing of the kind."""
    known = timeline.revisions.get(FORGOTTEN)
    return known[0] if known is not None else 1 if timeline.floor[1] else 0


def touch_count(timeline: Timeline) -> int:
    """How many touches are on it, without what was done to a lead."""
    return sum(entry.direction != INTERNAL for held in (timeline.entries, timeline.opt_outs) for entry in held)


def standing(timeline: Timeline) -> tuple[Entry, ...]:
    """The latest opt-out of each channel that the pruned touches left."""
    return tuple(filter(is_opt_out, timeline.opt_outs))


def find(timeline: Timeline, id_: str) -> Entry | None:
    """The entry of this touch id, also when only its opt-out is left of it."""
    entries = timeline.entries
    if not isinstance(entries, tuple):
        known = entries.find(id_)
        if known is not None:
            return known
        entries = ()
    for known in (*entries, *timeline.opt_outs):
        if known.id == id_:
            return known
    return None


def place(timeline: Timeline, entry: Entry) -> int:
    """Index at which the entry belongs."""
    entries, wanted = timeline.entries, key(entry)
    if not entries or key(entries[-1]) < wanted:
        return len(entries)
    return bisect(entries, wanted)


def bisect(entries: Sequence[Entry], wanted: tuple[int, str]) -> int:
    """Index of the first entry whose sort key is not before the wanted one."""
    if isinstance(
        entries, tuple
    ):  # asked first, here and elsewhere: it is the usual case, and `Entries` takes longer to ask for
        return bisect_left(entries, wanted, key=key)
    return entries.bisect(wanted) if isinstance(entries, Entries) else bisect_left(entries, wanted, key=key)


def past(timeline: Timeline, index: int) -> tuple[list[Row], tuple[Entry, ...]]:
    """All that the timeline holds before the index, oldest first: segments as their rows, then entries."""
    entries = timeline.entries
    return ([], entries[:index]) if isinstance(entries, tuple) else entries.past(index)


def prunable(entries: History, policy: Policy) -> int:
    """How many of the oldest entries are past the retention in time or count. Of a long timeline, only whole segments go, so that
    no touch has to rewrite the oldest one: it keeps up to a segment more than the policy says."""
    limits = policy.timeline
    horizon = entries[-1].at - limits.retention_ms
    most = len(entries) - limits.max_touches
    if not isinstance(entries, tuple):
        cut = 0
        for end, last in entries.ends():
            if end > most and last >= horizon:
                break
            cut = end
        return cut
    cut = max(0, most)
    if entries[cut].at < horizon:
        cut = bisect_left(entries, horizon, lo=cut, key=lambda entry: entry.at)
    return cut


def too_old(timeline: Timeline, entry: Entry, policy: Policy) -> bool:
    """Whether the entry lies before what the timeline still holds."""
    if key(entry) <= timeline.floor:
        return True
    return bool(timeline.entries) and entry.at < timeline.entries[-1].at - policy.timeline.retention_ms
