"""What the identity log tells about one person: every id, and what happened to them, when, and by which touch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from streams.core.identity_facts import Fact, decode_cause, decode_request
from streams.core.identity_graph import SHARED_AFTER, Graph
from streams.core.identity_split import Links

# Of one touch: a customer is there before it is linked, and a merge follows from a link.
_ORDER = ("customer", "seen", "link", "blocked", "acted", "shared", "joined", "merge", "cut", "ended", "erased")
# An undecided pair comes last, as in a sync of the index: the log may hold the decision. Cuts first save the graph from mending itself.
_READ_FIRST = {"cut": 0, "seen": 2}


class Event(Struct, frozen=True, gc=False):
    """A fact and when it was written to the log (UTC ms), which is the best date for a fact without a cause."""

    fact: Fact
    logged_at: int

    @property
    def kind(self) -> str:
        """What happened, one word: customer (touches were sent on under the id), seen, link, blocked, acted, shared, merge, cut,
        joined, ended, erased."""
        if self.fact.kind == "told":
            return "merge"
        return "customer" if self.fact.kind == "link" and self.fact.a == self.fact.b else self.fact.kind

    @property
    def at(self) -> int:
        """UTC ms: when the touch that caused it was published, or a person asked for it, else when it was logged."""
        request = decode_request(self.fact)
        if request is not None:
            return request.requested_at
        cause = decode_cause(self.fact)
        return self.logged_at if cause is None else cause.published_at


class Person(Struct, frozen=True):
    """One person. `ids` strongest first, `shared` and `untold` of them: those that link nobody any more, and those that touches were
    sent on under and whose timeline is not known to have moved to `customer_id`. `history` by time."""

    customer_id: str
    ids: tuple[str, ...]
    shared: frozenset[str]
    untold: frozenset[str]
    history: tuple[Event, ...]


class IdentityLog:
    """The log as it stands. `put` and `remove` take its records in order, `person` is asked when all are in."""

    def __init__(self, limit: int = SHARED_AFTER) -> None:
        self._limit = limit
        self._events: dict[str, Event] = {}
        self._graph: Graph | None = None
        self._named: frozenset[str] = frozenset()
        self._erased: frozenset[str] = frozenset()

    def put(self, fact: Fact, logged_at: int) -> None:
        """A record. It replaces an earlier one of its key, but a fact told again without a cause keeps the cause it had."""
        known = self._events.get(fact.key)
        if known is not None and not fact.cause:
            fact = replace(fact, cause=known.fact.cause)
        self._events[fact.key] = Event(fact, logged_at)
        self._graph = None

    def remove(self, key: str) -> None:
        """A record without a value: the fact was taken back."""
        self._events.pop(key, None)
        self._graph = None

    def known(self, ids: Iterable[str]) -> list[str]:
        """Those of the ids that some fact names."""
        wanted = set(ids)
        named = {node_id for event in self._events.values() for node_id in (event.fact.a, event.fact.b)}
        return sorted(wanted & named)

    def customer(self, node_id: str) -> str:
        """The id that this one's person goes by now."""
        return self._whole().find(node_id)

    def links(self) -> Links:
        """All links that hold, and joins."""
        pairs = [(fact.a, fact.b) for fact in self._whole().facts() if fact.kind in ("link", "joined")]
        return Links(pairs)

    def conflicts(self, a: str, b: str) -> list[Event]:
        """Contradictions that keep the persons with these ids apart, and of which nobody has decided."""
        graph = self._whole()
        two = {graph.find(a), graph.find(b)}
        held = {(fact.a, fact.b) for fact in graph.facts() if fact.kind == "blocked"}
        return [
            event
            for event in self._events.values()
            if event.kind == "blocked"
            and (event.fact.a, event.fact.b) in held
            and replace(event.fact, kind="ended").key not in self._events
            and not (graph.is_shared(event.fact.a) or graph.is_shared(event.fact.b))
            and len(two) == 2
            and {graph.find(event.fact.a), graph.find(event.fact.b)} == two
        ]

    def is_erased(self, node_id: str) -> bool:
        """Whether its person was erased, and nothing is known of it since."""
        self._whole()
        return node_id in self._erased - self._named

    def event(self, key: str) -> Event | None:
        """The fact with this key, if the log has it."""
        return self._events.get(key)

    def belongs(self, ids: Sequence[str], person: Person) -> bool:
        """Whether a touch with these ids (strongest first) is this person's: as the graph decides; when nothing is known of the id that
        decides, not yet or not any more, because one of them is theirs. What belonged to somebody who was erased, is nobody else's."""
        owner = self._whole().customer(ids)
        if owner in self._named:
            return owner == person.customer_id
        theirs = set(ids) & set(person.ids)
        return bool(theirs & self._erased if owner in self._erased else theirs)

    def person(self, node_id: str) -> Person:
        """Who has this id, which `known` named."""
        graph = self._whole()
        customer = graph.find(node_id)
        ids = {node_id}
        history = []
        for event in self._events.values():
            theirs = [one for one in (event.fact.a, event.fact.b) if graph.find(one) == customer]
            if theirs:
                ids.update(theirs)
                history.append(event)
        used = {event.fact.a for event in history if event.kind == "customer"}
        anew: dict[str, int] = {}  # a split has made void what their timelines were told before
        for event in history:
            if event.kind == "cut":
                for one in (*event.fact.ids, *event.fact.customers[2:]):
                    anew[one] = max(anew.get(one, 0), event.fact.at)
        merged = [event.fact for event in history if event.kind == "merge"]
        told = {fact.a for fact in merged if fact.at >= anew.get(fact.a, 0)}
        history.sort(key=lambda event: (event.at, _ORDER.index(event.kind), event.fact.key))
        return Person(
            customer,
            tuple(sorted(ids)),
            frozenset(one for one in ids if graph.is_shared(one)),
            frozenset(used - told - {customer}),
            tuple(history),
        )

    def _whole(self) -> Graph:
        if self._graph is None:
            facts = [event.fact for event in self._events.values()]
            facts.sort(key=lambda fact: _READ_FIRST.get(fact.kind, 1))
            self._graph = Graph(facts, self._limit)
            self._named = frozenset(node_id for fact in facts if fact.kind != "erased" for node_id in (fact.a, fact.b))
            self._erased = frozenset(fact.a for fact in facts if fact.kind == "erased")
        return self._graph
