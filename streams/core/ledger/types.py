"""What the ledger is made of: deals and costs as records, lead events, and one customer's path to one deal.

Money on records is `Money` (a decimal as text); inside the ledger it is a whole number of the currency's smallest unit, cents for
most (`streams.core.ledger.money`). Times are UTC milliseconds, days are counted from 1970-01-01. Wire formats: `schemas/deal`,
`schemas/cost`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal, NamedTuple, get_args

from msgspec import Struct

from streams.core.touch import Channel, Customer, Department, Money

Stage = Literal["open", "qualification", "proposal", "negotiation", "won", "lost"]
CostKind = Literal["ad_spend", "salary", "tool", "other"]
LeadState = Literal[
    "new", "nurtured", "mql", "handed_off", "accepted", "working", "qualified", "opportunity", "won", "lost", "rejected",
    "recycled", "disqualified",
]  # fmt: skip
LeadReason = Literal[
    "bad_data", "duplicate", "not_icp", "no_authority", "no_budget", "no_need", "bad_timing", "unresponsive", "competitor",
    "student_or_vendor", "existing_customer", "in_open_opportunity", "wrong_territory", "opted_out",
]  # fmt: skip
"""Why sales gives a lead back."""

STAGES: tuple[str, ...] = get_args(Stage)
COST_KINDS: tuple[str, ...] = get_args(CostKind)

DAY_MS = 86_400_000
LONGEST_DAYS = 3660
"""So long may a cost be spread, and so far ahead of its publication may a date lie: ten years and some days. A CRM's "for ever",
such as 9999-12-31, would make as many periods as nobody reads."""
NONE = "(none)"
"""Key of what has no channel, campaign or rep: a salary has no channel, a mail robot is no rep."""
UNATTRIBUTED = "(no touch)"
"""Key of a deal that no touch led to."""


class Deal(Struct, frozen=True, gc=False, omit_defaults=True):
    """A deal as the CRM sees it. Of several records with one `deal_id` the one with the highest `version` is the truth."""

    deal_id: str
    customer: Customer
    stage: Stage
    opened_at: int
    closed_at: int | None = None
    amount: Money | None = None
    owner: str | None = None
    version: int = 1
    deleted: bool = False


def is_refund(amount: Money | None) -> bool:
    """Whether a deal of this amount is money paid back that is booked as a deal of its own: revenue, but no chance and no sale."""
    return amount is not None and Decimal(amount.amount) < 0


class Cost(Struct, frozen=True, gc=False, omit_defaults=True):
    """Money spent over some days, both included. Of several records with one `cost_id` the highest `version` is the truth."""

    cost_id: str
    department: Department
    kind: CostKind
    first_day: int
    last_day: int
    amount: Money
    channel: Channel | None = None
    campaign: str | None = None
    rep: str | None = None
    version: int = 1
    deleted: bool = False


class LeadEvent(Struct, frozen=True, gc=False, omit_defaults=True):
    """A lead changes its state: marketing hands it off, sales accepts it, rejects it with a reason, or gives it back."""

    customer: Customer
    at: int
    state: LeadState
    reason: LeadReason | None = None


class JourneyTouch(Struct, frozen=True, gc=False):
    """A touch as the ledger keeps it. `identifier` is the pseudonymous id of the touch's own strongest identifier."""

    at: int
    touch_id: str
    department: str
    channel: str
    campaign: str | None
    actor: str | None
    actor_kind: str | None
    direction: str
    kind: str
    interaction_id: str | None = None
    identifier: str = ""


class Journey(Struct, frozen=True):
    """One customer's path to one deal: the touch points within the look-back before `closed_at`, in order of time and id."""

    deal: Deal
    customer: str
    touches: tuple[JourneyTouch, ...]


class Cell(NamedTuple):
    """The smallest box that money, touches and contacts are put into; every table is a sum of cells."""

    department: str
    channel: str
    campaign: str
    rep: str


DIMENSIONS: tuple[str, ...] = Cell._fields
NO_TOUCH = Cell(UNATTRIBUTED, UNATTRIBUTED, UNATTRIBUTED, UNATTRIBUTED)


def cell_of(touch: JourneyTouch) -> Cell:
    """The box of a touch. Only a person is a rep."""
    rep = touch.actor if touch.actor is not None and touch.actor_kind == "person" else NONE
    return Cell(touch.department, touch.channel, touch.campaign or NONE, rep)
