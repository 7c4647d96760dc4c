"""A lead's states, what leads from one to another, and the value in which a lead is kept."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

from msgspec import Struct

from streams.core.ledger.types import LeadReason

TimerKind = Literal["sla_near", "sla_breached", "escalated", "reassign", "recycle_due"]

Timer = tuple[int, TimerKind]
"""When (UTC ms) something happens unless something else happens first."""

State = Literal[
    "new", "nurtured", "mql", "handed_off", "accepted", "working", "qualified", "opportunity", "won", "lost", "recycled",
    "disqualified",
]  # fmt: skip

STATES: tuple[State, ...] = get_args(State)
"""In the order in which a lead goes through them."""

ChangeKind = Literal[
    "new", "nurtured", "mql", "handed_off", "reassigned", "accepted", "working", "first_touch", "qualified", "opportunity",
    "won", "lost", "rejected", "recycled", "disqualified", "asked_again", "sla_near", "sla_breached", "escalated", "recycle_due",
    "carried",
]  # fmt: skip

WITH_SALES = frozenset({"mql", "handed_off", "accepted", "working", "qualified", "opportunity"})
"""Sales has it, or a rep is being looked for: marketing holds."""

UNTOUCHED = ("mql", "handed_off", "accepted")
"""States of `WITH_SALES` in which nobody of sales has got in touch yet."""

ENDED = frozenset({"won", "lost", "disqualified"})

GIVEN_BACK = ("rejected", "recycled", "disqualified")
"""Kinds of changes by which sales gives a lead back, with a reason."""

NEXT: dict[State | None, frozenset[State]] = {
    None: frozenset({"new"}),
    "new": frozenset({"nurtured", "mql", "opportunity", "won", "lost", "disqualified"}),
    "nurtured": frozenset({"mql", "opportunity", "won", "lost", "disqualified"}),
    "mql": frozenset({"handed_off", "working", "opportunity", "won", "lost", "recycled", "disqualified"}),
    "handed_off": frozenset(
        {"mql", "accepted", "working", "qualified", "opportunity", "won", "lost", "recycled", "disqualified"}
    ),
    "accepted": frozenset({"mql", "working", "qualified", "opportunity", "won", "lost", "recycled", "disqualified"}),
    "working": frozenset({"mql", "qualified", "opportunity", "won", "lost", "recycled", "disqualified"}),
    "qualified": frozenset({"opportunity", "won", "lost", "recycled", "disqualified"}),
    "opportunity": frozenset({"won", "lost", "recycled", "disqualified"}),
    "won": frozenset({"new", "opportunity", "lost"}),
    "lost": frozenset({"new", "opportunity", "won"}),
    "recycled": frozenset({"nurtured", "mql", "opportunity", "won", "lost", "disqualified"}),
    "disqualified": frozenset({"new", "opportunity", "won", "lost"}),
}
"""Real funnels go backwards; what does not stand here never happens. A lead that has ended and begins anew is another lead (`new`)."""


class LeadDeal(NamedTuple):
    """A deal's id, how it stands, and the `streams.core.leads.acts.Act.place` of what was said of it; 0: not known."""

    id: str
    how: Literal["open", "won"]
    place: int = 0


class LeadState(Struct, frozen=True, gc=False, array_like=True):
    """One lead at a moment. Times in UTC ms.

    `cycle` counts its hand-offs, `attempt` the assignments within the current one, `passed` names the reps who had it in it. `asked_at`
    and `crossing` are the customer's act that led to the hand-off, `asked` says that it was a request. `touched_at` is the first touch by
    a person of sales since the customer's act; 0: none yet. `timers` are what is due, in order.
    `identifier` is that of the entry which began or brought it, as in `Entry`: where that goes, the lead goes.
    `deal` is the one that the state follows; `deals` are all that came from the lead and are not lost, `older` those of the customer's
    earlier leads that were open when this one began.
    """

    id: str
    state: State
    since: int
    cycle: int = 0
    attempt: int = 0
    crossing: str = ""
    asked_at: int = 0
    asked: bool = False
    owner: str | None = None
    team: str = ""
    assigned_at: int = 0
    due_at: int | None = None
    timers: tuple[Timer, ...] = ()
    touched_at: int = 0
    accepted: bool = False
    passed: tuple[str, ...] = ()
    reason: LeadReason | None = None
    recycle_at: int | None = None
    nurture_with: str | None = None
    deal: str = ""
    deals: tuple[LeadDeal, ...] = ()
    older: tuple[str, ...] = ()
    identifier: str = ""


class Change(Struct, frozen=True, gc=False):
    """One step of a lead: what happened, when, because of which entry or timer, and the lead before and after. `moved_from`: the customer
    id that had it before, if it was carried."""

    kind: ChangeKind
    at: int
    cause_kind: Literal["touch", "act", "timer"]
    cause: str
    before: LeadState | None
    after: LeadState
    why: str = ""
    moved_from: str = ""


def waits(lead: LeadState | None) -> bool:
    """Whether the lead waits for a rep: it was handed over, or became a deal that names no owner, and nobody was looked for yet."""
    if lead is None or lead.state != "opportunity":
        return lead is not None and lead.state == "mql"
    return lead.owner is None and lead.due_at is None and not lead.touched_at


def lead_id(lead: LeadState | None) -> str | None:
    """Its id; None when there is none."""
    return None if lead is None else lead.id


def next_due(lead: LeadState | None) -> int | None:
    """The earliest instant at which a tick would change something; None when nothing is due. At a due time there is still time, so a
    tick must be later than the timer's."""
    return lead.timers[0][0] + 1 if lead is not None and lead.timers else None
