"""Who belongs to which company, and what its people got: for rules about a whole account, where all customers are at hand.

A customer belongs to each company that one of their touches, or a plan for them, has named, and is judged as one of the company that the
newest touch named, else a plan. That is what a check does whose asker names that company. A company is the same in whatever case its id or
domain is written.
"""

from __future__ import annotations

from bisect import insort
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Struct

from streams.core.detect.base import contacts
from streams.core.entry import Entry
from streams.core.govern.compiled import Compiled
from streams.core.govern.evaluate import exempt
from streams.core.govern.records import Contact, Reached
from streams.core.govern.ruling import AT
from streams.core.govern.scene import Scene
from streams.core.identify import account_name
from streams.core.policy import Policy
from streams.core.touch import CONTACT_KINDS


class Belonging(Struct, frozen=True):
    """What the touches of a customer say of their company: all names (`account_name`), the newest as it was written ("": none), and when
    that was (UTC ms)."""

    names: frozenset[str] = frozenset()
    newest: str = ""
    at: int = 0


NOWHERE = Belonging()


def belonging(entries: Iterable[Entry]) -> Belonging:
    """The same of a timeline's entries, in order. What came too late says whose colleague somebody was, and not whose they are."""
    names, newest, at = set(), "", 0
    for entry in entries:
        if entry.account:
            names.add(account_name(entry.account))
            newest, at = (newest, at) if entry.late else (entry.account, entry.at)
    return Belonging(frozenset(names), newest, at) if names else NOWHERE


class Companies(Struct, frozen=True):
    """`of` is the company by which a customer's contacts are judged, as it was written, `people` are all who belong to it, by its
    `account_name`."""

    of: Mapping[str, str] = {}
    people: Mapping[str, Sequence[str]] = {}


NONE = Companies()


def companies(
    planned: Mapping[str, Sequence[str]], known: Mapping[str, Belonging], alias: Callable[[str], str] = str
) -> Companies:
    """The companies of those for whom something is planned, given with the companies that their plans name, in order. `known` are the
    belongings of everybody, by an id of theirs; `alias` gives the id under which somebody is planned for."""
    own: dict[str, Belonging] = {}
    names: dict[str, set[str]] = defaultdict(set)
    for id_, one in known.items():
        if one.names:
            customer = alias(id_)
            names[customer] |= one.names
            before = own.setdefault(customer, one)
            if (one.at, one.newest) > (before.at, before.newest):
                own[customer] = one
    of: dict[str, str] = {}
    for customer, told in planned.items():
        names[customer].update(map(account_name, told))
        company = own.get(customer, NOWHERE).newest or next(iter(told), "")
        if company:
            of[customer] = company
    wanted = set(map(account_name, of.values()))
    people: dict[str, list[str]] = {name: [] for name in wanted}
    for customer in sorted(names):
        for name in names[customer] & wanted:
            people[name].append(customer)
    return Companies(of, people)


class Company:
    """The contacts of a company's people, in lists by time as a `Scene` has them, for each rule about the whole account. Everybody of the
    company looks at the same lists, so that a company costs what its contacts cost, and not that for each of them."""

    def __init__(self, compiled: Compiled) -> None:
        self._compiled = compiled
        self._counted: dict[int, list[Reached]] = {i: [] for i in compiled.account_wide}
        self._later: dict[int, list[Reached]] = {i: [] for i in compiled.account_wide}

    def reach(self, contact: Contact) -> None:
        """Takes in a contact that somebody got, or will get."""
        if contact.kind in CONTACT_KINDS:
            for i in self._compiled.match(contact).counts:
                if i in self._counted:
                    insort(self._counted[i], contact, key=AT)

    def plan(self, contact: Contact) -> None:
        """Takes in a contact to come, which must not be harmed either."""
        self.reach(contact)
        if contact.kind in CONTACT_KINDS:
            for i in self._compiled.match(contact).applies:
                if i in self._later and not exempt(self._compiled.rulings[i], contact):
                    insort(self._later[i], contact, key=AT)

    def show(self, scene: Scene) -> None:
        """Has the rules about the whole account look at these contacts."""
        for i, held in self._counted.items():
            scene.counted[i] = held
            scene.later[i] = self._later[i]


def contacts_of(customer: str, entries: Sequence[Entry], policy: Policy) -> dict[str, Contact]:
    """The contacts on a colleague's timeline, by touch id; calls count once."""
    reached = contacts(entries, 0, len(entries), 0, policy) if entries else ()
    return {one.id: contact_with(customer, one) for _, one in reached}


def contact_with(customer: str, one: Entry) -> Contact:
    """A contact that a colleague got."""
    offer = next((claim.value for claim in one.claims if claim.kind == "offer"), None)
    return Contact(
        one.at, one.channel, one.department, one.kind, one.id, one.campaign, one.category, one.sequence, one.actor_id,
        one.actor_kind, one.priority, offer, customer=customer,
    )  # fmt: skip
