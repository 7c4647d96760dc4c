"""Commands: what is not a touch but changes a customer's state. The shape of `schemas/command`."""

from __future__ import annotations

from msgspec import Struct

from streams.core.consent import ConsentChange
from streams.core.touch import Touch


class Command(Struct, frozen=True, gc=False, omit_defaults=True):
    """One change of a customer's state, keyed by `customer_id`. `issued_at` is UTC milliseconds.

    Between workers, in `touches.identified`: `customer_merged`, this customer is the same person as `into`, which survives;
    `customer_split`, touches of `identifiers` belong to `into` from now on; `timeline_moved`, `entries` (msgpack, layout in
    `streams.core.entry`) of `source_customer_id` now belong to this customer; `customer_erased`, all that is held of this
    customer goes, and `customer_forgotten`, so does the mark that is left of it; `lead_tick`, something of the customer's lead or plans was
    due by `issued_at`; `touch_planned`, `entries` are planned for this customer (`streams.core.plans`), from outside as a `touch`;
    `consent_changed`, `entries` are records of this customer's consent (`streams.core.consent`), from outside one as a `consent`;
    `rep_loads`, `entries` say how many leads reps have in another partition (`streams.core.leads.loads`).
    `decided_at` is the identity index's clock (us): of two
    decisions the later one holds. From outside, in `commands`: see `FROM_OUTSIDE`. `kind` is open: a reader skips kinds it does
    not know. `cause` tells people what led to it.
    """

    command_id: str
    customer_id: str
    kind: str
    issued_at: int
    cause: str
    into: str | None = None
    source_customer_id: str | None = None
    entries: tuple[bytes, ...] = ()
    decided_at: int = 0
    identifiers: tuple[str, ...] = ()
    finding_id: str | None = None
    requested_by: str | None = None
    lead_id: str | None = None
    reason: str | None = None
    recycle_at: int | None = None
    nurture_with: str | None = None
    deal_id: str | None = None
    deal_stage: str | None = None
    deal_at: int | None = None
    touch: Touch | None = None
    deal_version: int | None = None
    consent: ConsentChange | None = None
    rule: str | None = None
    deal_owner: str | None = None


LEAD_KINDS = frozenset(
    {"lead_accepted", "lead_rejected", "lead_recycled", "lead_disqualified", "lead_qualified", "lead_deal"}
)
"""What sales may say of a lead, and a CRM of its deal: see `streams.core.leads.asked`."""

FROM_OUTSIDE = LEAD_KINDS | {
    "finding_acknowledged", "identity_split", "identity_merge", "customer_erased", "policy_changed", "touch_planned",
    "consent_changed",
}  # fmt: skip
"""What others may ask for: that `requested_by` acts on `finding_id`, a finding of `rule`, of this customer; that the two
`identifiers` are not one person, or are one; that all that is held of the person with the id `customer_id` be erased;
that the policy in `entries` be in force (`streams.core.published`); what sales says of a lead; that `touch` is planned; what the
person of `consent` agreed to."""
