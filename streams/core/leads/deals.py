"""What the CRM's deals say of leads: one command each time that a deal is first seen, has come to another stage, was deleted, or turns out
to be another customer's.

The ledger takes deals in, knows whose they are, and tells. What it has told follows from its facts: the same facts, in the same order, give
the same commands, and a command that comes twice has the same id.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from streams.core.commands import Command
from streams.core.ids import command_id
from streams.core.leads import asked
from streams.core.ledger.fact_types import DealFact, Fact, HomeFact, ShownFact
from streams.core.ledger.facts import Facts
from streams.core.ledger.types import is_refund


class Deals:
    """Beside the ledger's facts. Whoever has an identifier of a deal that a touch has shown is told: the customer of the most trusted one
    where the deal stands, the others that it is not theirs. So nobody keeps what they were told when less was known, or what a process
    that ended too early told them. Of whom nothing is known yet, nothing is told until a touch shows one of the identifiers."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._named: dict[str, set[str]] = {}  # deals by identifier
        self._beside: dict[str, set[str]] = {}  # identifiers that deals name, by those that touches showed them with
        for deal in facts.deals.values():
            self._note(deal)

    def take(self, fact: Fact, received_at: int) -> tuple[dict[bytes, Fact | None], list[Command]]:
        """What is new by this fact, as `Facts.take` says it, and what is to be told of deals; `received_at` is when Kafka received it
        (UTC ms)."""
        if isinstance(fact, DealFact):
            before = self._facts.deals.get(fact.deal_id)
            changed = self._facts.take(fact)
            if not changed:
                return changed, []
            fact = self._facts.deals[fact.deal_id]  # its customer may have been erased
            self._note(fact)
            return changed, self._deal(fact, before, received_at)
        led = self._leads_by(fact) if isinstance(fact, HomeFact | ShownFact) else {}
        changed = self._facts.take(fact)
        told: list[Command] = []
        for identifier, whose in led.items() if changed else ():
            if (now := self._facts.owner(identifier)) != whose:
                new = whose is None and now is not None
                deals = [self._facts.deals[id_] for id_ in sorted(self._named[identifier])]
                told += [command for deal in deals for command in self._home(deal, identifier, new, received_at)]
        return changed, told

    def _leads_by(self, fact: HomeFact | ShownFact) -> dict[str, str | None]:
        """The identifiers named by deals of which the fact may say to whom they lead, and to whom they do as yet."""
        id_ = fact.identifier
        if isinstance(fact, HomeFact) and id_ in self._beside:
            found: Collection[str] = (id_, *sorted(self._beside[id_]))
        elif id_ not in self._named:  # nearly always
            return {}
        else:
            found = (id_,)
        if isinstance(fact, ShownFact):
            self._beside.setdefault(fact.by, set()).add(id_)
        return {one: self._facts.owner(one) for one in found if one in self._named}

    def _note(self, deal: DealFact) -> None:
        """What the deal names, and what it named before: a process that ended too early may have told of that."""
        for id_ in deal.ids if counts(deal) else ():
            self._named.setdefault(id_, set()).add(deal.deal_id)
            for by in self._facts.shown.of(id_):
                self._beside.setdefault(by, set()).add(id_)

    def _told(self, deal: DealFact | None) -> bool:
        """Whether anybody was told where the deal stands."""
        return deal is not None and counts(deal) and self._shown(deal) is not None

    def _shown(self, deal: DealFact) -> str | None:
        """The identifier by which a deal is its customer's, as `Facts.customer_of` has it."""
        return next((id_ for id_ in deal.ids if self._facts.owner(id_) is not None), None)

    def _deal(self, deal: DealFact, before: DealFact | None, received_at: int) -> list[Command]:
        """What a version of a deal says to whom. Of somebody who was erased nothing is held."""
        if not deal.ids:
            return []
        told = before if self._told(before) else None
        by = self._shown(deal)
        if by is None or not counts(deal):
            named = () if told is None else (*told.ids, *deal.ids)
            return self._elsewhere(deal, named, None, received_at)
        # With each version: what a process that ended too early told of this one goes, too.
        gone = self._elsewhere(deal, (*(() if told is None else told.ids), *deal.ids), by, received_at)
        return [*gone, *self._stands(deal, told, by, bool(gone), received_at)]

    def _home(self, deal: DealFact, identifier: str, new: bool, received_at: int) -> list[Command]:
        """What it says of a deal that one of the identifiers that it names, or named, has another customer, or is a `new` one among those
        that touches have shown."""
        if not deal.ids:
            return []
        by = self._shown(deal) if counts(deal) else None
        gone = self._elsewhere(deal, (*deal.ids, identifier), by, received_at)
        if by is None or not (gone or (new and by == identifier)):
            return gone
        return [*gone, *self._stands(deal, None, by, bool(gone), received_at)]

    def _stands(self, deal: DealFact, told: DealFact | None, by: str, others: bool, received_at: int) -> list[Command]:
        """Where the deal stands, to whose it is; also without news when `others` hear that it is not theirs: should they be one person,
        this version has the place from which on it counts."""
        whose = self._facts.customer_of(deal)
        command = deal_command(deal, told, whose, received_at, by)
        if command is None and others:
            command = deal_command(deal, None, whose, received_at, by)
        return [] if command is None else [command]

    def _elsewhere(self, deal: DealFact, named: Iterable[str], by: str | None, received_at: int) -> list[Command]:
        """That the deal is not theirs, to customers who have one of these identifiers; it is whose it is `by` another, or nobody's."""
        owner = None if by is None else self._facts.owner(by)
        theirs = [(id_, whose) for id_ in dict.fromkeys(named) for whose in self._whose(id_) if whose != owner]
        return [gone_command(deal, whose, received_at, id_, by) for id_, whose in theirs]

    def _whose(self, identifier: str) -> list[str]:
        """The customers to whom an identifier leads, or led before others turned out to have it, too."""
        if identifier in self._facts.homes:
            return [self._facts.customer(identifier)]
        return sorted({self._facts.customer(by) for by in self._facts.shown.of(identifier)})


