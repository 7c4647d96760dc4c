"""Who is who, said a second time: identifiers that were seen together, step by step, each step from all that was seen before.

Of the core it uses nothing but records. The rules are those of the issue: what was seen together is one person; an identifier of more
than so many people holds nobody together; two CRM records are never one person, unless somebody says that they are; and of what people
say of two, that they are two or one, the last holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from streams.core.consent import ConsentChange
from streams.core.touch import Touch

Pair = frozenset[str]


class Published(NamedTuple):
    """A touch in one of its versions, or only the plan of it, and when it was published (ms). Of a record of consent the touch says whose
    it is, under which id, and of when."""

    touch: Touch
    at: int
    planned: bool = False
    consent: ConsentChange | None = None

    @property
    def event(self) -> int:
        """When it happened; a source whose clock is ahead does not know better than Kafka."""
        return min(self.touch.occurred_at, self.at)


class Erased(NamedTuple):
    """A person with these identifiers was erased: what happened until this moment (ms)."""

    identifiers: frozenset[str]
    at: int


class Cut(NamedTuple):
    """Two identifiers that somebody declared not to be one person."""

    a: str
    b: str


class Joined(NamedTuple):
    """Two identifiers that somebody declared to be one person."""

    a: str
    b: str


def together(identifier: str, links: Iterable[Pair], cuts: Iterable[Pair] = ()) -> set[str]:
    """The identifiers of one person: all that links reach, step by step, but over none that was cut."""
    reached, usable = {identifier}, [link for link in links if link not in cuts]
    while further := {other for link in usable if link & reached for other in link} - reached:
        reached |= further
    return reached


class People:
    """What `seen`, `cut` and `joined` told so far. `has_parted`: some who were one person are not any more."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._links: set[Pair] = set()
        self._apart: set[Pair] = set()
        self._cuts: set[Pair] = set()
        self._joins: set[Pair] = set()
        self._seen: set[str] = set()
        self._shared: set[str] = set()
        self.has_parted = False

    def person(self, identifier: str) -> set[str]:
        """All identifiers of its person."""
        return together(identifier, self._links | self._joins)

    def seen(self, ids: Sequence[str]) -> str:
        """One touch names these, strongest first; which of them says whose it is."""
        known = self._known()
        self._seen |= set(ids)
        fitting = [
            id_ for n, id_ in enumerate(ids) if id_ not in self._shared or any({id_, w} in known for w in ids[n + 1 :])
        ]
        strong = (fitting or list(ids))[0]
        for weak in ids[ids.index(strong) + 1 :]:
            self._pair(strong, weak)
        return strong

    def cut(self, cut: Cut) -> None:
        """Somebody says that the two are not one person, whom a touch had shown together, or somebody had joined."""
        pair = frozenset(cut)
        if pair in self._links | self._apart | self._joins:
            self.has_parted |= pair in self._links | self._joins
            self._links.discard(pair)
            self._joins.discard(pair)
            self._apart.discard(pair)
            self._cuts.add(pair)
            self._again()

    def joined(self, joined: Joined) -> None:
        """Somebody says that two are one person. Of one that nobody has, or of many, nothing can be said."""
        pair = frozenset(joined)
        if pair <= self._seen and not pair & self._shared and joined.b not in self.person(joined.a):
            self._joins.add(pair)
            self._cuts.discard(pair)
            self._apart.discard(pair)

    def _known(self) -> set[Pair]:
        return self._links | self._apart | self._cuts | self._joins

    def _pair(self, strong: str, weak: str) -> None:
        pair, known = frozenset((strong, weak)), self._known()
        if pair in known or weak in self._shared:
            return
        stronger = {other for one in known if weak in one for other in one if other < weak and other[:3] == strong[:3]}
        if len(stronger) >= self._limit:
            self._shared.add(weak)
            gone = {one for one in self._links | self._joins if weak in one}
            self.has_parted |= bool(gone)
            self._links -= gone
            self._joins -= gone
            self._cuts |= gone
            self._again()
        elif weak not in self.person(strong) and self._contradict(pair):
            self._apart.add(pair)
        else:
            self._links.add(pair)

    def _contradict(self, pair: Pair) -> bool:
        """Whether two persons have CRM records of their own; or one has several, whom somebody joined."""
        people = {frozenset(id_ for id_ in self.person(one) if id_.startswith("c1-")) for one in pair}
        return all(people) and len(frozenset().union(*people)) > 1

    def _again(self) -> None:
        """What was kept apart and need not be any more is one person after all."""
        for pair in sorted(self._apart, key=sorted):
            if not pair & self._shared and not self._contradict(pair):
                self._apart.discard(pair)
                self._links.add(pair)
