"""What planned contacts will collide with: each other, what was sent before, and what is known of the customers.

Pure and deterministic: the same plans and histories give the same forecast in any order.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from streams.core import wording
from streams.core.entry import Entry
from streams.core.govern.check import check
from streams.core.govern.policy import Action
from streams.core.govern.reasons import Reason
from streams.core.govern.records import Contact, Standing, Violation
from streams.core.policy import Policy

Known = Callable[[str], tuple[Sequence[Entry], Standing]]
"""A customer's touches and standing by id; `check.known` gives them of a timeline."""

_THINGS = {"email": "emails", "ads": "ads", "linkedin": "LinkedIn messages", "calls": "calls"}


class Plan(Struct, frozen=True, order=True):
    """Planned contacts that belong together: one campaign, sequence or list of a department in a channel, on one day (UTC)."""

    day: dt.date
    label: str
    department: str
    channel: str


class Collision(Struct, frozen=True):
    """Contacts of a plan that break one rule because of the same sort of thing (`against`; "" when no other contact is the cause)."""

    reason: Reason
    rule: str
    action: Action
    against: str
    contacts: int
    customers: int


class Outlook(Struct, frozen=True):
    """One plan: how many contacts, how many of them may not be made as planned, and why, the most frequent cause first. A contact
    that breaks several rules is in several collisions."""

    plan: Plan
    contacts: int
    stopped: int
    collisions: tuple[Collision, ...]


def forecast(plans: Iterable[tuple[str, Contact]], known: Known, policy: Policy, now: int) -> tuple[Outlook, ...]:
    """The outlook of each plan, sorted by day. `plans` are customers' ids with what is planned for them; `now` is UTC ms."""
    by_customer: dict[str, list[Contact]] = defaultdict(list)
    for customer, contact in plans:
        by_customer[customer].append(contact)
    total: dict[Plan, int] = defaultdict(int)
    stopped: dict[Plan, int] = defaultdict(int)
    found: dict[Plan, dict[tuple[Reason, str, Action, str], list[str]]] = defaultdict(lambda: defaultdict(list))
    for customer, theirs in by_customer.items():
        history, standing = known(customer)
        named = _named(theirs)
        planned = {contact.id: contact for contact in named}
        everything = replace(standing, held=(*standing.held, *named))
        for contact in named:
            verdict = check(history, contact, policy, now, everything, None)
            plan = plan_of(contact)
            total[plan] += 1
            stopped[plan] += not verdict.allowed
            for one in verdict.violations:
                found[plan][one.reason, one.rule, one.action, _against(one, planned)].append(customer)
    return tuple(
        Outlook(plan, count, stopped[plan], _collisions(found.get(plan, {}))) for plan, count in sorted(total.items())
    )


def _named(contacts: list[Contact]) -> list[Contact]:
    """The contacts in order of time, each with an id, so that none collides with itself."""
    ordered = sorted(contacts, key=lambda one: (one.at, one.id, plan_of(one), one.category or "", one.actor_id or ""))
    return [one if one.id else replace(one, id=f"plan {n}") for n, one in enumerate(ordered)]


def plan_of(contact: Contact) -> Plan:
    """The plan that a contact belongs to: its campaign, else its sequence, else all that its department does in its channel."""
    label = contact.campaign or contact.sequence or _THINGS.get(contact.channel, contact.channel)
    return Plan(wording.date(contact.at), label, contact.department, contact.channel)


def _against(violation: Violation, planned: dict[str, Contact]) -> str:
    sorts = set()
    for proof in violation.evidence:
        if proof.id in planned:
            other = planned[proof.id]
            sorts.add(f"planned {_THINGS.get(other.channel, other.channel)} of {other.department}")
        elif proof.channel and violation.reason not in (Reason.AFTER_OPT_OUT, Reason.AFTER_REPLY, Reason.NO_CONSENT):
            sorts.add("contacts already made or reserved")
    return " and ".join(sorted(sorts))


def _collisions(found: dict[tuple[Reason, str, Action, str], list[str]]) -> tuple[Collision, ...]:
    collisions = [Collision(*cause, len(customers), len(set(customers))) for cause, customers in found.items()]
    return tuple(sorted(collisions, key=lambda one: (-one.contacts, one.reason, one.rule, one.against)))


def sentence(outlook: Outlook) -> str:
    """ "spring (marketing, email), Tuesday 3 March 2026: 312 of 500 contacts stopped: 298 department_overlap with planned calls ..." """
    plan = outlook.plan
    head = f"{plan.label} ({plan.department}, {wording.channel(plan.channel)}), {wording.weekday(plan.day)}"
    causes = [
        f"{one.contacts} {one.reason}{f' with {one.against}' if one.against else ''}{' (alert)' if one.action == 'alert' else ''}"
        for one in outlook.collisions
    ]
    why = f": {', '.join(causes)}" if causes else ""
    return f"{head}: {outlook.stopped} of {outlook.contacts} contacts stopped{why}."
