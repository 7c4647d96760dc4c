"""Identifiers that touches show only beside stronger ones: with which of those."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from streams.core.ledger.fact_types import Fact, ShownFact

MOST = 16
"""Identifiers that one is remembered with, the smallest ones. It leads to somebody only when all of them are one customer's, and what more
than so many have is a switchboard."""


class Shown:
    """Facts by identifier, in any order; an identifier's are in the order of those it was shown with."""

    def __init__(self) -> None:
        self._facts: dict[str, tuple[ShownFact, ...]] = {}

    def take(self, fact: ShownFact) -> dict[bytes, Fact | None]:
        """What is new, by key; None for one that had to make room."""
        known = self._facts.get(fact.identifier, ())
        for one in known:
            if one.by == fact.by:
                if fact.day <= one.day:
                    return {}
                break
        held = sorted((*(one for one in known if one.by != fact.by), fact), key=lambda one: one.by)
        changed: dict[bytes, Fact | None] = {fact.key: fact}
        if len(held) > MOST:
            gone = held.pop()
            if gone is fact:
                return {}
            changed[gone.key] = None
        self._facts[fact.identifier] = tuple(held)
        return changed

    def of(self, identifier: str) -> list[str]:
        """The identifiers that it was shown with."""
        return [one.by for one in self._facts.get(identifier, ())]

    def erase(self, erased: Mapping[str, int]) -> list[bytes]:
        """Forget what was seen of these identifiers until then (us); the keys of what is forgotten."""
        gone = [
            one
            for one in self.values()
            if any(id_ in erased and one.erased_by(erased[id_]) for id_ in (one.identifier, one.by))
        ]
        for one in gone:
            left = tuple(each for each in self._facts[one.identifier] if each is not one)
            if left:
                self._facts[one.identifier] = left
            else:
                del self._facts[one.identifier]
        return [one.key for one in gone]

    def values(self) -> Iterator[ShownFact]:
        """All of them."""
        for some in self._facts.values():
            yield from some
