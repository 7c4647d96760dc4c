"""What planned contacts will collide with: each other, what was sent before, and what is known of the customers.

Pure and deterministic: the same plans and histories give the same forecast in any order. Rules about a whole account count what colleagues
got and what is planned for them; the people of one company are judged together, so at most those of one are held at once.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Sequence
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from streams.core import wording
from streams.core.entry import Entry
from streams.core.govern import compiled as ready
from streams.core.govern.check import each, usual
from streams.core.govern.colleagues import NONE, Companies, Company, contacts_of
from streams.core.govern.evaluate import blocks
from streams.core.govern.pairs import Overlap
from streams.core.govern.policy import Action
from streams.core.govern.reasons import Reason
from streams.core.govern.records import Contact, Standing
from streams.core.govern.ruling import Hit, Ruling
from streams.core.govern.scene import Scene
from streams.core.govern.windows import short
from streams.core.identify import account_name
from streams.core.policy import Policy

Known = Callable[[str], tuple[Sequence[Entry], Standing]]
"""A customer's touches and standing by id; `check.known` gives them of a timeline."""

_THINGS = {"email": "emails", "ads": "ads", "linkedin": "LinkedIn messages", "calls": "calls"}


Sort = Literal["campaign", "sequence", "list"]


class Plan(Struct, frozen=True, order=True):
    """Planned contacts that belong together: one campaign, sequence or list of a department in a channel, on one day (UTC)."""

    day: dt.date
    label: str
    department: str
    channel: str
    sort: Sort


class Collision(Struct, frozen=True):
    """Contacts of a plan that break one rule because of the same sort of thing (`against`; "" when no other contact is the cause).
    `window` is the rule's, "" when it has none."""

    reason: Reason
    rule: str
    action: Action
    against: str
    window: str
    contacts: int
    customers: int


class Outlook(Struct, frozen=True):
    """One plan: how many contacts, how many of them may not be made as planned, and why, the most frequent cause first. A contact
    that breaks several rules is in several collisions."""

    plan: Plan
    contacts: int
    stopped: int
    collisions: tuple[Collision, ...]


def forecast(
    plans: Iterable[tuple[str, Contact]],
    known: Known,
    policy: Policy,
    now: int,
    companies: Companies = NONE,
    published: Container[str] = (),
) -> tuple[Outlook, ...]:
    """The outlook of each plan, sorted by day. `plans` are customers' ids with what is planned for them; `now` is UTC ms. Of customers in
    `companies` the contacts of their colleagues count, too; `known` is asked about these as well, and `account_contacts` that it gives
    are not looked at. Of what it gives as held, `published` are the ids of plans; the rest is reserved."""
    compiled = ready.of(policy)
    by_customer: dict[str, list[Contact]] = defaultdict(list)
    for customer, contact in plans:
        by_customer[customer].append(contact)
    named = {customer: _named(theirs, customer) for customer, theirs in by_customer.items()}
    planned = {id(contact): contact for theirs in named.values() for contact in theirs}

    def awaits(proof: Any) -> bool:
        return id(proof) in planned or (getattr(proof, "id", "") or None) in published

    total: dict[Plan, int] = defaultdict(int)
    stopped: dict[Plan, int] = defaultdict(int)
    found: dict[Plan, dict[_Cause, list[str]]] = defaultdict(lambda: defaultdict(list))

    def judge(customer: str, history: Sequence[Entry], standing: Standing, company: Company | None = None) -> None:
        def show(scene: Scene) -> None:
            scene.customer = customer
            if company is not None:
                company.show(scene)

        for contact, (_, hits, _) in zip(
            named[customer], each(compiled, history, named[customer], standing, now, show), strict=True
        ):
            plan = plan_of(contact)
            total[plan] += 1
            stopped[plan] += any(blocks(ruling.rule.action, contact) for ruling, _ in hits)
            for ruling, hit in hits:
                found[plan][_cause(ruling, hit, contact, awaits)].append(customer)

    def of_company(customer: str) -> tuple[Sequence[Entry], Standing]:
        history, standing = known(customer)
        company = companies.of.get(customer)
        return history, standing if standing.account or not company else replace(standing, account=company)

    together: dict[str, list[str]] = defaultdict(list)
    for customer in named:
        if compiled.account_wide and customer in companies.of:
            together[account_name(companies.of[customer])].append(customer)
        else:
            judge(customer, *of_company(customer))
    for name, judged in together.items():
        company, held = Company(compiled), {}
        for member in dict.fromkeys((*companies.people.get(name, ()), *judged)):
            history, standing = of_company(member)
            _take(company, member, history, standing, named.get(member, ()), policy, now)
            if member in named:
                held[member] = history, standing
        for customer in judged:
            judge(customer, *held[customer], company)
    return tuple(
        Outlook(plan, count, stopped[plan], _collisions(found.get(plan, {}))) for plan, count in sorted(total.items())
    )


def _take(
    company: Company,
    member: str,
    history: Sequence[Entry],
    standing: Standing,
    plans: Iterable[Contact],
    policy: Policy,
    now: int,
) -> None:
    """What one of the company got, and is to get."""
    for contact in contacts_of(member, history, policy).values():
        (company.reach if contact.at < now else company.plan)(contact)
    made = {entry.id for entry in history} if standing.held else ()
    for contact in standing.held:
        if contact.id not in made:
            company.plan(replace(usual(contact), customer=member))
    for contact in plans:
        company.plan(contact)


