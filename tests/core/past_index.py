"""The identity index as the workers see it: one clock, whose a touch is, whom to tell of merges, splits and erasures.

Who is one person says the core's graph. What nobody is known to have written to Kafka is told again, as the real index does it
(`streams/edge/identity.lua`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from streams.core.commands import Command
from streams.core.identity_graph import SHARED_AFTER, Graph
from streams.core.moving import merge_command, split_command
from tests.core.past_oracle import Facts
from tests.core.past_people import Cut, Erased, Joined, Published


class Answer(NamedTuple):
    """Whose a touch is, which of its identifiers decided it, and when that was; no customer when it must not be taken."""

    customer: str
    identifier: str
    at: int


class Index:
    """See the module. `open` are ids whose timelines may not know that they go by another one, `parted` are splits since an identifier
    is shared that Kafka may not have."""

    def __init__(self, refuse: bool = False, shared_after: int = SHARED_AFTER) -> None:
        self._refuse, self._limit = refuse, shared_after
        self._clock, self.now = 0, 0
        self._graph = Graph(limit=shared_after)
        self._known: set[str] = set()
        self._splits: dict[int, list[Command]] = {}
        self._used: set[str] = set()
        self.open: set[str] = set()
        self.parted: list[Command] = []
        self._published: dict[Published, None] = {}
        self._said: list[Published | Cut | Joined] = []
        self._joined: set[int] = set()
        self._erased: list[Erased] = []
        self._erasures: dict[int, list[Command]] = {}

    @property
    def facts(self) -> Facts:
        """What the oracle is to know."""
        cuts, joins = (
            frozenset(frozenset(pair) for pair, state in self._pairs().items() if state == wanted)
            for wanted in ("cut", "joined")
        )
        said = () if self._erased else tuple(self._said)
        return Facts(tuple(self._published), cuts, tuple(self._erased), self._refuse, said=said, joins=joins)

    def counted(self) -> Counter[str]:
        """Its facts by kind."""
        return Counter(fact.kind for fact in self._graph.facts())

    def tick(self) -> int:
        """The moment of a call (us)."""
        self._clock = max(self._clock + 1, self.now * 1000)
        return self._clock

    def members(self, identifier: str) -> set[str]:
        """All identifiers of its person."""
        root = self.root(identifier)
        return {identifier, *(id_ for id_ in self._known if self.root(id_) == root)}

    def root(self, identifier: str) -> str:
        """The id that its person goes by."""
        return self._graph.find(identifier)

    def resolve(self, named: Sequence[str], published: Published, at: int) -> Answer | None:
        """One touch of a call at this moment; None when it must not be taken, since its person was erased."""
        self._published[published] = None
        self._said.append(published)
        ids = [id_ for id_ in named if not self._is_gone(id_, published)]
        if ids[:1] != list(named[:1]):
            return None
        before = self._roots()
        shared = {id_ for id_ in ids if self._graph.is_shared(id_)}
        strongest = self._graph._strongest(ids)
        self._known |= set(ids)
        root = self._graph.link(ids)
        for hub in (id_ for id_ in ids if self._graph.is_shared(id_) and id_ not in shared):
            self.parted += self._part({id_ for id_, home in before.items() if home == before.get(hub)})
        self._used.add(root)
        self._reopen(before)
        return Answer(root, strongest, at)

    def _roots(self) -> dict[str, str]:
        return {id_: self.root(id_) for id_ in self._known}

    def _pairs(self) -> dict[tuple[str, str], str]:
        return {(fact.a, fact.b): fact.kind for fact in self._graph.facts() if fact.a != fact.b}

    def _reopen(self, before: dict[str, str]) -> None:
        """Timelines that must be told where their customer went by what was just decided."""
        self.open |= {id_ for id_ in self._used if self.root(id_) not in (id_, before.get(id_, id_))}

    def _part(self, whole: set[str]) -> list[Command]:
        """Who was one person is several now: for each timeline that may hold touches of them, whose all of their identifiers are."""
        roots = {self.root(id_) for id_ in whole}
        if len(roots) < 2:
            return []
        clock = self.tick()
        pieces = {root: {id_ for id_ in whole if self.root(id_) == root} for root in roots}
        told = [
            split_command(customer, root, piece, clock // 1000, f"cut{clock}", clock)
            for customer in sorted(self._used & whole)
            for root, piece in sorted(pieces.items())
            if root != customer
        ]
        self._used |= roots
        return told

    def _is_gone(self, identifier: str, published: Published) -> bool:
        return any(identifier in of.identifiers and (self._refuse or published.event <= of.at) for of in self._erased)

    def merges(self, at: int, root: str | None = None) -> list[Command]:
        """What timelines are yet to be told, of one person or all: whose the identifiers are at this moment of the clock."""
        return [
            merge_command(loser, self.root(loser), at // 1000, f"link{at}", at, self.members(loser))
            for loser in sorted(self.open)
            if self.root(loser) != loser and root in (None, self.root(loser))
        ]

    def logged(self, told: Sequence[Command]) -> None:
        """The commands are in Kafka; each merge holds unless it was decided anew since."""
        self.parted = [command for command in self.parted if command not in told]
        self.open -= {c.customer_id for c in told if c.kind == "customer_merged" and self.root(c.customer_id) == c.into}
        self.open = {loser for loser in self.open if self.root(loser) != loser}

    def cut(self, cut: Cut, at: int) -> list[Command]:
        """Two identifiers are not one person: whose all of their person's are now, for every timeline that may hold touches of them.
        Asked again, the same."""
        state = self._pairs().get((cut.a, cut.b))
        if state in ("link", "joined", "blocked") and at not in self._splits:
            self._said.append(cut)
            before, whole = self._roots(), self.members(cut.a)
            self._graph.cut(cut.a, cut.b)
            self._splits[at] = self._part(whole) if state != "blocked" else []
            self._reopen(before)
        return self._splits.get(at, [])

    def join(self, joined: Joined, at: int) -> list[Command]:
        """Two identifiers are one person. Asked again, the same, as long as it is not known to be in Kafka."""
        if at not in self._joined:
            self._joined.add(at)
            self._said.append(joined)
            one, other = joined
            may = {one, other} <= self._known and not (self._graph.is_shared(one) or self._graph.is_shared(other))
            if may and self.root(one) != self.root(other):
                before = self._roots()
                self._graph.join(one, other)
                self._reopen(before)
        return self.merges(self.tick(), self.root(joined.a))

    def erase(self, identifier: str, at: int) -> list[Command]:
        """The person goes, and every timeline that may hold something of it is told. Asked again, the same."""
        if at not in self._erasures:
            clock, members = self.tick(), self.members(identifier)
            self._erased.append(Erased(frozenset(members), clock // 1000))
            told = sorted((self._used & members) | {min(members)})
            self._erasures[at] = [
                Command(
                    f"erase{at}",
                    customer,
                    "customer_erased",
                    at,
                    "erasure",
                    decided_at=clock,
                    identifiers=tuple(sorted(members)),
                )
                for customer in told
            ]
            left = [fact for fact in self._graph.facts() if not {fact.a, fact.b} & members]
            self._graph = Graph(left, self._limit)
            self._used -= members
            self._known -= members
            self.open -= members
        return self._erasures[at]
