"""Consent that somebody recorded: a customer gave, denied or withdrew it, for a channel and a purpose, or for all of them.

Records reach a customer's timeline as the command `consent_changed` and stay there (`Timeline.consents`), by time, then id. Of several with
one id the one that was published last holds. Of each channel and purpose the latest statement in force counts; of two at one time the
refusal, else the larger id. So the order in which they arrive does not matter, and a record that comes late is judged by its own time.

Consent that is given ends an earlier opt-out of what it covers, for as long as it counts itself: once it has ended, or was withdrawn, the
opt-out holds again.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from streams.core.entry import UNREADABLE, DamagedError, Entry
from streams.core.touch import CHANNELS, Customer

CHANGED = "consent_changed"
"""The kind of the command that brings records of consent."""

MOST = 100
"""Records that a customer may have: what has been superseded goes first, the oldest of it."""

LONGEST = 512
"""Characters of each of a record's texts."""

LARGEST = 200_000
"""Bytes of all of a customer's records: a timeline stays within one Kafka record."""

UTMOST = 3 * LARGEST
"""The same with what must not be refused for its size: a no, and what comes by merges."""

Status = Literal["granted", "denied", "withdrawn"]
"""As in the policy's rules and in `POST /v1/checks`. `denied`: asked for and not given; `withdrawn`: given once."""

LawfulBasis = Literal[
    "consent", "contract", "legal_obligation", "vital_interests", "public_task", "legitimate_interests"
]  # fmt: skip
"""GDPR article 6(1), letters a to f. `contract` is also what the customer asks for before one."""


class Consent(Struct, frozen=True, gc=False, array_like=True):
    """One record of consent, in force from `at` until `until` (UTC ms; None: until another comes). "" stands for every channel, and
    for every purpose. `id` is the record's, where it has one.

    The proof: `source` is the system where it was said, `form` the text or form, with its version, to which the customer agreed,
    `recorded_by` who recorded it. `published_at` (UTC ms) and `identifier` are as in `Entry`, "" where the record came with a check. Of one
    that was taken back, `deleted`, its id stays, so that an earlier one does not bring it back.
    """

    status: Status
    at: int
    channel: str = ""
    purpose: str = ""
    until: int | None = None
    source: str = ""
    basis: LawfulBasis | None = None
    id: str = ""
    form: str = ""
    recorded_by: str = ""
    published_at: int = 0
    deleted: bool = False
    identifier: str = ""


class ConsentChange(Struct, frozen=True, gc=False, omit_defaults=True):
    """A record of consent as other systems publish it, the shape of `consent` in `schemas/command`: whose it is by any identifiers, else as
    in `Consent`."""

    consent_id: str
    customer: Customer
    status: Status
    at: int
    channel: str = ""
    purpose: str = ""
    until: int | None = None
    basis: LawfulBasis | None = None
    source: str = ""
    form: str = ""
    recorded_by: str = ""
    deleted: bool = False


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Consent)


def encode_consent(one: Consent) -> bytes:
    """A record on its way to a timeline (`Command.entries`)."""
    return _encoder.encode(one)


def decode_consent(data: bytes) -> Consent:
    """Inverse of `encode_consent`; raises DamagedError."""
    try:
        return _decoder.decode(data)
    except UNREADABLE as error:
        raise DamagedError(f"damaged record of consent: {error}") from None


def consent_of(change: ConsentChange, published_at: int, identifier: str = "") -> Consent:
    """What the timeline keeps of a record, once it is known whose it is."""
    c = change
    return Consent(
        c.status, c.at, c.channel, c.purpose, c.until, c.source, c.basis, c.consent_id, c.form, c.recorded_by, published_at,
        c.deleted, identifier,
    )  # fmt: skip


def problem(change: ConsentChange) -> str | None:
    """What is wrong with a record, and what to do about it; None when nothing is."""
    c = change
    if not 0 < len(c.consent_id) <= 200:
        return "consent_id: 1 to 200 characters are allowed; give the record's id in your system"
    if c.channel and c.channel not in CHANNELS:
        return f"channel: {c.channel!r} is none of {', '.join(CHANNELS)}; leave it out for all of them"
    for name in ("purpose", "source", "form", "recorded_by"):
        if len(getattr(c, name)) > LONGEST:
            return f"{name}: at most {LONGEST} characters are allowed"
    if not c.deleted and not c.source:
        return "source: a record without it proves nothing; say in which system it was said"
    if not c.deleted and not c.recorded_by:
        return "recorded_by: a record without it proves nothing; say who recorded it"
    if c.until is not None and c.until <= c.at:
        return "until: lies at or before `at`, so the record was never in force"
    return None


def put(held: tuple[Consent, ...] | None, came: Iterable[Consent]) -> tuple[Consent, ...] | None:
    """The records with these, too, unless it is known better; the same object when nothing is new."""
    known = {one.id: one for one in held or ()}
    for one in (_tombstone(one) if one.deleted else one for one in came):
        before = known.get(one.id)
        if before is None or _published(before) < _published(one):
            known[one.id] = one
    kept = _within_bounds(sorted(known.values(), key=_place))
    return held if kept == (held or ()) else kept


