"""Consent that somebody recorded: a customer gave, denied or withdrew it, for a channel and a purpose, or for all of them.

Records reach a customer's timeline as the command `consent_changed` and stay there (`Timeline.consents`), by time, then id. Of several with
one id the one that was published last holds. Of each channel and purpose the latest statement in force counts; of two at one time the
refusal, else the larger id. So the order in which they arrive does not matter, and a record that comes late is judged by its own time.

Consent that is given ends an earlier opt-out of what it covers, for as long as it counts itself: once it has ended, or was withdrawn, the
opt-out holds again. How many records a customer keeps, and which: `streams.core.consent_keeping`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from streams.core.entry import UNREADABLE, DamagedError, Entry
from streams.core.touch import CHANNELS, Customer

CHANGED = "consent_changed"
"""The kind of the command that brings records of consent."""

LONGEST = 512
"""Characters of each of a record's texts."""

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
        for one in sorted(consents, key=order)
        if one.at <= t and (one.until is None or t < one.until)
    }


def order(one: Consent) -> tuple[int, bool, str]:
    """Of two records of one channel and purpose the larger one counts."""
    return one.at, one.status != "granted", one.id


def about(consents: Iterable[Consent], channel: str, purpose: str) -> list[Consent]:
    """The records that a contact falls under, by its channel and its purpose (`category`; "": it has none)."""
    return [one for one in consents if one.channel in ("", channel) and one.purpose in ("", purpose)]


def next_change(about: Sequence[Consent], t: int) -> int | None:
    """When other records than at a moment are in force; None: never, as things stand. The end of what is superseded changes nothing."""
    ends = [one.until for one in in_force(about, t).values() if one.until is not None]
    return min((*ends, *(one.at for one in about if one.at > t)), default=None)


def is_ended(opt_out: Entry, about: Iterable[Consent], t: int) -> bool:
    """Whether consent that was given since lets a contact pass after this opt-out, by the records that the contact falls under. One of
    these may refuse it all the same."""
    return any(one.status == "granted" and one.at > opt_out.at for one in in_force(about, t).values())


def refusal(consents: Iterable[Consent], contact: Entry, opt_out: Entry | None) -> Entry | Consent | None:
    """The latest no before a contact was made: a record that refuses it, or the latest opt-out, unless that has ended."""
    said = about(consents, contact.channel, contact.category or "")
    refused = [one for one in in_force(said, contact.at).values() if one.status != "granted"]
    newest = max(refused, key=order, default=None)
    if opt_out is None or is_ended(opt_out, said, contact.at):
        return newest
    return newest if newest is not None and newest.at > opt_out.at else opt_out
