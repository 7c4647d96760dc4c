"""The vocabulary: what a touch is.

A *touch* is one contact, or one reaction to a contact, between a department of ours and a customer, in one channel. `Touch` is
the shape people write (JSON, SDK, CLI) and the shape on the wire (Avro `schemas/touch/v1.avsc`): same names, same nesting.
`IdentifiedTouch` is a touch after the identify stage: it knows its customer and what its message claims.
Times are UTC, in milliseconds since 1970 (`..._ms` or Avro `timestamp-millis`); JSON for people has RFC 3339 strings.
"""

from __future__ import annotations

from typing import Literal, get_args

from msgspec import Struct

Channel = Literal["email", "ads", "linkedin", "calls"]
Department = Literal["marketing", "sales", "service"]
Direction = Literal["outbound", "inbound"]
Kind = Literal[
    "sent", "delivered", "opened", "clicked", "replied", "bounced", "unsubscribed", "complained",
    "impression", "ad_click", "lead_form",
    "message_sent", "connection_request", "profile_view",
    "dialed", "answered", "voicemail", "no_answer", "meeting",
]  # fmt: skip
ActorKind = Literal["person", "automation"]
ClaimKind = Literal["price", "discount", "deadline", "offer"]

CHANNELS: tuple[str, ...] = get_args(Channel)
DEPARTMENTS: tuple[str, ...] = get_args(Department)
KINDS: tuple[str, ...] = get_args(Kind)

CONTACT_KINDS = frozenset({"sent", "message_sent", "connection_request", "dialed", "answered", "voicemail"})
"""Kinds that reach the customer when outbound. Deliveries, opens, impressions and bounces are reports about a contact,
not contacts; `no_answer` rang unanswered and its `dialed` already stands for the call."""

CALL_KINDS = frozenset({"dialed", "answered", "voicemail"})
"""Kinds that are phases of one call; `timeline.contacts` joins them."""

OPT_OUT_KINDS = frozenset({"unsubscribed", "complained"})
"""Kinds after which the customer no longer wants to hear from us in that channel."""


class Money(Struct, frozen=True, gc=False, omit_defaults=True):
    """An amount of money. `amount` is a decimal written as text ("49.90"), `currency` an ISO 4217 code ("EUR")."""

    amount: str
    currency: str


class Customer(Struct, frozen=True, gc=False, omit_defaults=True):
    """How the source knows the customer, as the source wrote it (not normalised). At least one identifier is needed.

    `time_zone` is an IANA name ("Europe/Berlin"), `country` an ISO 3166 code ("DE"). `email_verified` false: nobody has confirmed
    the address.
    """

    email: str | None = None
    phone: str | None = None
    linkedin_url: str | None = None
    crm_id: str | None = None
    click_id: str | None = None
    name: str | None = None
    time_zone: str | None = None
    country: str | None = None
    cookie_id: str | None = None
    email_verified: bool | None = None


class Account(Struct, frozen=True, gc=False, omit_defaults=True):
    """The company the customer belongs to."""

    id: str | None = None
    domain: str | None = None

    @property
    def name(self) -> str | None:
        """What the company goes by: its id, or the domain where there is none."""
        return self.id or self.domain


class Actor(Struct, frozen=True, gc=False, omit_defaults=True):
    """Who acted for us. `kind` is "person" (a rep) or "automation" (a campaign, a sequence step, a bot)."""

    id: str
    name: str | None = None
    kind: ActorKind = "person"


class Message(Struct, frozen=True, gc=False, omit_defaults=True):
    """What the customer was told. `offer` is the offer's name, `product` the product or plan that `price` is for."""

    subject: str | None = None
    text: str | None = None
    offer: str | None = None
    product: str | None = None
    price: Money | None = None
    url: str | None = None


class Touch(Struct, frozen=True, gc=False, omit_defaults=True):
    """One contact or reaction, validated. `occurred_at` is event time in UTC milliseconds.

    `touch_id` is unique per source event: the producer's own id, else derived from the provider's event id
    (`streams.core.ids.touch_id`). `interaction_id` ties the phases of one interaction together (a call's dialed, answered,
    voicemail); without it the phases are joined by actor and nearness in time. Of several records with one `touch_id` the one with
    the highest `version` is the truth; `deleted` says that the touch must not count any more. `category`, `priority` and `sequence` are
    the sender's, as they were when the message was sent.
    """

    touch_id: str
    channel: Channel
    department: Department
    direction: Direction
    kind: Kind
    occurred_at: int
    customer: Customer
    account: Account | None = None
    actor: Actor | None = None
    campaign: str | None = None
    message: Message | None = None
    cost: Money | None = None
    source: str | None = None
    interaction_id: str | None = None
    version: int = 1
    deleted: bool = False
    category: str | None = None
    priority: int | None = None
    sequence: str | None = None


class Claim(Struct, frozen=True, gc=False, array_like=True):
    """One checkable statement of a message: "Pro plan costs 49 EUR a month".

    `subject` is the product or plan it is about in normal form ("pro"), or "" when the message names none.
    `value` is the normal form compared for equality within a kind (price "49 EUR/month", discount "20%" or "15 EUR", deadline
    "2026-03-31", offer "spring offer"). `quote` is the customer's view: the words as written, at most 160 characters.
    """

    kind: ClaimKind
    subject: str
    value: str
    quote: str


class Origin(Struct, frozen=True, gc=False):
    """Where a record stood in Kafka: the address printed in dead letters and evidence."""

    topic: str
    partition: int
    offset: int


class IdentifiedTouch(Struct, frozen=True, gc=False):
    """A touch of a known customer. `customer_id` is pseudonymous (`streams.core.identify`); `published_at` is when the
    producer handed the touch to Kafka (UTC ms), the start of the end-to-end latency. `identifier` is the pseudonymous id of the
    touch's own strongest identifier, empty when it is the customer id; `resolved_at` is the identity index's clock at the look-up (us;
    0 when it was not asked)."""

    customer_id: str
    touch: Touch
    claims: tuple[Claim, ...]
    published_at: int
    origin: Origin | None = None
    identifier: str = ""
    resolved_at: int = 0
