"""All records of one run: versions folded, identities resolved as in `streams.core.backtest`, touches by customer.

Records may come in any order and more than once; the result is the same. One touch takes about 300 bytes. What the customer is
called in a touch (its *view*) is normalised once, however many touches have it: that is most of the work in a large file.
"""

from __future__ import annotations

from sys import intern
from typing import Protocol, TypeVar

import msgspec
from msgspec import Struct

from streams.core.identify import nodes
from streams.core.identity_graph import Graph
from streams.core.ledger import facts
from streams.core.ledger.fact_types import ConflictFact
from streams.core.ledger.types import Cell, Cost, Deal, JourneyTouch, LeadEvent
from streams.core.outcome import Finding
from streams.core.policy import IdentityPolicy
from streams.core.touch import Customer, Money, Touch


class _Versioned(Protocol):
    @property
    def version(self) -> int: ...


V = TypeVar("V", bound=_Versioned)


class _View(Struct, gc=False, eq=False):
    """A customer as some records name them: the ids, strongest first; and which record did so first: a touch or another (1), when,
    under which id."""

    ids: tuple[str, ...]
    other: int
    at: int
    record: str

    def seen(self, other: int, at: int, record: str) -> None:
        """Another record names the customer so."""
        if other <= self.other and (other < self.other or (at, record) < (self.at, self.record)):
            self.other, self.at, self.record = other, at, record


class _Kept(JourneyTouch, frozen=True, gc=False, kw_only=True):
    """A touch with what only the book needs."""

    view: _View
    version: int = 1
    deleted: bool = False
    cost: Money | None = None


class TouchCost(Struct, frozen=True, gc=False):
    """What one touch cost, as its source says."""

    touch: JourneyTouch
    cost: Money


class Resolved(Struct, frozen=True):
    """The records that count. Touches are in order of time and id, deals and costs of id, lead events of time.

    `identifiers` are the ids of each customer that has a deal; `reps` the names of persons by actor id; `conflicts` times and boxes of
    the touches that got in another department's way, as far as the conflicts were read.
    """

    touches: dict[str, list[JourneyTouch]]
    deals: list[tuple[Deal, str]]
    costs: list[Cost]
    leads: dict[str, list[LeadEvent]]
    touch_costs: list[TouchCost]
    identifiers: dict[str, tuple[str, ...]]
    reps: dict[str, str]
    conflicts: tuple[tuple[int, Cell], ...] = ()


