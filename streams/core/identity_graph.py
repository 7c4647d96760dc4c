"""Who is one person: identifiers, the links between them, and the guards. Redis does the same for the workers (identity.lua).

A touch belongs to the customer of its strongest identifier; its weaker ones are linked with that one, pair by pair, unless a guard
forbids it:

- *shared*: an identifier seen with more than `limit` identifiers of one kind, such as one phone number with four mail addresses, is a
  switchboard or a household. From then on it links nobody, and what it linked before is cut.
- *contradiction*: a CRM keeps one record a person. A link that would make one person of two CRM records is blocked, for a person
  to decide (`streams.core.identity_conflict`). The weaker identifier stays with the customer that had it first.

A person may also decide that a link is wrong, or that two who are kept apart are two (`streams.core.identity_split`): such a pair is
*cut*, and links nothing. What was blocked and contradicts itself no more after a cut is linked then. Or that two are one, whatever guard
keeps them apart: such a pair is *joined*. Of the two the later decision holds. What was blocked stays so in a person whom a join made of
two records: it holds them apart again when the join is cut.

A person goes by the smallest of their ids. Which pairs were seen, and so which identifiers are shared, does not depend on the order of the
touches. What a guard left linked does, so decisions are facts in the log: the graph is what the facts say, in whatever order
they are read.

>>> graph = Graph()
>>> graph.link(("c2-a", "c3-b")), graph.link(("c1-c", "c3-b"))
('c2-a', 'c1-c')
>>> graph.find("c2-a")
'c1-c'
>>> graph.link(("c1-other", "c3-b")), graph.find("c3-b")
('c1-other', 'c1-c')
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from streams.core.identity_facts import Fact

SHARED_AFTER = 3
"""Default of the policy's `identity.shared_after`."""

_CRM = "c1-"

_Pair = Literal["link", "blocked", "cut", "joined"]
_WEIGHT: dict[_Pair, int] = {"blocked": 0, "link": 1, "cut": 2, "joined": 2}
"""When the log says several things of a pair, because two workers or several people decided it: what holds. Of cuts and joins it is the
later one, and of one moment the cut."""
_HOLDS = ("link", "joined")


def rank(node_id: str) -> str:
    """What is common to the ids of one kind of identifier."""
    return node_id[:3]


