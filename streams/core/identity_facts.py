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
cut        the link a|b is wrong, as a person decided, or of a shared identifier: it    cut:a|b
           links nothing; or a person decided that the `customers` are two
joined     a and b are one person, as a person decided, whatever guard kept them       joined:a|b
           apart as the `customers`; of "cut" and "joined" the later decision holds
acted      somebody acts on the conflict that "blocked" told people of                 acted:a|b
ended      that conflict holds no more                                                 ended:a|b
erased     what was known of a was erased; touches of `until` or before are refused    erased:a|a
=========  ==========================================================================  =================

Facts only add up, and the key tells them apart, so compaction loses none, and a log read in any order gives the same graph
(`streams.core.identity_graph`). Only an erasure takes facts back: records without a value. The value is JSON: {"v": 1,
"customers": [...], "ids": [...], "at": ..., "until": ..., "untold": [...], "staying": [...], "cause": {...}}, all but "v" optional;
releases before 2026-11-24 wrote "link", which says nothing more than the key.

A fact "gone" is never in the log: the index asks with it that what the log says of the pair be taken back (`taken_back`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast, get_args

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from streams.core.touch import Origin, Touch

FactKind = Literal["link", "blocked", "shared", "told", "seen", "cut", "joined", "acted", "ended", "erased", "gone"]
_KINDS = frozenset(get_args(FactKind))
_TAKEN_BACK: tuple[FactKind, ...] = ("link", "blocked", "seen", "told", "cut", "joined", "acted", "ended")


class Cause(Struct, frozen=True, gc=False, omit_defaults=True):
    """The touch, or record of consent, that led to a fact, as far as people ask. Times in UTC ms; `origin` is its address,
    "topic[partition]@offset"."""

    touch_id: str
    occurred_at: int
    published_at: int
    channel: str
    department: str
    kind: str
    origin: str = ""


class Request(Struct, frozen=True, gc=False, omit_defaults=True):
    """The command that led to a fact, as far as people ask. `requested_at` in UTC ms; `reason` as they wrote it."""

    command_id: str
    requested_by: str
    requested_at: int
    reason: str = ""


class Conflict(Struct, frozen=True, gc=False, omit_defaults=True):
    """What became of a conflict that people were told of: the touch that showed it, who acts on it, and what ended it: somebody who
    decided, that they are two (`request`) or one (`joined`), or a touch by which an identifier is shared; none, when another worker had
    decided otherwise."""

    conflict: Cause | None = None
    acted: Request | None = None
    request: Request | None = None
    touch: Cause | None = None
    joined: Request | None = None


class Fact(Struct, frozen=True, gc=False):
    """See the module. `cause` is a `Cause` in JSON, of "erased", "joined" and most "cut", and of "told" by a join, a `Request`, of "acted"
    and "ended" a `Conflict`; empty when unknown.

    `customers` of "blocked", "acted" and "ended" are those kept apart, of "joined" those who were two. Of "cut" the one that the person
    went by and goes by on, and, unless other links still hold the two together, the new one; then other ids that touches of the first were
    sent on under, whose timelines are told anew. `ids` of "cut" are the identifiers that belong to the new one, of "told", in the index's
    answer, all of the person. `untold` of "cut" are ids that leave the first customer, and whose timelines were not told yet that they had
    been merged with it: they may hold touches of `staying`, the identifiers that stay with it. `at` is the index's clock (us) at the
    decision, of "told", "cut", "joined" and "erased"; `until` (of "erased") UTC ms.
    """

    a: str
    b: str
    kind: FactKind = "link"
    cause: bytes = b""
    customers: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    at: int = 0
    until: int = 0
    untold: tuple[str, ...] = ()
    staying: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The record's key."""
        return f"{self.a}|{self.b}" if self.kind == "link" else f"{self.kind}:{self.a}|{self.b}"


class Resolved(Struct, frozen=True, gc=False):
    """The customer of one touch, and the facts that the log does not hold yet for sure. `identifier` is the touch's own identifier that
    decided it, empty when it is the customer id; `resolved_at` is the index's clock (us; 0 when it was not asked).

    `erased_at` (UTC ms) is when one of the touch's identifiers was erased, 0 when none was. When `refused`, the touch must not be taken:
    it is of the erased person, and too old, or policy has it so. Nothing of it was noted in the index.
    """

    customer_id: str
    facts: tuple[Fact, ...] = ()
    identifier: str = ""
    resolved_at: int = 0
    erased_at: int = 0
    refused: bool = False


class Erased(Struct, frozen=True, gc=False):
    """What the index removed of one person. `identifiers` are all that are theirs alone, `used` all ids (of shared identifiers, too)
    that touches were sent on under, so that a timeline may be there, `log_keys` the records of the identity log that are to get a
    tombstone; `decided_at` is the index's clock (us). `decided` are cuts of theirs that Kafka may not have, of which timelines are to be
    told, and links of theirs that a guard keeps apart, of which people were told, with who acts on it.
    """

    customer_id: str
    identifiers: tuple[str, ...]
    used: tuple[str, ...]
    decided_at: int
    log_keys: tuple[str, ...]
    decided: tuple[Fact, ...] = ()


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
    ids: tuple[str, ...] = ()
    at: int = 0
    until: int = 0
    untold: tuple[str, ...] = ()
    staying: tuple[str, ...] = ()
    cause: msgspec.Raw = msgspec.Raw(b"null")


_decoder = msgspec.json.Decoder(_Value)
_causes = msgspec.json.Decoder(Cause)
_requests = msgspec.json.Decoder(Request)
_conflicts = msgspec.json.Decoder(Conflict)
_IS_REQUEST = b'"command_id":'
"""In a cause: a person decided. Within a value of JSON its quotes would be escaped."""
_NO_VALUE = _Value()


def encode(fact: Fact) -> bytes:
    """The value of a fact's record."""
    cause = msgspec.Raw(fact.cause or b"null")
    value = _Value(1, fact.customers, fact.ids, fact.at, fact.until, fact.untold, fact.staying, cause)
    return msgspec.json.encode(value)


def decode(key: bytes, value: bytes) -> Fact:
    """A record of the log.

    Raises:
        ValueError: it is no record of ours.
    """
    kind, a, b = parse_key(key.decode())
    if kind == "gone":
        raise ValueError(f"{key!r} is no key of the identity log")
    try:
        held = _NO_VALUE if value == b"link" else _decoder.decode(value)
    except msgspec.MsgspecError as error:
        raise ValueError(f"the identity log's record {key!r} has a damaged value: {error}") from None
    cause = bytes(held.cause)
    said = b"" if cause == b"null" else cause
    return Fact(a, b, kind, said, held.customers, held.ids, held.at, held.until, held.untold, held.staying)


def cause_of(touch: Touch, published_at: int, origin: Origin | None = None) -> bytes:
    """A touch as the cause of facts (`Fact.cause`)."""
    cause = Cause(touch.touch_id, touch.occurred_at, published_at, touch.channel, touch.department, touch.kind)
    return encode_cause(cause, origin)


def encode_cause(cause: Cause, origin: Origin | None) -> bytes:
    """The same of what is no touch, with its place in Kafka."""
    place = "" if origin is None else f"{origin.topic}[{origin.partition}]@{origin.offset}"
    return msgspec.json.encode(replace(cause, origin=place))


def decode_cause(fact: Fact) -> Cause | None:
    """The touch by which the fact holds, or None when that is not known, or it was a person who decided."""
    if fact.kind in ("acted", "ended"):
        return decode_conflict(fact).touch
    return None if not fact.cause or _by_person(fact) else _causes.decode(fact.cause)


def decode_request(fact: Fact) -> Request | None:
    """Who asked for the cut, join or erasure, acts on the conflict or ended it, or None when that is not known, or it was a touch."""
    if fact.kind in ("acted", "ended"):
        told = decode_conflict(fact)
        return told.acted if fact.kind == "acted" else told.request or told.joined
    return _requests.decode(fact.cause) if fact.cause and _by_person(fact) else None


def _by_person(fact: Fact) -> bool:
    return fact.kind in ("erased", "joined") or (fact.kind in ("cut", "told") and _IS_REQUEST in fact.cause)


def decode_conflict(fact: Fact) -> Conflict:
    """What a fact "blocked", "acted" or "ended" says of its conflict."""
    if not fact.cause:
        return Conflict()
    return Conflict(_causes.decode(fact.cause)) if fact.kind == "blocked" else _conflicts.decode(fact.cause)


def taken_back(fact: Fact) -> tuple[str, ...]:
    """Keys of the log's records of the pair of a fact "gone"."""
    return tuple(Fact(fact.a, fact.b, kind).key for kind in _TAKEN_BACK)
