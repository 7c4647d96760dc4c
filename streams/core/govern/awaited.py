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
            contacts[goes_by(one.customer_id, timelines)[0]].append(replace(one.contact(), customer=""))
    return Awaited(contacts, named, frozenset(published))


def goes_by(customer: str, timelines: Mapping[str, Timeline]) -> tuple[str, Timeline | None]:
    """The id that a customer goes by since a merge, and its timeline; None when there is none."""
    timeline, seen = timelines.get(customer), {customer}
    while timeline is not None and (into := timeline.merged_into) and into not in seen:
        customer, timeline = into, timelines.get(into)
        seen.add(into)
    return customer, timeline
