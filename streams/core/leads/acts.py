"""What people and time do to a lead, as entries of the timeline between the touches: so they are ordered, moved, pruned and erased as
those are, and no rule of `streams.core.detect` looks at them."""

from __future__ import annotations

import uuid
from typing import Final, Literal

import msgspec
from msgspec import Struct

from streams.core.entry import Entry
from streams.core.ids import NAMESPACE
from streams.core.leads.states import LeadState, Timer
from streams.core.ledger.types import LeadReason, Stage

INTERNAL = "internal"
"""Their direction: nobody outside was reached, and nobody reacted."""

ActKind = Literal[
    "lead_assigned", "lead_accepted", "lead_rejected", "lead_recycled", "lead_disqualified", "lead_qualified", "lead_deal",
    "lead_tick", "lead_carried", "lead_moved",
]  # fmt: skip


CARRIED: Final = "lead_carried"
"""The act that brings a lead whose own acts and touches are pruned."""

MOVED: Final = "lead_moved"
"""The act that says from which customer id a lead came. Nothing follows from it: but what is told of the lead later must say the same."""


class Act(Struct, frozen=True, gc=False, omit_defaults=True):
    """One act. `by` is who did it. Assigned: `owner` (None: nobody was free), `team`, `why` in a sentence, the first touch is due at
    `due_at`, and `timers`. Rejected, recycled, disqualified: the `reason`; recycled: when to look at it again and what to nurture with.
    A deal: its id and stage, its `owner`, the version of it that says so (0: not known), and how far the identifier is trusted by which it
    is the customer's (`streams.core.identify.trust`; 0: nobody named one). A tick says only that its time has come. Carried: the
    `lead` as it was when what led to it was pruned, and whose it was: the customer id `source`. Moved: that alone."""

    by: str = ""
    reason: LeadReason | None = None
    recycle_at: int | None = None
    nurture_with: str | None = None
    owner: str | None = None
    team: str = ""
    why: str = ""
    due_at: int | None = None
    timers: tuple[Timer, ...] = ()
    deal: str = ""
    stage: Stage | None = None
    lead: LeadState | None = None
    version: int = 0
    source: str = ""
    trust: int = 0

    @property
    def place(self) -> int:
        """Of what is said of one deal, the higher one holds: see `place`."""
        return place(self.version, self.trust)


def place(version: int, trust: int = 0) -> int:
    """Whose a deal is, its versions say, and within a version the most trusted identifier that a touch has shown. Beyond the `_HIGHEST`
    version all are alike, so that the number fits into MessagePack's 64 bits."""
    return min(version, _HIGHEST) * _TRUSTS + trust


_TRUSTS = 8  # more than any `trust`
_HIGHEST = (1 << 64) // _TRUSTS - 1

_decoder = msgspec.json.Decoder(Act)


def entry_of(kind: ActKind, id_: str, at: int, act: Act, published_at: int | None = None) -> Entry:
    """The act as an entry; what only it has stands in `label`."""
    label = msgspec.json.encode(act).decode()
    came = at if published_at is None else published_at
    return Entry(at, id_, "", "sales", INTERNAL, kind, came, act.by or None, label=label)


def act_of(entry: Entry) -> Act:
    """Inverse of `entry_of`. Raises msgspec.MsgspecError on an entry that is no act."""
    return _decoder.decode(entry.label or "{}")


def tick(customer: str, at: int) -> Entry:
    """That this moment has come. Whoever says it, and however often: it is one entry."""
    return entry_of("lead_tick", derived_id("tick", customer, at), at, Act())


def carried(customer: str, lead: LeadState, at: int) -> Entry:
    """A lead of this customer on its way to another customer id; the entries that made it are pruned."""
    return entry_of(CARRIED, derived_id("carried", customer, lead.id, at), at, Act(lead=lead, source=customer))


def moved(customer: str, lead: str, at: int) -> Entry:
    """A lead, whatever id it has, was this customer's until now. Going on to a third one it says so anew, by a higher `Entry.version`."""
    return entry_of(MOVED, moved_id(lead), at, Act(source=customer))


def moved_id(lead: str) -> str:
    """Id of the act that says where a lead came from."""
    return derived_id("moved", lead)


def derived_id(*parts: object) -> str:
    """uuid5 of the parts."""
    return str(uuid.uuid5(NAMESPACE, "\x1f".join(("lead", *(str(part) for part in parts)))))
