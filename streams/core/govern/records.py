"""What a check is given and what it answers."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from msgspec import Struct, field

from streams.core.consent import Consent, LawfulBasis, Status
from streams.core.entry import Entry
from streams.core.govern.policy import Action
from streams.core.govern.reasons import Reason
from streams.core.outcome import Severity

USUAL_KIND = {"email": "sent", "ads": "impression", "linkedin": "message_sent", "calls": "dialed"}
"""How a contact in a channel begins. An impression reaches nobody in person: it counts towards nothing."""


class Contact(Struct, frozen=True, gc=False):
    """A contact that is planned, reserved, or was made with somebody else of the same company (`customer` says who; "" is the customer
    asked about). `at` is UTC ms. `id` is the touch's or the reservation's. `kind` "" is the usual one of the channel. `offer` is the
    offer's name, `offer_ends` its last day. `approved_by` is who approved it, where a rule requires that."""

    at: int
    channel: str
    department: str
    kind: str = ""
    id: str = ""
    campaign: str | None = None
    category: str | None = None
    sequence: str | None = None
    actor_id: str | None = None
    actor_kind: str | None = None
    priority: int | None = None
    offer: str | None = None
    offer_ends: dt.date | None = None
    approved_by: str | None = None
    customer: str = ""


Reached = Entry | Contact
"""A contact of the past, as the timeline keeps it, or one to come."""


class Agreed(Struct, frozen=True, gc=False, omit_defaults=True):
    """What is known of the customer's consent to a channel ("": every one) and a purpose ("": every one), from `at` until `until` (UTC ms;
    None: until another comes). `proof` is the id of the touch or record that says so, `proof_kind` the touch's kind or "record", `source`,
    `form` and `recorded_by` are as in `streams.core.consent`. `basis` is that of GDPR article 6(1), where somebody said it."""

    channel: str
    purpose: str
    status: Literal["granted", "denied", "withdrawn", "opted_out", "asked"]
    at: int
    proof_kind: str
    proof: str | None = None
    until: int | None = None
    basis: LawfulBasis | None = None
    source: str = ""
    form: str = ""
    recorded_by: str = ""


class Suppression(Struct, frozen=True, gc=False):
    """A line of the do-not-contact list, for the person or the whole account."""

    scope: Literal["person", "account"]
    at: int
    until: int | None = None
    reason: str = ""


class Deal(Struct, frozen=True, gc=False):
    """A deal that sales works on, from `at` until it was closed, or will be for sure."""

    id: str
    at: int
    until: int | None = None
    owner: str = ""


class LeadHeld(Struct, frozen=True, gc=False):
    """A lead that is with sales since `at`: its id and, once somebody has it, the owner."""

    id: str
    at: int
    owner: str = ""


class Standing(Struct, frozen=True):
    """What is known of a customer besides the touches on the timeline. `opt_outs` are those that the touches given do not hold. `held` are
    reserved slots and planned contacts; one whose id is among the touches has been made and is passed over. `planned` are what tools have
    published as plans, in order, withdrawn ones too: `planned.checks` of the policy says what they are to a check. `account_contacts` and
    `account_planned` are what the customer's colleagues got and what is planned for them; they count for rules about the whole account.
    `time_zone`, `country` and `account` are used where no touch gave them."""

    opt_outs: tuple[Entry, ...] = ()
    consents: tuple[Consent, ...] = ()
    do_not_contact: tuple[Suppression, ...] = ()
    owner: str | None = None
    open_deals: tuple[Deal, ...] = ()
    with_sales: LeadHeld | None = None
    account_contacts: tuple[Contact, ...] = ()
    account_planned: tuple[Contact, ...] = ()
    held: tuple[Contact, ...] = ()
    planned: tuple[Entry, ...] = ()
    time_zone: str | None = None
    country: str | None = None
    account: str | None = None
    attributes: dict[str, str] = field(default_factory=dict)


NOTHING = Standing()


class Said(Struct, frozen=True, gc=False):
    """What a record of consent says, and from where: as in `streams.core.consent.Consent`."""

    status: Status
    purpose: str
    source: str
    form: str
    recorded_by: str


class Proof(Struct, frozen=True, gc=False):
    """A touch, reservation, plan or record that a violation rests on; `planned`: it is a plan, and has been made by nobody. `said`: of a
    record of consent."""

    id: str
    at: int
    channel: str = ""
    department: str = ""
    planned: bool = False
    said: Said | None = None


class Violation(Struct, frozen=True, gc=False):
    """A rule that a contact would break. `until`: not before this instant can the rule let it pass (None: never, as things stand).
    `text` is for people."""

    rule: str
    reason: Reason
    action: Action
    severity: Severity
    priority: int
    evidence: tuple[Proof, ...]
    until: int | None
    text: str


class Verdict(Struct, frozen=True):
    """May the contact be made at `at`? `violations` are all rules broken, the one that says what to do (`action`) first; alerts let the
    contact pass. `slots` is the earliest instant at which each channel is free, at or after `at`, None when there is none within
    the horizon; it holds as long as nothing new is known of the customer. `route_to` is who should do it instead.
    `policy` is the policy's version and fingerprint."""

    allowed: bool
    at: int
    action: Action | None
    violations: tuple[Violation, ...]
    slots: dict[str, int | None]
    route_to: str | None
    policy: str