def counts(deal: DealFact) -> bool:
    """Whether a deal says anything of a lead: it was no mistake, and is no money paid back."""
    return not (deal.deleted or is_refund(deal.amount))


def gone_command(deal: DealFact, customer: str, received_at: int, identifier: str, by: str | None) -> Command:
    """That a deal is not, and never was, this customer's, who has the identifier: it is whose it is `by` another one, or nobody's as far as
    is known. Should it come back, it is theirs."""
    id_ = command_id(asked.DEAL, deal.deal_id, str(deal.version), asked.DELETED, customer, identifier, by or "")
    now = (by or "",) if counts(deal) else ()
    return Command(
        id_, customer, asked.DEAL, received_at, f"deal {deal.deal_id} of the CRM", requested_by=asked.LEDGER, deal_id=deal.deal_id,
        deal_stage=asked.DELETED, deal_version=deal.version, identifiers=(identifier, *now),
    )  # fmt: skip


def deal_command(
    deal: DealFact, before: DealFact | None, customer: str, received_at: int, identifier: str
) -> Command | None:
    """What a deal says of the lead of its customer, whose it is by the identifier; None when nothing that was not said of it `before`, or
    when the deal was a mistake, or is money paid back."""
    if before is not None and (not counts(before) or before.ids != deal.ids):
        before = None  # to this customer it is new
    if not counts(deal) or (before is not None and before.stage == deal.stage):
        return None
    # A CRM says when a deal was opened and closed, but not when it went on or was opened again: then it was when it said so.
    at = deal.closed_at if before is None or before.closed_at is None else None
    if at is None and before is None:
        at = deal.opened_at
    id_ = command_id(asked.DEAL, deal.deal_id, str(deal.version), deal.stage, identifier)
    # It may have waited for a touch that is older than the deal.
    issued_at = received_at if at is None else max(received_at, at)
    return Command(
        id_, customer, asked.DEAL, issued_at, f"deal {deal.deal_id} of the CRM", requested_by=asked.LEDGER, deal_id=deal.deal_id,
        deal_stage=deal.stage, deal_at=at, deal_version=deal.version, identifiers=(identifier,),
        deal_owner=_rep(deal.owner),
    )  # fmt: skip


def _rep(owner: str | None) -> str | None:
    """The owner of a deal as one who may have a lead: a name that is longer than an id is nobody's."""
    return owner if owner and len(owner.encode()) <= asked.LONGEST_ID else None
