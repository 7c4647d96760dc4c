"""What the identity log says: facts, each with the touch that caused it. A record of the topic `identities` is one fact.

=========  ==========================================================================  =================
kind       meaning                                                                     key
=========  ==========================================================================  =================
link       the identifiers a and b were seen in one touch and belong to one person     a|b
link, a=b  touches were sent on under the id a                                         a|a
blocked    seen in one touch, but `customers` contradict each other: not linked        blocked:a|b
shared     many people have the identifier a: it links nobody any more                 shared:a|a
told       the timeline of a knows that its customer goes by b, or by a smaller id     told:a|b
seen       seen in one touch while the index was away: it decides when it is back      seen:a|b
=========  ==========================================================================  =================

Facts only add up, and the key tells them apart, so compaction loses none, and a log read in any order gives the same graph
(`streams.core.identity_graph`). The value is JSON: {"v": 1, "customers": [...], "cause": {...}}; releases before 2026-11-24 wrote
"link", which says nothing more than the key.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast, get_args

import msgspec
from msgspec import Struct

from streams.core.touch import Origin, Touch

FactKind = Literal["link", "blocked", "shared", "told", "seen"]
_KINDS = frozenset(get_args(FactKind))


class Cause(Struct, frozen=True, gc=False, omit_defaults=True):
    """The touch that led to a fact, as far as people ask. Times in UTC ms; `origin` is its address, "topic[partition]@offset"."""

    touch_id: str
    occurred_at: int
    published_at: int
    channel: str
    department: str
    kind: str
    origin: str = ""


class Fact(Struct, frozen=True, gc=False):
    """See the module. `cause` is a `Cause` in JSON, empty when unknown; `customers` (only of "blocked") are those kept apart."""

    a: str
    b: str
    kind: FactKind = "link"
    cause: bytes = b""
    customers: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The record's key."""
        return f"{self.a}|{self.b}" if self.kind == "link" else f"{self.kind}:{self.a}|{self.b}"


class Resolved(Struct, frozen=True, gc=False):
    """The customer of one touch, and the facts that the log does not hold yet for sure. `identifier` is the touch's own identifier that
    decided it, empty when it is the customer id; `resolved_at` is the index's clock (us; 0 when it was not asked)."""

    customer_id: str
    facts: tuple[Fact, ...] = ()
    identifier: str = ""
    resolved_at: int = 0


def resolve_alone(ids: Sequence[str], cause: bytes = b"") -> Resolved:
    """The customer by the touch's own identifiers only, for when the index is away.

    Whom else they belong to is left to the index: without it, nobody knows which of them are shared or contradict each other.
    """
    strongest = ids[0]
    seen = tuple(Fact(strongest, other, "seen", cause) for other in ids[1:])
    return Resolved(strongest, (Fact(strongest, strongest, cause=cause), *seen))


def parse_key(key: str) -> tuple[FactKind, str, str]:
    """Kind and ids of a record's key.

    Raises:
        ValueError: it is none of ours.
    """
    prefix, colon, rest = key.partition(":")
    kind = prefix if colon else "link"
    a, bar, b = (rest if colon else key).partition("|")
    if kind not in _KINDS or not (a and bar and b):
        raise ValueError(f"{key!r} is no key of the identity log")
    return cast("FactKind", kind), a, b


class _Value(Struct, frozen=True, omit_defaults=True):
    v: int = 1
    customers: tuple[str, ...] = ()
    cause: msgspec.Raw = msgspec.Raw(b"null")


_decoder = msgspec.json.Decoder(_Value)
_causes = msgspec.json.Decoder(Cause)
_NO_VALUE = _Value()


def encode(fact: Fact) -> bytes:
    """The value of a fact's record."""
    return msgspec.json.encode(_Value(1, fact.customers, msgspec.Raw(fact.cause or b"null")))


def decode(key: bytes, value: bytes) -> Fact:
    """A record of the log.

    Raises:
        ValueError: it is no record of ours.
    """
    kind, a, b = parse_key(key.decode())
    try:
        held = _NO_VALUE if value == b"link" else _decoder.decode(value)
    except msgspec.MsgspecError as error:
        raise ValueError(f"the identity log's record {key!r} has a damaged value: {error}") from None
    cause = bytes(held.cause)
    return Fact(a, b, kind, b"" if cause == b"null" else cause, held.customers)


def cause_of(touch: Touch, published_at: int, origin: Origin | None = None) -> bytes:
    """A touch as the cause of facts (`Fact.cause`)."""
    place = "" if origin is None else f"{origin.topic}[{origin.partition}]@{origin.offset}"
    cause = Cause(touch.touch_id, touch.occurred_at, published_at, touch.channel, touch.department, touch.kind, place)
    return msgspec.json.encode(cause)


def decode_cause(fact: Fact) -> Cause | None:
    """Why the fact holds, or None when that is not known."""
    return _causes.decode(fact.cause) if fact.cause else None
