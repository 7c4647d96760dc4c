"""The contact that a plan will be, as rules look at it."""

from __future__ import annotations

import datetime as dt

from streams.core import claims
from streams.core.entry import Entry
from streams.core.govern.records import Contact
from streams.core.touch import Touch


def contact_of_plan(plan: Entry, customer: str = "") -> Contact:
    """The contact that a plan on a timeline will be, of a colleague where it says of whom. Its offer is in normal form, as rules compare
    them."""
    said = {claim.kind: claim.value for claim in plan.claims}
    ends = [dt.date.fromisoformat(claim.value) for claim in plan.claims if claim.kind == "deadline"]
    return Contact(
        plan.at, plan.channel, plan.department, plan.kind, plan.id, plan.campaign, plan.category, plan.sequence, plan.actor_id,
        plan.actor_kind, plan.priority, said.get("offer"), min(ends, default=None), customer=customer,
    )  # fmt: skip


def contact_of(touch: Touch) -> Contact:
    """The contact that a planned touch will be."""
    ends = [
        dt.date.fromisoformat(one.value)
        for one in claims.extract(touch.message, touch.occurred_at)
        if one.kind == "deadline"
    ]
    actor, message = touch.actor, touch.message
    return Contact(
        touch.occurred_at, touch.channel, touch.department, touch.kind, touch.touch_id, touch.campaign, touch.category, touch.sequence,
        actor.id if actor else None, actor.kind if actor else None, touch.priority, message.offer if message else None,
        min(ends, default=None),
    )  # fmt: skip
