"""Timelines of three identifiers, and a ledger that tells them of one deal."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Iterable

from msgspec.structs import replace

from streams.core.commands import Command
from streams.core.leads import asked
from streams.core.leads.acts import Act, act_of
from streams.core.leads.deals import Deals, counts
from streams.core.leads.events import still_here
from streams.core.leads.follow import history
from streams.core.leads.states import LeadState
from streams.core.ledger.fact_types import DealFact, HomeFact, ShownFact
from streams.core.ledger.facts import Facts
from streams.core.ledger.types import Stage
from streams.core.policy import parse
from streams.core.touch import Kind
from tests.core.leads.people import People
from tests.core.leads.world import TEAM, at

CRM, MAIL, PHONE = (f"c{digit}-{'0' * 23}{letter}" for digit, letter in zip("123", "abc", strict=True))
IDS = (CRM, MAIL, PHONE)
POLICY = parse(TEAM + "[touch]\nlate_after_days = 9000\n")
ASKED, OPENED, NOW = at("2026-03-02T08:00"), at("2026-03-04T10:00"), at("2026-03-20T08:00")
MINUTE, DAY = 60_000, 86_400_000


def version_of(version: int, ids: Iterable[str], stage: Stage = "open", **changes: object) -> DealFact:
    """One version of the deal, as the CRM sends it."""
    closed = OPENED + DAY if stage in ("won", "lost") else None
    return replace(DealFact("d1", version, False, tuple(ids), stage, OPENED, closed, None, None), **changes)


class Company:
    """Timelines, and a ledger that reads two topics, of touches and of deals, each in order. `under_way` is what it has told, by the
    customer, whose partition keeps the order."""

    def __init__(self) -> None:
        self.people, self.now, self.version = People(POLICY), NOW, 0
        self.known: set[str] = set()
        self.shows: set[str] = set()  # who of them shows others beside them, which stay with them
        self.topics: dict[str, list[HomeFact | ShownFact | DealFact]] = {"touches": [], "deals": []}
        self.read = dict.fromkeys(self.topics, 0)
        self.facts = Facts()
        self.deals = Deals(self.facts)
        self.saved = (list(self.facts), self.read.copy())
        self.under_way: defaultdict[str, deque[Command]] = defaultdict(deque)

    def clock(self) -> int:
        self.now += MINUTE
        return self.now

    def touch(self, id_: str, kind: Kind = "lead_form") -> None:
        """Somebody with the identifier asks, before there was any deal."""
        now = self.clock()
        self.people.touch(id_, f"ask{now}", kind, ASKED + (now - NOW) // MINUTE, now)
        self._homes([id_])

    def beside(self, id_: str, stronger: str) -> None:
        """A touch of one identifier shows another, which is unknown, beside it: both are of one customer."""
        if id_ not in self.known:
            self.touch(stronger)
            self.known.add(id_)
            self.shows.add(stronger)
            self.people.home[id_] = self.people.home.get(stronger, stronger)
            self.topics["touches"].append(ShownFact(id_, stronger, self.now // DAY))

    def merge(self, one: str, other: str) -> None:
        into, gone = sorted(self.people.home.get(id_, id_) for id_ in (one, other))
        if into != gone:
            moved = [id_ for id_ in IDS if self.people.home.get(id_, id_) == gone]
            self.people.merge(gone, into, self.clock())
            self._homes(moved)

    def split(self, id_: str) -> None:
        if id_ in self.people.home and id_ not in self.shows:
            self.people.split(id_, self.clock())
            self._homes([id_])

    def _homes(self, ids: Collection[str]) -> None:
        """What the ledger reads of whose identifiers are."""
        moment = self.people.moment
        self.known.update(ids)
        self.topics["touches"] += [HomeFact(id_, self.people.home.get(id_, id_), moment) for id_ in ids]

    def deal(self, ids: Iterable[str], stage: Stage = "open", **changes: object) -> None:
        self.version += 1
        self.topics["deals"].append(version_of(self.version, ids, stage, **changes))

    def learn(self, topic: str) -> None:
        """The ledger reads one more fact of a topic."""
        if self.read[topic] < len(self.topics[topic]):
            fact = self.topics[topic][self.read[topic]]
            self.read[topic] += 1
            for command in self.deals.take(fact, self.clock())[1]:
                assert asked.problem(command) is None
                self.under_way[command.customer_id].append(command)

    def save(self) -> None:
        """What it knows stands in Kafka, with how far it has read."""
        self.saved = (list(self.facts), self.read.copy())

    def crash(self) -> None:
        """It goes on from there, and may read what comes in another order."""
        facts, read = self.saved
        self.facts, self.read = Facts(facts), read.copy()
        self.deals = Deals(self.facts)

    def deliver(self, id_: str) -> None:
        """The customer's timeline is told what the ledger said first."""
        if self.under_way[id_]:
            self.people.tell(replace(self.under_way[id_].popleft(), decided_at=0))

    def settle(self) -> None:
        """All is read, and all is told."""
        for topic, facts in self.topics.items():
            while self.read[topic] < len(facts):
                self.learn(topic)
        for id_ in IDS:
            while self.under_way[id_]:
                self.deliver(id_)

    def acts(self, id_: str) -> list[Act]:
        """What is said of the deal on one timeline, as it counts."""
        return [act_of(entry) for entry in self.people.timeline(id_).entries if entry.kind == asked.DEAL]

    def lead(self, id_: str) -> LeadState | None:
        return self.people.timeline(id_).lead

    def owner(self) -> tuple[DealFact | None, str | None]:
        """The deal, and whose it is as the ledger has it; nobody's as long as no touch has shown one of its identifiers."""
        deal = self.facts.deals.get("d1")
        if deal is None or not counts(deal) or not any(self.facts.owner(id_) for id_ in deal.ids):
            return deal, None
        return deal, self.facts.customer_of(deal)

    def check(self, one: bool = False) -> None:
        """The timeline of the deal's customer says where the newest version stands, the others nothing; leads are as their histories say,
        and as readers of the topic see them. With `one`, all identifiers are of the customer who has the least."""
        deal, owner = self.owner()
        if one:
            owner = None if owner is None else min(self.people.home.get(id_, id_) for id_ in IDS)
        for id_ in IDS:
            acts, lead = self.acts(id_), self.lead(id_)
            if deal is None or id_ != owner:
                assert acts == [], id_
                assert lead is None or (lead.deals == () and lead.state not in ("opportunity", "won"))
            else:
                assert acts and acts[-1].stage == deal.stage, id_
                assert lead is None or lead.state == {"won": "won", "lost": "lost"}.get(deal.stage, "opportunity")
            assert lead == history(self.people.timeline(id_), POLICY)[0]
            told = [event for event in still_here(self.people.standing(id_)) if lead and event.lead_id == lead.id]
            assert lead is None or told[-1].state == lead.state