class Graph:
    """See the module. `blocked` are the contradictions so far, in order, also such as have ended."""

    def __init__(self, facts: Iterable[Fact] = (), limit: int = SHARED_AFTER) -> None:
        self._limit = limit
        self._parent: dict[str, str] = {}
        self._pairs: dict[str, dict[str, _Pair]] = {}
        self._below: dict[str, set[str]] = {}
        self._at: dict[tuple[str, str], int] = {}
        self._shared: set[str] = set()
        self.blocked: list[Fact] = []
        for fact in facts:
            self.apply(fact)

    def find(self, node_id: str) -> str:
        """The id that this one's person goes by; the id itself when it is unknown."""
        root = node_id
        while (parent := self._parent.get(root, root)) != root:
            root = parent
        while node_id != root:  # the next look-up takes one step
            node_id, self._parent[node_id] = self._parent.get(node_id, root), root
        return root

    def is_shared(self, node_id: str) -> bool:
        """Whether many people have this identifier."""
        return node_id in self._shared

    def customer(self, ids: Sequence[str]) -> str:
        """Whose a touch with these ids is (strongest first), as far as is known."""
        return self.find(self._strongest(ids))

    def link(self, ids: Sequence[str], cause: bytes = b"") -> str:
        """Take in the identifiers of one touch (strongest first); returns the id that its customer goes by from now on."""
        strong = self._strongest(ids)
        self._parent.setdefault(strong, strong)
        for weak in ids[ids.index(strong) + 1 :]:
            self._pair(strong, weak, cause)
        return self.find(strong)

    def apply(self, fact: Fact) -> None:
        """Take in a fact of the log. Decisions stand: no guard is asked, except for what is still to be decided ("seen")."""
        if fact.kind == "seen":
            self.link((fact.a, fact.b), fact.cause)
        elif fact.kind == "shared":
            self._shared.add(fact.a)
        elif fact.kind in ("link", "blocked", "cut", "joined"):
            self._parent.setdefault(fact.a, fact.a)
            self._parent.setdefault(fact.b, fact.b)
            if fact.a != fact.b:
                self._decided(fact.a, fact.b, fact.kind, fact.at)

    def cut(self, strong: str, weak: str) -> None:
        """A person decides now that a pair that is linked, joined or blocked is not one person."""
        members = self._person(strong) | self._person(weak)
        self._decided(strong, weak, "cut", self._at.get((strong, weak), 0))
        self._reconsider(members)

    def join(self, one: str, other: str) -> None:
        """A person decides now that two ids, of which none is shared, are one person's."""
        strong, weak = min(one, other), max(one, other)
        self._decided(strong, weak, "joined", self._at.get((strong, weak), 0) + 1)

    def contradictions(self) -> list[Fact]:
        """Those of `blocked` that still hold."""
        return [
            fact
            for fact in self.blocked
            if self._pairs[fact.b][fact.a] == "blocked"
            and self._shared.isdisjoint((fact.a, fact.b))
            and self.find(fact.a) != self.find(fact.b)
        ]

    def facts(self) -> list[Fact]:
        """What the log must say for another graph to be the same; without causes."""
        links = [
            Fact(strong, weak, state, at=self._at.get((strong, weak), 0))
            for weak, pairs in self._pairs.items()
            for strong, state in pairs.items()
        ]
        return [*links, *(Fact(node_id, node_id, "shared") for node_id in self._shared)]

    def _decided(self, strong: str, weak: str, state: _Pair, at: int) -> None:
        pairs = self._pairs.setdefault(weak, {})
        before, when = pairs.get(strong), self._at.get((strong, weak), 0)
        if before is not None and _holds_over(before, when, state, at):
            return
        members = self._person(strong) if before in _HOLDS else set()
        self._note(strong, weak, state)
        if state in ("cut", "joined"):
            self._at[strong, weak] = at
        if state in _HOLDS:
            self._merge(strong, weak)
        elif before in _HOLDS:
            self._regroup(members)

    def _strongest(self, ids: Sequence[str]) -> str:
        """The first that is not shared; or that was there before it became so: a touch read again stays where it was."""
        for n, node_id in enumerate(ids):
            if node_id not in self._shared or any(node_id in self._pairs.get(weak, ()) for weak in ids[n + 1 :]):
                return node_id
        return ids[0]

    def _pair(self, strong: str, weak: str, cause: bytes) -> None:
        pairs = self._pairs.setdefault(weak, {})
        if strong in pairs or weak in self._shared:
            return
        if sum(rank(other) == rank(strong) for other in pairs) >= self._limit:
            self._free(weak)
            return
        one, other = self.find(strong), self.find(weak)
        if self._guarded(one, other):
            self._note(strong, weak, "blocked")
            self.blocked.append(Fact(strong, weak, "blocked", cause, (one, other)))
            return
        self._note(strong, weak, "link")
        self._merge(strong, weak)

    def _free(self, shared: str) -> None:
        """Many people have this identifier: what it linked is cut."""
        members = self._person(shared)
        self._shared.add(shared)
        for strong, weak in self._pairs_of(shared):
            if self._pairs[weak][strong] in _HOLDS:
                self._note(strong, weak, "cut")
        self._regroup(members)
        self._reconsider(members)

    def _reconsider(self, members: Iterable[str]) -> None:
        """What is blocked and contradicts itself no more is linked after all."""
        pairs = {f"{strong}|{weak}": (strong, weak) for one in members for strong, weak in self._pairs_of(one)}
        for _, (strong, weak) in sorted(pairs.items()):
            apart = not self._shared.isdisjoint((strong, weak)) or self._contradicts(strong, weak)
            if self._pairs[weak][strong] == "blocked" and not apart:
                self._note(strong, weak, "link")
                self._merge(strong, weak)

    def _contradicts(self, strong: str, weak: str) -> bool:
        """Whether the person of both has two records, or would have."""
        one, other = self.find(strong), self.find(weak)
        if one != other:
            return self._guarded(one, other)
        return sum(rank(member) == _CRM for member in self._person(one)) > 1

    def _guarded(self, one: str, other: str) -> bool:
        return one != other and rank(one) == rank(other) == _CRM

    def _note(self, strong: str, weak: str, state: _Pair) -> None:
        self._pairs.setdefault(weak, {})[strong] = state
        self._below.setdefault(strong, set()).add(weak)

    def _pairs_of(self, node_id: str) -> list[tuple[str, str]]:
        above = [(strong, node_id) for strong in self._pairs.get(node_id, ())]
        return above + [(node_id, weak) for weak in self._below.get(node_id, ())]

    def _person(self, node_id: str) -> set[str]:
        """All ids that hang together with this one by links and joins."""
        known, waiting = {node_id}, [node_id]
        while waiting:
            for strong, weak in self._pairs_of(waiting.pop()):
                if self._pairs[weak][strong] in _HOLDS:
                    new = {strong, weak} - known
                    known |= new
                    waiting += new
        return known

    def _regroup(self, members: Iterable[str]) -> None:
        left = set(members)
        while left:
            piece = self._person(left.pop())
            left -= piece
            self._parent |= dict.fromkeys(piece, min(piece))

    def _merge(self, a: str, b: str) -> None:
        one, other = self.find(a), self.find(b)
        self._parent[max(one, other)] = self._parent[min(one, other)] = min(one, other)


def _holds_over(before: _Pair, when: int, state: _Pair, at: int) -> bool:
    """Whether what was said of a pair holds, and what is said of it now does not; the moments are those of cuts and joins."""
    if _WEIGHT[before] != _WEIGHT[state]:
        return _WEIGHT[before] > _WEIGHT[state]
    return (when, before == "cut") >= (at, state == "cut")
