"""The identity index as the workers see it: one clock, whose a touch is, whom to tell of merges, splits and erasures.

Brute force: who is one person is worked out anew from all links and cuts each time. What nobody is known to have written to Kafka is
told again, as the real index does it (`streams/edge/identity.lua`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from streams.core.commands import Command
from streams.core.customer import merge_command, split_command
from tests.core.past_oracle import Cut, Erased, Facts, Pair, Published, together


class Answer(NamedTuple):
    """Whose a touch is, which of its identifiers decided it, and when that was; no customer when it must not be taken."""

    customer: str
    identifier: str
    at: int


class Index:
    """See the module. `open` are ids whose timelines may not know that they go by another one."""

    def __init__(self, refuse: bool = False) -> None:
        self._refuse = refuse
        self._clock, self.now = 0, 0
        self._links: set[Pair] = set()
        self._cuts: set[Pair] = set()
        self._splits: dict[int, list[Command]] = {}
        self._used: set[str] = set()
        self.open: set[str] = set()
        self._published: dict[Published, None] = {}
        self._erased: list[Erased] = []
        self._erasures: dict[int, list[Command]] = {}

    @property
    def facts(self) -> Facts:
        """What the oracle is to know."""
        return Facts(tuple(self._published), frozenset(self._cuts), tuple(self._erased), self._refuse)

    def tick(self) -> int:
        """The moment of a call (us)."""
        self._clock = max(self._clock + 1, self.now * 1000)
        return self._clock

    def members(self, identifier: str) -> set[str]:
        """All identifiers of its person."""
        return together(identifier, self._links, self._cuts)

    def root(self, identifier: str) -> str:
        """The id that its person goes by."""
        return min(self.members(identifier))

    def resolve(self, named: Sequence[str], published: Published, at: int) -> Answer | None:
        """One touch of a call at this moment; None when it must not be taken, since its person was erased."""
        self._published[published] = None
        ids = [id_ for id_ in named if not self._is_gone(id_, published)]
        if ids[:1] != list(named[:1]):
            return None
        before = {self.root(id_) for id_ in ids}
        self._links |= {frozenset((ids[0], weak)) for weak in ids[1:]} - self._cuts
        root = self.root(ids[0])
        self.open |= {loser for loser in before & self._used if self.root(loser) != loser}
        self._used.add(root)
        return Answer(root, ids[0], at)

    def _is_gone(self, identifier: str, published: Published) -> bool:
        return any(identifier in of.identifiers and (self._refuse or published.event <= of.at) for of in self._erased)

    def merges(self, at: int, root: str | None = None) -> list[Command]:
        """What timelines are yet to be told, of one person or all: whose the identifiers are at this moment."""
        return [
            merge_command(loser, self.root(loser), at // 1000, f"link{at}", at, self.members(loser))
            for loser in sorted(self.open)
            if self.root(loser) != loser and root in (None, self.root(loser))
        ]

    def logged(self, told: Sequence[Command]) -> None:
        """The commands are in Kafka; each holds unless it was decided anew since."""
        self.open -= {c.customer_id for c in told if self.root(c.customer_id) == c.into}
        self.open = {loser for loser in self.open if self.root(loser) != loser}

    def cut(self, cut: Cut, at: int) -> list[Command]:
        """Two identifiers are not one person: whose all of their person's are now, for every timeline that may hold touches of them.
        Asked again, the same."""
        pair = frozenset(cut)
        if pair not in self._cuts and pair in self._links and at not in self._splits:
            clock, whole = self.tick(), self.members(cut.a)
            self._cuts.add(pair)
            pieces = {frozenset(self.members(id_)) for id_ in whole}
            if len(pieces) > 1:
                self._splits[at] = [
                    split_command(customer, min(piece), piece, at, f"cut{clock}", clock)
                    for customer in sorted(self._used & whole)
                    for piece in sorted(pieces, key=min)
                    if min(piece) != customer
                ]
                self._used |= {min(piece) for piece in pieces}
        return self._splits.get(at, [])

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
            self._links = {link for link in self._links if not link & members}
            self._cuts = {pair for pair in self._cuts if not pair & members}
            self._used -= members
            self.open -= members
        return self._erasures[at]
