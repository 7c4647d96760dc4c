"""A policy enforced on a past as it came: a contact that it stops does not count towards later ones, as it would not have been made.

Rules about a whole account need the past of all of its people, in one order of time. So customers are taken together whom companies link:
those of one company, and those of another where somebody was of both. At most one such circle is held decoded; where no rule asks for
colleagues, that is one customer.
"""

from __future__ import annotations

import heapq
from bisect import insort
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from streams.core.consent import told
from streams.core.detect.base import contacts
from streams.core.entry import DamagedError, Entry
from streams.core.govern import compiled as ready
from streams.core.govern.colleagues import Company, belonging, contact_with
from streams.core.govern.compiled import Compiled
from streams.core.govern.evaluate import broken
from streams.core.govern.records import NOTHING, Contact, Standing
from streams.core.govern.ruling import AT
from streams.core.govern.scene import Scene
from streams.core.identify import account_name
from streams.core.policy import DAY_MS, Policy
from streams.core.timeline import Timeline, standing

FOLLOWED_MS = 7 * DAY_MS
"""A reply or a meeting this long after a contact, with no other contact between, is taken as its success."""

_SUCCESS = frozenset({"replied", "meeting"})


class Stopped(Struct, frozen=True):
    """A contact that a policy would have stopped, by which rules; `followed`: the customer replied or met us after it."""

    contact: Entry
    rules: tuple[str, ...]
    followed: bool


def circles(timelines: Mapping[str, Timeline], *policies: Policy) -> Iterator[dict[str, Timeline]]:
    """All customers, those together whom a rule of one of the policies may have to look at together. Raises `DamagedError`."""
    if not any(ready.of(policy, "history").account_wide for policy in policies):
        for customer in timelines:
            yield {customer: whole(customer, timelines[customer])}
        return
    linked: dict[str, str] = {}

    def root(name: str) -> str:
        while linked.setdefault(name, name) != name:
            linked[name] = name = linked[linked[name]]
        return name

    firm: dict[str, str] = {}
    for customer in timelines:
        names = sorted(belonging(whole(customer, timelines[customer]).entries).names)
        for name in names:
            linked[root(name)] = root(names[0])
        if names:
            firm[customer] = names[0]
        else:
            yield {customer: whole(customer, timelines[customer])}
    people: dict[str, list[str]] = defaultdict(list)
    for customer, name in firm.items():
        people[root(name)].append(customer)
    for some in people.values():
        yield {customer: whole(customer, timelines[customer]) for customer in some}


def whole(customer: str, timeline: Timeline) -> Timeline:
    """The timeline with all its entries read. Raises `DamagedError`."""
    try:
        tuple(timeline.entries)
    except DamagedError as error:
        raise error.of(customer) from None
    return timeline


def stopped(circle: Mapping[str, Timeline], policy: Policy) -> dict[str, dict[str, Stopped]]:
    """The contacts that the policy would have stopped, by customer and touch id."""
    compiled = ready.of(policy, "history")
    people = {customer: _Person(customer, timeline, compiled) for customer, timeline in circle.items()}
    companies: dict[str, Company] = defaultdict(lambda: Company(compiled))
    found: dict[str, dict[str, Stopped]] = defaultdict(dict)
    for _, _, customer, j in heapq.merge(*(person.times() for person in people.values())):
        person = people[customer]
        entry = person.entries[j]
        person.scene.see(entry)
        if entry.account and compiled.account_wide:
            person.join(companies[account_name(entry.account)])
        if j not in person.reached:
            continue
        account = person.scene.account
        rules = person.rules(entry, companies[account_name(account)] if account and compiled.account_wide else None)
        if rules:
            found[customer][entry.id] = Stopped(entry, rules, person.followed(j))
        else:
            person.reach(entry)
    return found


class _Person:
    """One customer, as the past goes on."""

    def __init__(self, customer: str, timeline: Timeline, compiled: Compiled) -> None:
        self.customer = customer
        self.entries: Sequence[Entry] = tuple(timeline.entries)
        reached = contacts(self.entries, 0, len(self.entries), 0, compiled.policy) if self.entries else ()
        self.reached: dict[int, Entry] = dict(reached)
        self.scene = Scene(
            compiled, Standing(consents=told(timeline.consents)) if timeline.consents is not None else NOTHING
        )
        self.scene.customer = customer
        self.scene.opt_outs.extend(standing(timeline))
        self._compiled = compiled
        self._own = self.scene.counted
        self._got: list[Contact] = []
        """For colleagues."""
        self._companies: list[Company] = []

    def times(self) -> Iterator[tuple[int, str, str, int]]:
        """When what happened, in order."""
        return ((entry.at, entry.id, self.customer, j) for j, entry in enumerate(self.entries))

    def join(self, company: Company) -> None:
        """A touch says that the customer is of this company: what they got counts there, from before, too."""
        if not any(one is company for one in self._companies):
            self._companies.append(company)
            for contact in self._got:
                company.reach(contact)

    def reach(self, entry: Entry) -> None:
        """The contact is made."""
        self.scene.reach(entry)
        if self._compiled.account_wide:
            contact = contact_with(self.customer, entry)
            insort(self._got, contact, key=AT)
            for company in self._companies:
                company.reach(contact)

    def rules(self, entry: Entry, company: Company | None) -> tuple[str, ...]:
        """Which rules stop the contact."""
        scene = self.scene
        if company is not None:
            scene.counted = list(self._own)
            company.show(scene)
        names = [r.rule.name for r, _ in broken(self._compiled, scene, entry, entry.at) if r.rule.action != "alert"]
        scene.counted = self._own
        return tuple(names)

    def followed(self, j: int) -> bool:
        """Whether the customer replied or met us after the contact at j."""
        for k in range(j + 1, len(self.entries)):
            if k in self.reached or self.entries[k].at - self.entries[j].at > FOLLOWED_MS:
                return False
            if self.entries[k].kind in _SUCCESS:
                return True
        return False
