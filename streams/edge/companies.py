"""Who of each company was in touch lately, in Redis: for rules that look at a whole account (`streams.gateway`).

Two sorted sets a company, `touchstream:<app_id>:view:company:<pseudonymous id>` and `...:view:planned:<pseudonymous id>`: customer ids
by the time of their newest touch, and of their next plan, that named the company (UTC ms). Two, so that many plans do not hide who was
in touch. They only say whose timelines are to be looked at: what counts stands in these. Part of the view: written beside it, and built
anew with it when Redis was lost. Kept only while some rule of the policy needs it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from streams.core.entry import DELETED, DamagedError, Entry
from streams.core.govern import compiled
from streams.core.govern.plan_contacts import contact_of_plan
from streams.core.govern.records import Contact
from streams.core.identify import account_node
from streams.core.policy import DAY_MS, Policy
from streams.core.timeline import Timeline
from streams.core.touch import IdentifiedTouch
from streams.edge.history import History
from streams.settings import Settings

KEPT_MS = 100 * DAY_MS
"""No rule looks further back than timelines reach (`timeline.retention_days` is 90)."""

AHEAD_MS = 2 * 366 * DAY_MS
"""No plan is farther ahead (`streams.edge.stages.planning`)."""

Which = Literal["company", "planned"]
"""The set of those in touch, or of those with plans."""

Members = dict[tuple[Which, str, str], int | None]
"""(set, company, customer) -> time of the newest touch, or of the next plan, UTC ms; None takes the customer out."""


def needed(policy: Policy) -> bool:
    """Whether some rule for checks looks at a whole account."""
    return bool(compiled.of(policy).account_wide)


def key(settings: Settings, company: str, which: Which = "company") -> str:
    """Where a company's customers stand."""
    return f"touchstream:{settings.app_id}:view:{which}:{company}"


def of_entries(customer: str, timeline: Timeline, secret: str) -> Members:
    """What a timeline's touches say of its customer. A company goes by the id that touches give it, else by its domain."""
    newest = {entry.account: entry.at for entry in timeline.entries if entry.account}
    found: Members = {}
    for account, at in newest.items():
        place: tuple[Which, str, str] = ("company", account_node(account, secret), customer)
        found[place] = max(at, found.get(place) or at)
    return found


def of_plans(customer: str, before: Sequence[Entry], after: Sequence[Entry], secret: str) -> Members:
    """What a timeline's plans say once they have changed; both are in order of time."""
    gone = {plan.account for plan in before if plan.account}
    soonest = {plan.account: plan.at for plan in reversed(after) if plan.account and plan.kind != DELETED}
    found: Members = {("planned", account_node(account, secret), customer): None for account in gone}
    for account, at in soonest.items():
        place: tuple[Which, str, str] = ("planned", account_node(account, secret), customer)
        found[place] = min(at, found.get(place) or at)
    return found


def of_touch(identified: IdentifiedTouch, secret: str) -> Members:
    """What one touch says of its customer."""
    account, touch = identified.touch.account, identified.touch
    name = account and account.name
    return {("company", account_node(name, secret), identified.customer_id): touch.occurred_at} if name else {}


def of_values(names: Iterable[bytes], values: Mapping[bytes, bytes], secret: str) -> Members:
    """The same of some of the changelog's keys; segments and what cannot be read say nothing."""
    found: Members = {}
    timelines = History(values)
    for customer in (name.decode() for name in names if b"#" not in name):
        try:
            timeline = timelines[customer]
            found |= of_entries(customer, timeline, secret) | of_plans(customer, (), timeline.plans, secret)
        except DamagedError:
            continue  # said by whoever decides by it
    return found


def plans_of(customer: str, plans: Sequence[Entry], until: int) -> dict[str, Contact]:
    """The contacts that are planned for a colleague up to a moment (UTC ms), by touch id."""
    return {plan.id: contact_of_plan(plan, customer) for plan in plans if plan.at <= until and plan.kind != DELETED}


def write(pipe: Any, settings: Settings, members: Members, now: int) -> None:
    """Put the changes into a pipeline."""
    by_company: dict[tuple[Which, str], dict[str, int | None]] = {}
    for (which, company, customer), at in members.items():
        by_company.setdefault((which, company), {})[customer] = at
    for (which, company), customers in by_company.items():
        name = key(settings, company, which)
        gone = [customer for customer, at in customers.items() if at is None]
        seen = {customer: at for customer, at in customers.items() if at is not None}
        if gone:
            pipe.zrem(name, *gone)
        if seen:
            pipe.zadd(
                name, seen, gt=which == "company"
            )  # touches come in any order; the next plan is whichever is told last
            pipe.zremrangebyscore(name, "-inf", now - KEPT_MS)
            pipe.pexpire(name, KEPT_MS if which == "company" else KEPT_MS + AHEAD_MS)


def colleagues(pipe: Any, settings: Settings, companies: Iterable[str], limit: int) -> None:
    """Put the questions into a pipeline: the customers of each company, the newest first."""
    for company in companies:
        pipe.zrevrange(key(settings, company), 0, limit - 1)


def planners(pipe: Any, settings: Settings, companies: Iterable[str], limit: int, since: int) -> None:
    """The same for customers of each company whose next plan is not before `since` (UTC ms), the next first."""
    for company in companies:
        pipe.zrangebyscore(key(settings, company, "planned"), since, "+inf", start=0, num=limit)
