"""What the ledger knows, as facts that can be taken in any order and any number of times: the same facts give the same books.

Each fact has a key, and of two facts with one key `Facts.take` keeps the join: the higher version, the later decision. So a topic
that holds the newest fact of each key is the whole of it, whatever was read twice, and whenever a process ended in between. Facts
hold no plain identifier: only pseudonymous ids.

Whose a touch is, the identity index decides, as for timelines (`streams.core.customer`): each look-up and each merge, split and erasure
carries its clock, and the later one holds, for each identifier by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from msgspec.structs import replace

from streams.core.ledger.fact_makers import (
    box_of,
    of_command,
    of_conflict,
    of_cost,
    of_deal,
    of_lead,
    of_touch,
    shown_by,
)
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
    decode,
    encode,
    ids_of,
    is_dated,
    rank,
)
from streams.core.ledger.shown import Shown
from streams.core.ledger.types import DAY_MS

__all__ = [
    "ALWAYS",
    "ConflictFact",
    "CostFact",
    "DealFact",
    "ErasedFact",
    "Fact",
    "Facts",
    "HomeFact",
    "LeadFact",
    "MovedFact",
    "ShownFact",
    "TouchFact",
    "apart",
    "box_of",
    "decode",
    "encode",
    "ids_of",
    "is_dated",
    "of_command",
    "of_conflict",
    "of_cost",
    "of_deal",
    "of_lead",
    "of_touch",
    "rank",
    "shown_by",
]  # fmt: skip

V = TypeVar("V", HomeFact, MovedFact, DealFact, CostFact, LeadFact, ConflictFact)

ALWAYS = (0, 1 << 53)
"""A span of time without ends."""


class Facts:
    """All facts, joined. `span` is the time (UTC ms, from and to) in which what was taken since the last `spanned` changes anything;
    touches also change what is won after them."""

    def __init__(self, facts: Iterable[Fact] = ()) -> None:
        self.touches: dict[str, TouchFact] = {}
        self.homes: dict[str, HomeFact] = {}
        self.shown = Shown()
        self.moved: dict[str, MovedFact] = {}
        self.erased: dict[str, ErasedFact] = {}
        self.deals: dict[str, DealFact] = {}
        self.costs: dict[str, CostFact] = {}
        self.leads: dict[str, LeadFact] = {}
        self.conflicts: dict[str, ConflictFact] = {}
        self.span: tuple[int, int] | None = None
        self._deal_ids: set[str] = set()
        self._regrouped: set[str] = set()
        self._reshown: set[str] = set()
        for fact in facts:
            self.join(fact)

    def take(self, fact: Fact) -> dict[bytes, Fact | None]:
        """Take a fact in. What is new of what is known, by key: facts as they are joined, and None for those that are erased."""
        if isinstance(fact, TouchFact | HomeFact):
            return {fact.key: fact} if self.join(fact) else {}
        if isinstance(fact, ShownFact):
            return self._take_shown(fact)
        if isinstance(fact, MovedFact):
            moved = self._unmoved(fact)
            changed = {} if moved is None else _kept(self.moved, fact.customer, moved)
            if changed:
                self._spans(*ALWAYS)
            return changed
        if isinstance(fact, DealFact):
            fact = self._unnamed(fact)
            deal = self.deals.get(fact.deal_id)
            changed = _kept(self.deals, fact.deal_id, fact)
            self._deal_ids.update(fact.ids)
            for one in (deal, fact) if changed else ():
                self._spans_deal(one)
            return changed
        if isinstance(fact, CostFact):
            cost = self.costs.get(fact.cost_id)
            changed = _kept(self.costs, fact.cost_id, fact)
            for two in (cost, fact) if changed else ():
                if two is not None:
                    self._spans(two.cost.first_day * DAY_MS, two.cost.last_day * DAY_MS)
            return changed
        if isinstance(fact, LeadFact):
            if fact.at * 1000 <= self._erased_at(fact.customer):
                return {}
            lead = self.leads.get(fact.event_id)
            return self._spanning(_kept(self.leads, fact.event_id, fact), lead, fact)
        if isinstance(fact, ConflictFact):
            conflict = self.conflicts.get(fact.finding_id)
            return self._spanning(_kept(self.conflicts, fact.finding_id, fact), conflict, fact)
        return self.erase([fact])

    def join(self, fact: Fact) -> bool:
        """As `take`, for who does not ask what is new, only whether anything is: nearly all facts are of touches, and that is quicker."""
        if isinstance(fact, TouchFact):
            return self._take_touch(fact)
        return self._take_home(fact) if isinstance(fact, HomeFact) else bool(self.take(fact))

    def erase(self, erasures: Iterable[ErasedFact]) -> dict[bytes, Fact | None]:
        """As `take`, of many erasures: what is known is walked through once, not once for each. Since facts may come in any order, whoever
        reads many takes the erasures among them by themselves."""
        new = {
            fact.identifier: fact
            for fact in sorted(erasures, key=lambda one: one.at)
            if fact.at > self._erased_at(fact.identifier)
        }
        if not new:
            return {}
        self.erased |= new
        self._spans(*ALWAYS)
        changed: dict[bytes, Fact | None] = {fact.key: fact for fact in new.values()}
        for touch in [one for one in self.touches.values() if one.identifier in new]:
            if self._is_erased(touch, new[touch.identifier].at):
                del self.touches[touch.touch_id]
                changed[touch.key] = None
        for lead in [one for one in self.leads.values() if one.customer in new]:
            if lead.at * 1000 <= new[lead.customer].at:
                del self.leads[lead.event_id]
                changed[lead.key] = None
        for deal in [one for one in self.deals.values() if not new.keys().isdisjoint(one.ids)]:
            unnamed = self._unnamed(deal)
            if unnamed is not deal:
                self.deals[deal.deal_id] = changed[deal.key] = unnamed
        for moved in [one for one in self.moved.values() if one.customer in new or one.into in new]:
            unmoved = self._unmoved(moved)
            if unmoved is None:
                del self.moved[moved.customer]
                changed[moved.key] = None
            elif unmoved is not moved:
                self.moved[moved.customer] = changed[moved.key] = unmoved
        changed |= dict.fromkeys(self.shown.erase({id_: fact.at for id_, fact in new.items()}))
        for identifier, fact in new.items():
            home = self.homes.get(identifier)
            if home is not None and home.at <= fact.at:
                del self.homes[identifier]
                changed[home.key] = None
        return changed

    def __iter__(self) -> Iterator[Fact]:
        """Each as it is joined: taken elsewhere, they are as good as all that was taken here."""
        for known in (
            self.erased,
            self.homes,
            self.shown,
            self.moved,
            self.touches,
            self.deals,
            self.costs,
            self.leads,
            self.conflicts,
        ):
            yield from known.values()

    def _spanning(
        self, changed: dict[bytes, Fact | None], *both: LeadFact | ConflictFact | None
    ) -> dict[bytes, Fact | None]:
        """The same, and the times of the fact before and after are marked as changed, if it has changed."""
        for one in both if changed else ():
            if one is not None:
                self._spans(one.at, one.at)
        return changed

    @property
    def changed(self) -> bool:
        """Whether something may have changed since."""
        return self.span is not None or bool(self._regrouped or self._reshown)

    def spanned(self) -> tuple[int, int] | None:
        """The time in which anything has changed, None when nothing has; from now on it is counted anew."""
        self._span_regrouped()
        span, self.span = self.span, None
        return span

    def _span_regrouped(self) -> None:
        """Where customers got identifiers, or lost some, all of theirs counts otherwise, and nothing else."""
        theirs, reshown = {self._gone_on(customer) for customer in self._regrouped}, self._reshown
        self._regrouped, self._reshown = set(), set()
        if self.span == ALWAYS:
            return
        for deal in self.deals.values() if reshown else ():
            if not reshown.isdisjoint(deal.ids):
                self._spans_deal(deal)
        if not theirs:
            return
        for touch in self.touches.values():
            if self.customer(touch.identifier) in theirs:
                self._spans(touch.at, touch.at)
        for deal in self.deals.values():
            if self.customer_of(deal) in theirs:
                self._spans_deal(deal)
        for lead in self.leads.values():
            if self.customer(lead.customer) in theirs:
                self._spans(lead.at, lead.at)

    def _spans_deal(self, deal: DealFact | None) -> None:
        """It counts as an opportunity when it is opened, and as revenue when it is closed."""
        if deal is not None:
            self._spans(*sorted((deal.opened_at, deal.closed_at or deal.opened_at)))

    def _spans(self, start: int, end: int) -> None:
        if self.span is None:
            self.span = (start, end)
        elif start < self.span[0] or end > self.span[1]:
            self.span = (min(start, self.span[0]), max(end, self.span[1]))

    def _take_home(self, fact: HomeFact) -> bool:
        if self.erased and fact.at <= self._erased_at(fact.identifier):
            return False
        known = self.homes.get(fact.identifier)
        if known is not None and known.customer == fact.customer:  # nearly always: only its time is later
            if fact.at <= known.at:
                return False
            self.homes[fact.identifier] = fact
            return True
        changed = bool(_kept(self.homes, fact.identifier, fact))
        # An identifier that was never seen has no touches yet; a deal may have waited for it.
        moves = fact.identifier in self._deal_ids if known is None else known.customer != fact.customer
        if changed and moves:
            self._regrouped.update((fact.customer,) if known is None else (fact.customer, known.customer))
        return changed

    def _take_shown(self, fact: ShownFact) -> dict[bytes, Fact | None]:
        if fact.erased_by(self._erased_at(fact.identifier)) or fact.erased_by(self._erased_at(fact.by)):
            return {}
        known = len(self.shown.of(fact.identifier))
        changed = self.shown.take(fact)
        if fact.identifier in self._deal_ids and len(self.shown.of(fact.identifier)) != known:
            self._reshown.add(fact.identifier)
        return changed

    def customer(self, identifier: str) -> str:
        """Whose an identifier is."""
        home = self.homes.get(identifier)
        return self._gone_on(identifier) if home is None else self._gone_on(home.customer, home.at)

    def _gone_on(self, customer: str, at: int = -1) -> str:
        """Where a customer went as a whole since a moment."""
        while (moved := self.moved.get(customer)) is not None and moved.at >= at and "" < moved.into < customer:
            customer, at = moved.into, moved.at
        return customer

    def customer_of(self, deal: DealFact) -> str:
        """Whose a deal is: that of the strongest of its ids that leads to one; nobody else's when its ids were erased."""
        if not deal.ids:
            return f"erased:{deal.deal_id}"
        return next((one for id_ in deal.ids if (one := self.owner(id_)) is not None), self.customer(deal.ids[0]))

    def owner(self, identifier: str) -> str | None:
        """The customer to whom an identifier leads: by its own touches; else by those that show it beside a stronger one, if they all are
        of one customer. None when it was never seen, or several have it."""
        if identifier in self.homes:
            return self.customer(identifier)
        found = {self.customer(by) for by in self.shown.of(identifier)}
        return found.pop() if len(found) == 1 else None

    def _erased_at(self, identifier: str) -> int:
        known = self.erased.get(identifier)
        return -1 if known is None else known.at

    def _is_erased(self, touch: TouchFact, at: int) -> bool:
        # What happened since stays, as on a timeline.
        return touch.resolved_at <= at and touch.at * 1000 <= at

    def _unnamed(self, deal: DealFact) -> DealFact:
        """A deal, without any of its ids if it was opened before a person with one of them was erased: what it brought in stays."""
        if any(deal.opened_at * 1000 <= self._erased_at(id_) for id_ in deal.ids):
            return replace(deal, ids=())
        return deal

    def _unmoved(self, moved: MovedFact) -> MovedFact | None:
        """A move, to nobody if who it went to was erased since; None if who moved was."""
        if moved.at <= self._erased_at(moved.customer):
            return None
        return replace(moved, into="") if moved.at <= self._erased_at(moved.into) else moved

    def _take_touch(self, fact: TouchFact) -> bool:
        if self.erased and self._is_erased(fact, self._erased_at(fact.identifier)):
            return False
        known = self.touches.get(fact.touch_id)
        if known is not None:
            if fact == known or rank(fact) <= rank(known):  # the same again: ranks cost more
                return False
            self._spans(known.at, known.at)
        self._spans(fact.at, fact.at)
        self.touches[fact.touch_id] = fact
        return True


def apart(found: Iterable[Fact], erasures: list[ErasedFact]) -> Iterator[Fact]:
    """The facts but for erasures, which are put to the others: see `Facts.erase`."""
    for fact in found:
        if isinstance(fact, ErasedFact):
            erasures.append(fact)
        else:
            yield fact


def _kept(known: dict[str, V], id_: str, fact: V) -> dict[bytes, Fact | None]:
    old = known.get(id_)
    if old is not None and rank(fact) <= rank(old):
        return {}
    known[id_] = fact
    return {fact.key: fact}