def _published(one: Consent) -> tuple[int, bool, bytes]:
    return one.published_at, one.deleted, _encoder.encode(one)


def _tombstone(one: Consent) -> Consent:
    return Consent(
        one.status, one.at, id=one.id, published_at=one.published_at, deleted=True, identifier=one.identifier
    )


def _place(one: Consent) -> tuple[int, str]:
    return one.at, one.id


def _within_bounds(ordered: list[Consent]) -> tuple[Consent, ...]:
    """The records without the oldest of those that are superseded, where there are too many, or too large ones; what counts, now or once
    a later one has ended, always stays."""
    spare = len(ordered) - MOST
    size = _size(ordered)
    if spare <= 0 and size <= LARGEST:
        return tuple(ordered)
    counting = _counting(ordered)
    gone: set[str] = set()
    for one in ordered:
        if len(gone) >= spare and size <= LARGEST:
            break
        if one.id not in counting:
            gone.add(one.id)
            size -= _size((one,))
    return tuple(one for one in ordered if one.id not in gone)


def _counting(ordered: Iterable[Consent]) -> set[str]:
    """Ids of the records that a later one of the same channel and purpose does not outlast."""
    outlasted: dict[tuple[str, str, str], float] = {}
    counting = set[str]()
    for one in sorted(ordered, key=_order, reverse=True):
        place, until = (one.identifier, one.channel, one.purpose), inf if one.until is None else one.until
        if not one.deleted and until > outlasted.get(place, 0):
            outlasted[place] = until
            counting.add(one.id)
    return counting


def _size(records: Iterable[Consent]) -> int:
    return sum(len(_encoder.encode(one)) for one in records)


def too_many(
    before: tuple[Consent, ...] | None, held: tuple[Consent, ...] | None, came: Iterable[Consent], moved: bool
) -> str | None:
    """Why a customer cannot have what came; None when there is room. A no always has, and so has what a merge or a split has `moved`: who
    withdrew consent must not be written to because of a bound."""
    if held is None:
        return None
    must = moved or all(one.deleted or one.status != "granted" for one in came)
    if len(held) > MOST and len(held) > len(before or ()) and not must:
        return f"the customer would have records of consent for {len(held)} channels and purposes, and may have {MOST}; use fewer names"
    size, most = _size(held), UTMOST if must else LARGEST
    if size > most and size > _size(before or ()):
        return f"the customer's records of consent would take {size} bytes, and may take {most}; shorten their texts"
    return None


def leave(
    held: tuple[Consent, ...] | None, customer: str, gone: frozenset[str] | None
) -> tuple[tuple[Consent, ...] | None, tuple[Consent, ...]]:
    """The records that stay, and those that go to another customer: those of the identifiers `gone`, or all. The latter say whose they
    are."""
    if not held:
        return None, ()
    moved = tuple(
        replace(one, identifier=one.identifier or customer)
        for one in held
        if gone is None or (one.identifier or customer) in gone
    )
    ids = {one.id for one in moved}
    return tuple(one for one in held if one.id not in ids) or None, moved


def told(held: tuple[Consent, ...] | None) -> tuple[Consent, ...]:
    """The records that were not taken back."""
    return tuple([one for one in held if not one.deleted]) if held else ()


def in_force(consents: Iterable[Consent], t: int) -> dict[tuple[str, str], Consent]:
    """The records that count at a moment (UTC ms), by channel and purpose."""
    return {
        (one.channel, one.purpose): one
        for one in sorted(consents, key=_order)
        if one.at <= t and (one.until is None or t < one.until)
    }


def _order(one: Consent) -> tuple[int, bool, str]:
    return one.at, one.status != "granted", one.id


def about(consents: Iterable[Consent], channel: str, purpose: str) -> list[Consent]:
    """The records that a contact falls under, by its channel and its purpose (`category`; "": it has none)."""
    return [one for one in consents if one.channel in ("", channel) and one.purpose in ("", purpose)]


def next_change(about: Iterable[Consent], t: int) -> int | None:
    """When other records than at a moment are in force; None: never, as things stand."""
    return min((at for one in about for at in (one.at, one.until) if at is not None and at > t), default=None)


def is_ended(opt_out: Entry, about: Iterable[Consent], t: int) -> bool:
    """Whether consent that was given since lets a contact pass after this opt-out, by the records that the contact falls under. One of
    these may refuse it all the same."""
    return any(one.status == "granted" and one.at > opt_out.at for one in in_force(about, t).values())


def refusal(consents: Iterable[Consent], contact: Entry, opt_out: Entry | None) -> Entry | Consent | None:
    """The latest no before a contact was made: a record that refuses it, or the latest opt-out, unless that has ended."""
    said = about(consents, contact.channel, contact.category or "")
    refused = [one for one in in_force(said, contact.at).values() if one.status != "granted"]
    newest = max(refused, key=_order, default=None)
    if opt_out is None or is_ended(opt_out, said, contact.at):
        return newest
    return newest if newest is not None and newest.at > opt_out.at else opt_out
