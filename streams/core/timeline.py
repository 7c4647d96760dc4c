"""A customer's timeline: the touches that rules look at, and the standing that older touches leave behind.

A timeline is one value and one changelog record, so it is never half written. It holds at most `timeline.max_touches` touches of
the last `timeline.retention_days` before its newest touch, sorted by event time, then touch id. What is pruned leaves its
opt-outs and its engagement score in the standing, so that a rule sees the same past with or without the pruned touches.
"""

from __future__ import annotations

from bisect import bisect_left

import msgspec
from msgspec import Struct

from streams.core.policy import Policy
from streams.core.touch import OPT_OUT_KINDS, Claim, IdentifiedTouch

FORMAT = b"\x01"
"""First byte of an encoded timeline: the layout's version. A reader of a newer layout keeps reading the older ones."""


class Entry(Struct, frozen=True, gc=False, array_like=True):
    """A touch as a timeline keeps it: what rules and their sentences need, nothing else. Times in UTC ms."""

    at: int
    id: str
    channel: str
    department: str
    direction: str
    kind: str
    published_at: int = 0
    actor_id: str | None = None
    actor_name: str | None = None
    actor_kind: str | None = None
    campaign: str | None = None
    label: str | None = None
    name: str | None = None
    interaction_id: str | None = None
    claims: tuple[Claim, ...] = ()


class Engagement(Struct, frozen=True, gc=False, array_like=True):
    """The engagement score at the moment `at`, as (kind, touches, points) by kind, and whether a hand-off may follow.

    The score decays by half every `handoff.half_life_days`, so that one number and one time are enough to go on from.
    """

    at: int = 0
    parts: tuple[tuple[str, int, float], ...] = ()
    armed: bool = True
    handed_off_at: int | None = None


class Timeline(Struct, frozen=True, gc=False, array_like=True):
    """All state of one customer.

    `merged_into` is the id the customer goes by now; then the rest is empty and touches are sent on. `floor` is the sort key of the
    newest pruned touch, `name` the customer's name as the newest pruned touch with one gave it.
    `base` is the engagement after the pruned touches, `tail` after all. `revisions` are the finding
    ids that were amended or retracted, with their last revision and event time.
    """

    merged_into: str | None = None
    entries: tuple[Entry, ...] = ()
    opt_outs: tuple[Entry, ...] = ()
    base: Engagement = Engagement()
    tail: Engagement = Engagement()
    floor: tuple[int, str] = (0, "")
    revisions: dict[str, tuple[int, int]] = {}
    name: str | None = None


EMPTY = Timeline()

_NIL = b"\xc0"
"""MessagePack's nil. An encoded timeline is FORMAT, the array's head in one byte, then `merged_into`."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Timeline)
_entry_decoder = msgspec.msgpack.Decoder(Entry)


def encode(timeline: Timeline) -> bytes:
    """The value of the changelog record."""
    return FORMAT + _encoder.encode(timeline)


def decode(data: bytes) -> Timeline:
    """A timeline from its changelog value.

    Raises:
        ValueError: written by a layout that this release does not know, or damaged.
    """
    if data[:1] != FORMAT:
        raise ValueError(
            f"timeline layout {data[:1].hex() or 'none'} is unknown to this release; run the release that wrote it, or newer"
        )
    try:
        return _decoder.decode(memoryview(data)[1:])
    except msgspec.MsgspecError as error:
        raise ValueError(f"damaged timeline: {error}") from None


def is_forward(data: bytes) -> bool:
    """Whether an encoded timeline only says where its customer went (`merged_into`), told without decoding it."""
    return data[2:3] != _NIL


def encode_entry(entry: Entry) -> bytes:
    """One entry on its way to another customer id (`Command.entries`)."""
    return _encoder.encode(entry)


def decode_entry(data: bytes) -> Entry:
    """Inverse of `encode_entry`; raises ValueError when damaged."""
    try:
        return _entry_decoder.decode(data)
    except msgspec.MsgspecError as error:
        raise ValueError(f"damaged timeline entry: {error}") from None


def entry_of(identified: IdentifiedTouch) -> Entry:
    """What the timeline keeps of a touch."""
    touch = identified.touch
    actor, message = touch.actor, touch.message
    return Entry(
        touch.occurred_at,
        touch.touch_id,
        touch.channel,
        touch.department,
        touch.direction,
        touch.kind,
        identified.published_at,
        actor.id if actor else None,
        actor.name if actor else None,
        actor.kind if actor else None,
        touch.campaign,
        ((message.offer or message.subject) if message else None) or touch.campaign,
        touch.customer.name,
        touch.interaction_id,
        identified.claims,
    )


def key(entry: Entry) -> tuple[int, str]:
    """Order of a timeline: event time, then touch id."""
    return (entry.at, entry.id)


def place(timeline: Timeline, entry: Entry) -> int:
    """Index at which the entry belongs."""
    entries = timeline.entries
    if not entries or key(entries[-1]) < key(entry):
        return len(entries)
    return bisect_left(entries, key(entry), key=key)


def with_opt_out(opt_outs: tuple[Entry, ...], entry: Entry) -> tuple[Entry, ...]:
    """Standing opt-outs with one more: the latest of each channel is enough, since it stays in force."""
    kept = {old.channel: old for old in opt_outs}
    known = kept.get(entry.channel)
    if known is None or key(known) < key(entry):
        kept[entry.channel] = entry
    return tuple(sorted(kept.values(), key=key))


def prunable(entries: tuple[Entry, ...], policy: Policy) -> int:
    """How many of the oldest entries are past the retention in time or count."""
    limits = policy.timeline
    cut = max(0, len(entries) - limits.max_touches)
    horizon = entries[-1].at - limits.retention_ms
    if entries[cut].at < horizon:
        cut = bisect_left(entries, horizon, lo=cut, key=lambda entry: entry.at)
    return cut


def too_old(timeline: Timeline, entry: Entry, policy: Policy) -> bool:
    """Whether the entry lies before what the timeline still holds."""
    if key(entry) <= timeline.floor:
        return True
    return bool(timeline.entries) and entry.at < timeline.entries[-1].at - policy.timeline.retention_ms


def is_opt_out(entry: Entry) -> bool:
    """Whether the customer said: no more of this."""
    return entry.kind in OPT_OUT_KINDS