class Book:
    """See the module. `id_key` and `region` as in the settings; `problems` are records that could not be taken, in words."""

    def __init__(self, identity: IdentityPolicy, id_key: str, region: str) -> None:
        self._identity, self._id_key, self._region = identity, id_key, region
        self._roles = frozenset(identity.role_addresses)
        self._views: dict[tuple[str, ...], _View] = {}
        self._by_name: dict[tuple[str | bool | None, ...], _View | None] = {}
        self._touches: dict[str, _Kept] = {}
        self._deals: dict[str, Deal] = {}
        self._costs: dict[str, Cost] = {}
        self._leads: dict[bytes, LeadEvent] = {}
        self._conflicts: dict[str, ConflictFact] = {}
        self._reps: dict[str, tuple[int, str]] = {}
        self.problems: list[str] = []

    def add_touch(self, touch: Touch) -> None:
        """Take in a touch; of several with one id the highest version counts."""
        at = touch.occurred_at
        view = self._view(touch.customer, 0, at, touch.touch_id)
        if view is None:
            self.problems.append(f"touch {touch.touch_id}: the customer has no usable identifier")
            return
        actor, campaign = touch.actor, touch.campaign
        if actor is not None and actor.name:
            self._name(actor.id, at, actor.name)
        kept = _Kept(
            at,
            touch.touch_id,
            touch.department,
            touch.channel,
            None if campaign is None else intern(campaign),
            None if actor is None else intern(actor.id),
            None if actor is None else intern(actor.kind),
            touch.direction,
            touch.kind,
            touch.interaction_id,
            view.ids[0],
            view=view,
            version=touch.version,
            deleted=touch.deleted,
            cost=touch.cost,
        )
        self._fold(self._touches, touch.touch_id, kept, "touch")

    def add_deal(self, deal: Deal) -> None:
        """Take in a deal; of several with one id the highest version counts."""
        if self._view(deal.customer, 1, deal.opened_at, deal.deal_id) is None:
            self.problems.append(f"deal {deal.deal_id}: the customer has no usable identifier")
        else:
            self._fold(self._deals, deal.deal_id, deal, "deal")

    def add_cost(self, cost: Cost) -> None:
        """Take in a cost; of several with one id the highest version counts."""
        self._fold(self._costs, cost.cost_id, cost, "cost")

    def add_lead(self, event: LeadEvent) -> None:
        """Take in a lead event; the same one twice counts once."""
        if self._view(event.customer, 1, event.at, event.state) is None:
            self.problems.append(f"lead event {event.state}: the customer has no usable identifier")
        else:
            self._leads[msgspec.json.encode(event)] = event

    def add_conflict(self, finding: Finding) -> None:
        """Take in a conflict; the highest revision counts. Hand-offs, which `touchstream backtest` prints too, are passed over."""
        if finding.finding == "conflict":
            new = facts.of_conflict(finding)
            old = self._conflicts.get(new.finding_id)
            if old is None or facts.rank(new) > facts.rank(old):
                self._conflicts[new.finding_id] = new

    def resolve(self) -> Resolved:
        """Who is whose customer, once all records are in."""
        graph = Graph(limit=self._identity.shared_after)
        for view in sorted(self._views.values(), key=lambda view: (view.other, view.at, view.record)):
            graph.link(view.ids)
        touches: dict[str, list[JourneyTouch]] = {}
        touch_costs: list[TouchCost] = []
        customers = {id(view): intern(graph.customer(view.ids)) for view in self._views.values()}
        for kept in self._touches.values():
            if not kept.deleted:
                touches.setdefault(customers[id(kept.view)], []).append(kept)
                if kept.cost is not None:
                    touch_costs.append(TouchCost(kept, kept.cost))
        for of_one in touches.values():
            of_one.sort(key=_order)
        touch_costs.sort(key=lambda one: _order(one.touch))
        deals = [
            (deal, self._customer(graph, deal.customer)) for _, deal in sorted(self._deals.items()) if not deal.deleted
        ]
        leads: dict[str, list[LeadEvent]] = {}
        for _, event in sorted(self._leads.items(), key=lambda item: (item[1].at, item[0])):
            leads.setdefault(self._customer(graph, event.customer), []).append(event)
        held = [one for one in self._conflicts.values() if one.holds]
        return Resolved(
            touches,
            deals,
            [cost for _, cost in sorted(self._costs.items()) if not cost.deleted],
            leads,
            touch_costs,
            self._identifiers({customer for _, customer in deals}, customers),
            {actor: name for actor, (_, name) in sorted(self._reps.items())},
            tuple(sorted((one.at, facts.box_of(one, self._touches.get(one.touch_id))) for one in held)),
        )

    def _identifiers(self, wanted: set[str], customers: dict[int, str]) -> dict[str, tuple[str, ...]]:
        found: dict[str, set[str]] = {customer: set() for customer in wanted}
        for view in self._views.values():
            customer = customers[id(view)]
            if customer in wanted:
                found[customer].update(view.ids)
        return {customer: tuple(sorted(ids)) for customer, ids in found.items()}

    def _customer(self, graph: Graph, customer: Customer) -> str:
        view = self._by_name[_names(customer)]
        assert view is not None, "a record whose customer has no identifier was not taken in"
        return graph.customer(view.ids)

    def _view(self, customer: Customer, other: int, at: int, record: str) -> _View | None:
        names = _names(customer)
        try:
            view = self._by_name[names]
        except KeyError:
            ids = nodes(customer, self._id_key, self._region, self._roles, self._identity.same_mailbox)
            view = self._by_name[names] = self._views.setdefault(ids, _View(ids, other, at, record)) if ids else None
        if view is not None and (at <= view.at or other < view.other):
            view.seen(other, at, record)
        return view

    def _name(self, actor: str, at: int, name: str) -> None:
        """The newest name of an actor counts; of two at the same time the later in the alphabet."""
        known = self._reps.get(actor)
        if known is None or (at >= known[0] and (at, name) > known):
            self._reps[intern(actor)] = (at, name)

    def _fold(self, known: dict[str, V], id_: str, new: V, what: str) -> None:
        old = known.get(id_)
        if old is None or new.version > old.version:
            known[id_] = new
        elif new.version == old.version and new != old:
            self.problems.append(
                f"{what} {id_}: version {new.version} stands there with two contents; give the later one a higher version"
            )
            known[id_] = min(old, new, key=_content)


def _names(customer: Customer) -> tuple[str | bool | None, ...]:
    """All that decides which ids a customer has."""
    return (
        customer.email,
        customer.phone,
        customer.linkedin_url,
        customer.crm_id,
        customer.click_id,
        customer.cookie_id,
        customer.email_verified,
    )


def _order(touch: JourneyTouch) -> tuple[int, str]:
    return (touch.at, touch.touch_id)


def _content(record: object) -> bytes:
    return msgspec.json.encode(record)
