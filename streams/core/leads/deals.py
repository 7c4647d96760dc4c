"""What the CRM's deals say of leads: one command each time that a deal is first seen, has come to another stage, or was deleted.

The ledger takes deals in, knows whose they are, and tells. What it has told follows from its facts: the same facts, in the same order, give
the same commands, and a command that comes twice has the same id.
"""

from __future__ import annotations

from streams.core.commands import Command
from streams.core.ids import command_id
from streams.core.leads import asked
from streams.core.ledger.fact_types import DealFact, Fact, HomeFact, ShownFact
from streams.core.ledger.facts import Facts
from streams.core.ledger.types import is_refund


class Deals:
    """Beside the ledger's facts. A deal whose customer nobody knows yet waits until a touch shows one of its identifiers."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._waiting: dict[str, set[str]] = {}
        for deal in facts.deals.values():
            self._wait(deal)

    def take(self, fact: Fact, received_at: int) -> tuple[dict[bytes, Fact | None], list[Command]]:
        """What is new by this fact, as `Facts.take` says it, and what is to be told of deals; `received_at` is when Kafka received it
        (UTC ms)."""
        before = self._facts.deals.get(fact.deal_id) if isinstance(fact, DealFact) else None
        told = before is not None and self._known(before)
        changed = self._facts.take(fact)
        if not changed:
            return changed, []
        if isinstance(fact, DealFact):
            fact = self._facts.deals[fact.deal_id]  # its customer may have been erased
            gone = self._gone(fact, before, received_at) if before is not None and told else []
            if not self._known(fact):
                self._wait(fact)
                return changed, gone
            return changed, [*gone, *self._told(fact, before if told else None, received_at)]
        if not (isinstance(fact, HomeFact | ShownFact) and fact.identifier in self._waiting):
            return changed, []
        if self._facts.owner(fact.identifier) is not None:
            found = [self._facts.deals[id_] for id_ in sorted(self._waiting.pop(fact.identifier))]
            known = [deal for deal in found if self._known(deal)]  # not those whose customer was erased
            return changed, [command for deal in known for command in self._told(deal, None, received_at)]
        return changed, []

    def _known(self, deal: DealFact) -> bool:
        return any(self._facts.owner(id_) is not None for id_ in deal.ids)

    def _wait(self, deal: DealFact) -> None:
        if not self._known(deal):
            for id_ in deal.ids:
                self._waiting.setdefault(id_, set()).add(deal.deal_id)

    def _gone(self, deal: DealFact, before: DealFact, received_at: int) -> list[Command]:
        """What is told to whom a deal was before, if it is theirs no more. Of somebody who was erased nothing is held."""
        was = self._facts.customer_of(before)
        if before.deleted or is_refund(before.amount) or not deal.ids:
            return []
        if not (deal.deleted or is_refund(deal.amount) or self._facts.customer_of(deal) != was):
            return []
        mistake = deal.deleted or is_refund(deal.amount)
        version = deal.version if mistake else before.version
        return [gone_command(deal, was, received_at, version, self._seen(before))]

    def _seen(self, deal: DealFact) -> str:
        """The identifier by which a deal is its customer's, as `Facts.customer_of` has it."""
        return next((id_ for id_ in deal.ids if self._facts.owner(id_) is not None), deal.ids[0])

    def _told(self, deal: DealFact, before: DealFact | None, received_at: int) -> list[Command]:
        for id_ in deal.ids:
            self._waiting.get(id_, set()).discard(deal.deal_id)
        command = deal_command(deal, before, self._facts.customer_of(deal), received_at, self._seen(deal))
        return [] if command is None else [command]


def gone_command(deal: DealFact, customer: str, received_at: int, version: int, identifier: str) -> Command:
    """That a deal is not, and never was, this customer's, up to the version: should it come back, it is theirs."""
    id_ = command_id(asked.DEAL, deal.deal_id, str(deal.version), asked.DELETED)
    return Command(
        id_, customer, asked.DEAL, received_at, f"deal {deal.deal_id} of the CRM", requested_by=asked.LEDGER, deal_id=deal.deal_id,
        deal_stage=asked.DELETED, deal_version=version, identifiers=(identifier,),
    )  # fmt: skip


def deal_command(
    deal: DealFact, before: DealFact | None, customer: str, received_at: int, identifier: str
) -> Command | None:
    """What a deal says of the lead of its customer, whose it is by the identifier; None when nothing that was not said of it `before`, or
    when the deal was a mistake, or is money paid back."""
    if before is not None and (before.deleted or is_refund(before.amount) or before.ids != deal.ids):
        before = None  # to this customer it is new
    if deal.deleted or is_refund(deal.amount) or (before is not None and before.stage == deal.stage):
        return None
    # A CRM says when a deal was opened and closed, but not when it went on or was opened again: then it was when it said so.
    at = deal.closed_at if before is None or before.closed_at is None else None
    if at is None and before is None:
        at = deal.opened_at
    id_ = command_id(asked.DEAL, deal.deal_id, str(deal.version), deal.stage)
    # It may have waited for a touch that is older than the deal.
    issued_at = received_at if at is None else max(received_at, at)
    return Command(
        id_, customer, asked.DEAL, issued_at, f"deal {deal.deal_id} of the CRM", requested_by=asked.LEDGER, deal_id=deal.deal_id,
        deal_stage=deal.stage, deal_at=at, deal_version=deal.version, identifiers=(identifier,),
    )  # fmt: skip
