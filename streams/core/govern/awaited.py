"""Contacts to come that a forecast counts besides those that it is about: plans that tools have published, and slots that they hold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from streams.core.entry import DELETED
from streams.core.govern.plan_contacts import contact_of_plan
from streams.core.govern.records import Contact
from streams.core.reservation import Reservation
from streams.core.timeline import Timeline


class Awaited(Struct, frozen=True):
    """`contacts` by the id that a customer goes by, `named` the companies that their plans name. `published` are the ids of those that are
    plans."""

    contacts: Mapping[str, Sequence[Contact]] = {}
    named: Mapping[str, Sequence[str]] = {}
    published: frozenset[str] = frozenset()


NOTHING = Awaited()


def awaited(
    with_plans: Iterable[tuple[str, Timeline]],
    reserved: Iterable[Reservation],
    timelines: Mapping[str, Timeline],
    now: int,
) -> Awaited:
    """What is planned from `now` on (UTC ms) and what is reserved then. A reservation for a plan is the plan."""
    contacts: dict[str, list[Contact]] = defaultdict(list)
    named: dict[str, list[str]] = defaultdict(list)
    published: set[str] = set()
    for customer, timeline in with_plans:
        for plan in timeline.plans:
            if plan.at >= now and plan.kind != DELETED:
                contacts[customer].append(contact_of_plan(plan))
                named[customer] += [plan.account] if plan.account else []
                published.add(plan.id)
    for one in reserved:
        if one.is_live(now) and one.touch_id not in published:
            contacts[_now_called(one.customer_id, timelines)].append(replace(one.contact(), customer=""))
    return Awaited(contacts, named, frozenset(published))


def _now_called(customer: str, timelines: Mapping[str, Timeline]) -> str:
    """The id that a customer goes by since a merge."""
    seen = set[str]()
    while customer not in seen and (timeline := timelines.get(customer)) is not None and timeline.merged_into:
        seen.add(customer)
        customer = timeline.merged_into
    return customer
