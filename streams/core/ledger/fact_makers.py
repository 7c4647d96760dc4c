"""Facts from what the topics say: touches, commands between workers, deals, costs, lead events and conflicts."""

from __future__ import annotations

from collections.abc import Iterator
from sys import intern

from streams.core import identity_conflict
from streams.core.commands import Command
from streams.core.detect import planned_conflict
from streams.core.identify import nodes
from streams.core.leads.events import LeadEvent
from streams.core.ledger.fact_types import (
    ConflictFact,
    CostFact,
    DealFact,
    ErasedFact,
    Fact,
    HomeFact,
    LeadFact,
    MovedFact,
    ShownFact,
    TouchFact,
)
from streams.core.ledger.types import DAY_MS, NONE, Cell, Cost, Deal, JourneyTouch, cell_of
from streams.core.outcome import Finding
from streams.core.policy import IdentityPolicy
from streams.core.touch import IdentifiedTouch

_NO_CONTACT = frozenset({identity_conflict.RULE, planned_conflict.NAME})


def of_touch(identified: IdentifiedTouch) -> Iterator[Fact]:
    """What a touch of a known customer says."""
    touch, own = identified.touch, identified.identifier or identified.customer_id
    actor = touch.actor
    yield HomeFact(intern(own), intern(identified.customer_id), identified.resolved_at)
    yield TouchFact(
        touch.touch_id,
        touch.version,
        touch.deleted,
        touch.occurred_at,
        touch.department,
        touch.channel,
        None if touch.campaign is None else intern(touch.campaign),
        None if actor is None else intern(actor.id),
        None if actor is None or actor.name is None else intern(actor.name),
        None if actor is None else actor.kind,
        touch.direction,
        touch.kind,
        touch.interaction_id,
        touch.cost,
        intern(own),
        identified.resolved_at,
    )


def shown_by(
    identified: IdentifiedTouch, roles: frozenset[str], same_mailbox: bool, id_key: str, region: str
) -> Iterator[ShownFact]:
    """The other identifiers that a touch shows its customer with. Nothing else tells of one that never came alone, as a mail address
    that stands beside the CRM id in each touch; and a deal may name just that one."""
    own = identified.identifier or identified.customer_id
    for id_ in nodes(identified.touch.customer, id_key, region, roles, same_mailbox):
        if id_ != own:
            yield ShownFact(intern(id_), intern(own), identified.resolved_at // (DAY_MS * 1000))


def of_command(command: Command) -> Iterator[Fact]:
    """What a command between workers says of whose touches are whose; nothing if it is about something else."""
    if command.kind in ("customer_merged", "customer_split") and command.into:
        for id_ in command.identifiers:
            yield HomeFact(id_, command.into, command.decided_at)
        if not command.identifiers:
            yield MovedFact(command.customer_id, command.into, command.decided_at)
    elif command.kind == "customer_erased":
        for id_ in dict.fromkeys((*command.identifiers, command.customer_id)):
            yield ErasedFact(id_, command.decided_at)


def of_deal(deal: Deal, identity: IdentityPolicy, id_key: str, region: str) -> DealFact | None:
    """A deal with its customer's pseudonymous ids; None when no identifier is usable."""
    ids = nodes(deal.customer, id_key, region, frozenset(identity.role_addresses), identity.same_mailbox)
    if not ids:
        return None
    return DealFact(
        deal.deal_id, deal.version, deal.deleted, ids, deal.stage, deal.opened_at, deal.closed_at, deal.amount, deal.owner
    )  # fmt: skip


def of_cost(cost: Cost) -> CostFact:
    """A cost."""
    return CostFact(cost.cost_id, cost)


def of_lead(event: LeadEvent) -> LeadFact:
    """A change of a lead."""
    return LeadFact(
        event.event_id, event.revision, event.status != "retracted", intern(event.customer), intern(event.lead_id), event.kind,
        event.state, event.previous, event.at, event.cycle, event.attempt, event.owner, intern(event.team), event.due_at, event.reason,
        event.time_in_state_ms, event.speed_ms, event.speed_business_ms, event.moved_to,
    )  # fmt: skip


def of_conflict(finding: Finding) -> ConflictFact:
    """A conflict; the newest touch of its evidence made it one. A retracted one may have lost its evidence. What is no contact that a
    department made in another's way does not hold here: a plan, and two CRM records of one customer."""
    holds = (
        finding.rule not in _NO_CONTACT
        and finding.state != "retracted"
        and not finding.withdrawn
        and bool(finding.evidence)
    )
    made_by = max(finding.evidence, key=lambda proof: proof.occurred_at, default=None)
    touch = ("", "", "") if made_by is None else (made_by.touch_id, made_by.department, made_by.channel)
    return ConflictFact(finding.finding_id, finding.revision, holds, finding.event_time, *touch)


def box_of(conflict: ConflictFact, touch: JourneyTouch | None) -> Cell:
    """The box of a conflict: that of the touch that made it one, if it is known."""
    return Cell(conflict.department, conflict.channel, NONE, NONE) if touch is None else cell_of(touch)
