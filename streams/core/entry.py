"""What timelines are made of: touches as a timeline keeps them, and the engagement that they leave behind."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Struct

from streams.core.touch import OPT_OUT_KINDS, Claim, IdentifiedTouch


class DamagedError(ValueError):
    """Bytes of a timeline, or of a part of one, that cannot be read; the text says which and why, and whose, once that is known."""

    customer: str | None = None

    def of(self, customer: str) -> DamagedError:
        """The same, said of a customer: parts of a timeline are read when they are needed, where nobody knows whose they are."""
        if self.customer is not None:
            return self
        named = DamagedError(f"the timeline of {customer} cannot be read: {self}")
        named.customer = customer
        return named


class Entry(Struct, frozen=True, gc=False, array_like=True):
    """A touch as a timeline keeps it: what rules and their sentences need, nothing else. Times in UTC ms.

    `identifier` is as in `IdentifiedTouch`. `late`: it came later than the policy allows, so no rule looks at it.
    Of a deleted touch its id, time and version stay, under the kind `DELETED`, so that an older version that comes later does not
    bring it back.
    """

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
    version: int = 1
    late: bool = False
    identifier: str = ""
    category: str | None = None
    priority: int | None = None
    sequence: str | None = None
    account: str | None = None
    time_zone: str | None = None
    country: str | None = None

    @property
    def customer(self) -> str:
        """Whose it is, as planned contacts say it: that of the timeline."""
        return ""


DELETED = "deleted"

TOMBSTONES = 64
"""Tombstones of pruned touches that a timeline keeps, the newest: some 5 kB."""


About = tuple[str, str, str]
"""What touches say of a customer, "" where none did: country, time zone, account."""


class Engagement(Struct, frozen=True, gc=False, array_like=True):
    """The engagement score at the moment `at`, as (kind, touches, points) by kind, and whether a hand-off may follow.

    The score decays by half every `handoff.half_life_days`, so that one number and one time are enough to go on from. `about` is what fit
    rests on (`streams.core.fit`), where the policy has any; after what was pruned it is known in any case.
    """

    at: int = 0
    parts: tuple[tuple[str, int, float], ...] = ()
    armed: bool = True
    handed_off_at: int | None = None
    about: About | None = None


UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError)
"""What msgspec raises on damaged bytes."""

_encoder = msgspec.msgpack.Encoder()
_entry_decoder = msgspec.msgpack.Decoder(Entry)
_entries_decoder = msgspec.msgpack.Decoder(tuple[Entry, ...])


def encode_entry(entry: Entry) -> bytes:
    """One entry on its way to another customer id (`Command.entries`)."""
    return _encoder.encode(entry)


def decode_entry(data: bytes) -> Entry:
    """Inverse of `encode_entry`; raises DamagedError."""
    try:
        return _entry_decoder.decode(data)
    except UNREADABLE as error:
        raise DamagedError(f"damaged timeline entry: {error}") from None


def encode_entries(entries: tuple[Entry, ...]) -> bytes:
    """Entries as one MessagePack array."""
    return _encoder.encode(entries)


def decode_entries(data: bytes | memoryview) -> tuple[Entry, ...]:
    """Inverse of `encode_entries`; raises DamagedError."""
    try:
        return _entries_decoder.decode(data)
    except UNREADABLE as error:
        raise DamagedError(f"damaged timeline entries: {error}") from None


def entry_of(identified: IdentifiedTouch) -> Entry:
    """What the timeline keeps of a touch."""
    touch = identified.touch
    if touch.deleted:
        return Entry(
            touch.occurred_at, touch.touch_id, touch.channel, touch.department, touch.direction, DELETED, identified.published_at,
            version=touch.version, identifier=identified.identifier,
        )  # fmt: skip
    actor, message, account, customer = touch.actor, touch.message, touch.account, touch.customer
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
        customer.name,
        touch.interaction_id,
        identified.claims,
        touch.version,
        False,
        identified.identifier,
        touch.category,
        touch.priority,
        touch.sequence,
        account.name if account else None,
        customer.time_zone,
        customer.country,
    )


def key(entry: Entry) -> tuple[int, str]:
    """Order of a timeline: event time, then touch id."""
    return (entry.at, entry.id)


def is_opt_out(entry: Entry) -> bool:
    """Whether the customer said: no more of this."""
    return entry.kind in OPT_OUT_KINDS


def tombstone(entry: Entry) -> Entry:
    """What keeps older versions of a touch away once it is gone."""
    return Entry(
        entry.at, entry.id, entry.channel, entry.department, entry.direction, DELETED, entry.published_at,
        version=entry.version, identifier=entry.identifier,
    )  # fmt: skip


def left_behind(standing: tuple[Entry, ...], gone: Iterable[Entry], since: int) -> tuple[Entry, ...]:
    """What stays of pruned touches: the latest opt-out of each channel, then tombstones, from `since` on, of others that were corrected
    or deleted, since an older version may still come. In order of time."""
    held = (*standing, *gone)
    opt_outs = with_opt_outs((), held)
    kept = {opt_out.id for opt_out in opt_outs}
    left = [tombstone(one) for one in held if one.version > 1 and one.at >= since and one.id not in kept]
    return (*opt_outs, *sorted(left, key=key)[-TOMBSTONES:])


def with_opt_outs(opt_outs: tuple[Entry, ...], entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Standing opt-outs with those among more entries: the latest of each channel is enough, since it stays in force. What stands beside
    them (`left_behind`) stays."""
    kept = {old.channel: old for old in opt_outs if is_opt_out(old)}
    for entry in filter(is_opt_out, entries):
        known = kept.get(entry.channel)
        if known is None or key(known) < key(entry):
            kept[entry.channel] = entry
    tombstones = [old for old in opt_outs if not is_opt_out(old)]
    return (*sorted(kept.values(), key=key), *tombstones)


def newest_name(entries: Sequence[Entry]) -> str | None:
    """The customer's name as the newest of these entries with one gives it."""
    for entry in reversed(entries):
        if entry.name:
            return entry.name
    return None
