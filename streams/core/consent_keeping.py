"""Which of a customer's records of consent are kept, where there are many.

What is superseded goes first, the oldest of it. The newest refusal of each channel and purpose stays all the same: it is the proof that one
might not contact, and holds again when what came after it is taken back. What is needed is never refused because of a limit where it
comes with a merge, nor where it is a refusal; the limit is for consent that is given under ever new names. Only what would make the
timeline too large for Kafka is left out then, consent before refusals, so that a check rather says no; who reads dead letters is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import inf

import msgspec

from streams.core.consent import Consent, order

MOST = 100
"""Records that a customer may have: from there on what is superseded goes, and no consent is taken under yet another name."""

LARGEST = 200_000
"""Bytes of them, with the same meaning."""

MOST_OF_ALL = 1_000
"""Records that a timeline takes with merges and refusals: each check reads all of them."""

LARGEST_OF_ALL = 400_000
"""Bytes of them: two customers' records have room, and a timeline stays within one Kafka record (`streams.core.segments.LARGEST`)."""

_NAMED = 20
"""Ids that a dead letter names."""

_encode = msgspec.msgpack.Encoder().encode
_Kept = tuple[Consent, ...] | None
_Place = tuple[str, ...]


def put(held: _Kept, came: Iterable[Consent]) -> _Kept:
    """The records with these, too, unless it is known better; the same object when nothing is new. What is superseded goes where there
    are more than `MOST`, or `LARGEST`; the rest stays, however much it is."""
    known = {one.id: one for one in held or ()}
    for one in (_tombstone(one) if one.deleted else one for one in came):
        before = known.get(one.id)
        if before is None or _published(before) < _published(one):
            known[one.id] = one
    kept = _without_superseded(sorted(known.values(), key=_by_time))
    return held if kept == (held or ()) else kept


def _published(one: Consent) -> tuple[int, bool, bytes]:
    return one.published_at, one.deleted, _encode(one)


def _tombstone(one: Consent) -> Consent:
    return Consent(
        one.status, one.at, id=one.id, published_at=one.published_at, deleted=True, identifier=one.identifier
    )


def _by_time(one: Consent) -> tuple[int, str]:
    return one.at, one.id


def _without_superseded(ordered: Sequence[Consent]) -> tuple[Consent, ...]:
    if len(ordered) <= MOST and _size(ordered) <= LARGEST:
        return tuple(ordered)
    needed = _needed(ordered, _of_identifier)
    return _left(ordered, [one for one in ordered if one.id not in needed], MOST, LARGEST)


def _left(ordered: Sequence[Consent], may_go: Iterable[Consent], most: int, largest: int) -> tuple[Consent, ...]:
    """The records without the first of those that may go, as many as it takes."""
    spare, size = len(ordered) - most, _size(ordered)
    gone = set[str]()
    for one in may_go:
        if len(gone) >= spare and size <= largest:
            break
        gone.add(one.id)
        size -= _size((one,))
    return tuple([one for one in ordered if one.id not in gone])


def _of_identifier(one: Consent) -> _Place:
    return one.identifier, one.channel, one.purpose  # a split gives each identifier its own


def _of_person(one: Consent) -> _Place:
    return one.channel, one.purpose


def _counting(ordered: Iterable[Consent], place: Callable[[Consent], _Place]) -> set[str]:
    """Ids of the records that a later one of the same place does not outlast."""
    outlasted: dict[_Place, float] = {}
    counting = set[str]()
    for one in sorted(ordered, key=order, reverse=True):
        until = inf if one.until is None else one.until
        if not one.deleted and until > outlasted.get(place(one), 0):
            outlasted[place(one)] = until
            counting.add(one.id)
    return counting


def _needed(ordered: Iterable[Consent], place: Callable[[Consent], _Place]) -> set[str]:
    """Ids of those, and of the newest refusal of each place."""
    refusals = {place(one): one.id for one in sorted(ordered, key=order) if _refuses(one)}
    return _counting(ordered, place).union(refusals.values())


def _refuses(one: Consent) -> bool:
    return one.status != "granted" and not one.deleted


def _size(records: Iterable[Consent]) -> int:
    return sum(len(_encode(one)) for one in records)


def too_many(before: _Kept, after: _Kept, came: Iterable[Consent]) -> str | None:
    """Why a customer cannot have the consent that came from another system, by the records before it and with it; None when there is room,
    or when nothing was given."""
    held = after or ()
    if not any(one.status == "granted" and not one.deleted for one in came):
        return None
    count = len(_counting(held, _of_identifier))
    if count > MOST and count > len(_counting(before or (), _of_identifier)):
        return f"the customer would have records of consent for {count} channels and purposes, and may have {MOST}; use fewer names"
    size = _size(held)
    if size > LARGEST and size > _size(before or ()):
        return f"the customer's records of consent would take {size} bytes, and may take {LARGEST}; shorten their texts"
    return None


def fitted(held: _Kept) -> tuple[_Kept, tuple[Consent, ...]]:
    """The records that a timeline can bear, and those that it cannot: first what is superseded for the person, then consent, then refusals,
    of each the oldest."""
    if held is None or (len(held) <= MOST_OF_ALL and _size(held) <= LARGEST_OF_ALL):
        return held, ()
    needed = _needed(held, _of_person)
    worth = sorted(held, key=lambda one: (one.id in needed, _refuses(one), *_by_time(one)))
    kept = _left(held, worth, MOST_OF_ALL, LARGEST_OF_ALL)
    ids = {one.id for one in kept}
    return kept, tuple([one for one in worth if one.id not in ids])


def left_out(gone: Sequence[Consent]) -> str:
    """What a dead letter says of those, and what to do."""
    refusals = sum(map(_refuses, gone))
    ids = ", ".join(one.id for one in gone[:_NAMED])
    more = f", and {len(gone) - _NAMED} more" if len(gone) > _NAMED else ""
    return (
        f"a customer's records of consent may take {LARGEST_OF_ALL} bytes, and be {MOST_OF_ALL}: {len(gone)} were left out, {refusals} of"
        f" them refusals: {ids}{more}; publish what still counts with fewer purposes, or shorter texts"
    )
