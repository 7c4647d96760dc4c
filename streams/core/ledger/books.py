"""From facts to the records that count: what `streams.core.ledger.book` is for files, for what the topics say."""

from __future__ import annotations

from msgspec.structs import replace

from streams.core.leads.events import ledger_state, order
from streams.core.ledger.book import Resolved, TouchCost
from streams.core.ledger.facts import ConflictFact, DealFact, Facts, LeadFact, TouchFact, box_of
from streams.core.ledger.types import Cell, Deal, JourneyTouch, LeadEvent
from streams.core.touch import Customer

_NOBODY = Customer()
_REASONED = ("rejected", "recycled", "disqualified")


def resolve(facts: Facts) -> Resolved:
    """The records that count, each with its customer."""
    touches: dict[str, list[JourneyTouch]] = {}
    costs: list[TouchCost] = []
    named: dict[str, tuple[int, str]] = {}
    customers: dict[str, str] = {}
    for fact in facts.touches.values():
        if fact.actor is not None and fact.actor_name:
            named[fact.actor] = max(named.get(fact.actor, (0, "")), (fact.at, fact.actor_name))
        if fact.deleted:
            continue
        customer = customers.get(fact.identifier)
        if customer is None:
            customer = customers[fact.identifier] = facts.customer(fact.identifier)
        touch = _touch(fact)
        touches.setdefault(customer, []).append(touch)
        if fact.cost is not None:
            costs.append(TouchCost(touch, fact.cost))
    for of_one in touches.values():
        of_one.sort(key=_order)
    costs.sort(key=lambda one: _order(one.touch))
    deals = [(_deal(fact), facts.customer_of(fact)) for _, fact in sorted(facts.deals.items()) if not fact.deleted]
    return Resolved(
        touches,
        deals,
        [fact.cost for _, fact in sorted(facts.costs.items()) if not fact.cost.deleted],
        _leads(facts),
        costs,
        _identifiers(customers, {customer for _, customer in deals}),
        {actor: name for actor, (_, name) in sorted(named.items())},
        tuple(sorted((one.at, _where(facts, one)) for one in facts.conflicts.values() if one.holds)),
    )


def leads(facts: Facts) -> dict[str, list[LeadFact]]:
    """The changes of leads that hold, by customer, in order of time; of several at one moment as they follow from each other."""
    found: dict[str, list[LeadFact]] = {}
    for fact in facts.leads.values():
        if fact.holds:
            found.setdefault(facts.customer(fact.customer), []).append(fact)
    for of_one in found.values():
        of_one.sort(key=order)
    return found


def _leads(facts: Facts) -> dict[str, list[LeadEvent]]:
    """The same, as files have them."""
    found = {
        customer: [
            LeadEvent(_NOBODY, one.at, state, one.reason if state in _REASONED else None)
            for one in events
            if (state := ledger_state(one)) is not None
        ]
        for customer, events in leads(facts).items()
    }
    return {customer: events for customer, events in found.items() if events}


def _where(facts: Facts, conflict: ConflictFact) -> Cell:
    touch = facts.touches.get(conflict.touch_id)
    return box_of(conflict, None if touch is None else _touch(touch))


def _identifiers(customers: dict[str, str], wanted: set[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, set[str]] = {customer: set() for customer in wanted}
    for identifier, customer in customers.items():
        if customer in wanted:
            found[customer].add(identifier)
    return {customer: tuple(sorted(ids)) for customer, ids in found.items()}


def _touch(fact: TouchFact) -> JourneyTouch:
    return JourneyTouch(
        fact.at, fact.touch_id, fact.department, fact.channel, fact.campaign, fact.actor, fact.actor_kind, fact.direction,
        fact.kind, fact.interaction_id, fact.identifier,
    )  # fmt: skip


def _deal(fact: DealFact) -> Deal:
    deal = Deal(fact.deal_id, _NOBODY, fact.stage, fact.opened_at, fact.closed_at, fact.amount, fact.owner)
    return replace(deal, version=fact.version)


def _order(touch: JourneyTouch) -> tuple[int, str]:
    return (touch.at, touch.touch_id)