def _named(contacts: list[Contact], customer: str) -> list[Contact]:
    """The contacts of a customer in order of time, each with a kind and an id."""
    ordered = contacts
    if len(contacts) > 1:
        ordered = sorted(
            contacts, key=lambda one: (one.at, one.id, plan_of(one), one.category or "", one.actor_id or "")
        )
    return [usual(replace(one, id=one.id or f"plan {n}", customer=customer)) for n, one in enumerate(ordered)]


def plan_of(contact: Contact) -> Plan:
    """The plan that a contact belongs to: its campaign, else its sequence, else all that its department does in its channel."""
    label = contact.campaign or contact.sequence or _things(contact.channel)
    sort: Sort = "campaign" if contact.campaign else ("sequence" if contact.sequence else "list")
    return Plan(wording.date(contact.at), label, contact.department, contact.channel, sort)


_Cause = tuple[Reason, str, Action, str, str]
"""A collision's `reason`, `rule`, `action`, `against` and `window`."""

_BY_ITSELF = frozenset((Reason.AFTER_OPT_OUT, Reason.AFTER_REPLY, Reason.NO_CONSENT, Reason.REJECTION_COOL_DOWN))
"""Reasons whose proof is what the customer said or did, no other contact."""


def _cause(ruling: Ruling, hit: Hit, contact: Contact, awaits: Callable[[Any], bool]) -> _Cause:
    rule = ruling.rule
    near = ruling.window_of(contact, hit.proof[-1]) if isinstance(ruling, Overlap) else getattr(rule, "window", "")
    return ruling.reason, rule.name, rule.action, _against(ruling.reason, hit, awaits), near


def _against(reason: Reason, hit: Hit, awaits: Callable[[Any], bool]) -> str:
    sorts = set()
    for proof in hit.proof:
        if awaits(proof):
            sorts.add(f"planned {_things(proof.channel)} of {proof.department}")
        elif getattr(proof, "channel", "") and reason not in _BY_ITSELF:
            sorts.add("contacts already made or reserved")
    return " and ".join(sorted(sorts))


def _collisions(found: dict[_Cause, list[str]]) -> tuple[Collision, ...]:
    collisions = [Collision(*cause, len(customers), len(set(customers))) for cause, customers in found.items()]
    return tuple(sorted(collisions, key=lambda one: (-one.contacts, one.reason, one.rule, one.against, one.window)))


def _things(channel: str, count: int = 2) -> str:
    things = _THINGS.get(channel, channel)
    return things.removesuffix("s") if count == 1 else things


_SAID = {
    Reason.FREQUENCY_CAP: "over the cap '{rule}'",
    Reason.ACCOUNT_CAP: "over the company's cap '{rule}'",
    Reason.MINIMUM_GAP: "too near, by '{rule}'",
    Reason.QUIET_HOURS: "in quiet hours",
    Reason.HOLIDAY: "on a public holiday",
    Reason.AFTER_OPT_OUT: "on opted-out contacts",
    Reason.NO_CONSENT: "without consent",
    Reason.DO_NOT_CONTACT: "on the do-not-contact list",
    Reason.OWNER_COLLISION: "on customers whom somebody else owns",
    Reason.DUPLICATE_CAMPAIGN: "of a campaign that reaches the customer twice",
    Reason.DUPLICATE_SEQUENCE: "in two sequences at once",
    Reason.OPEN_DEAL: "on customers with an open deal",
    Reason.SALES_LEAD: "on customers whose lead sales has",
    Reason.AFTER_REPLY: "on customers who just replied",
    Reason.REJECTION_COOL_DOWN: "on customers who rejected us",
    Reason.INCOMPATIBLE_OFFERS: "with offers that do not go together",
    Reason.STALE_OFFER: "with an offer that has ended",
}
"""What is said of a collision. Of one with another department it is with whom, and how near."""


def sentence(outlook: Outlook) -> str:
    """ "Tuesday's spring campaign (31 March 2026, marketing, 500 emails) collides 312 times: 298 with planned calls of sales inside 24 h,
    14 on opted-out contacts; 311 of 500 may not be made."
    """
    plan, times = outlook.plan, sum(one.contacts for one in outlook.collisions)
    weekday, _, date = wording.weekday(plan.day).partition(" ")
    label = f"{plan.label} of {plan.department}" if plan.sort == "list" else f"{plan.label} {plan.sort}"
    size = f"{outlook.contacts} {_things(plan.channel, outlook.contacts)}"
    head = f"{weekday}'s {label} ({date}, {plan.department}, {size}) {'collide' if plan.sort == 'list' else 'collides'}"
    if not outlook.contacts:
        return f"{weekday}'s {label} ({date}): nothing is planned any more."
    if not times:
        return f"{head} with nothing."
    causes = ", ".join(map(_told, outlook.collisions))
    often = "once" if times == 1 else f"{times} times"
    return f"{head} {often}: {causes}; {outlook.stopped} of {outlook.contacts} may not be made."


def _told(one: Collision) -> str:
    parts = [] if one.reason == Reason.DEPARTMENT_OVERLAP else [_SAID[one.reason].format(rule=one.rule)]
    if one.against:
        parts.append(f"with {one.against}")
    if one.window:
        parts.append(f"inside {short(one.window)}")
    return f"{one.contacts} {' '.join(parts)}{' (alert)' if one.action == 'alert' else ''}"
