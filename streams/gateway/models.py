"""What the gateway is asked and what it answers: the JSON, from which FastAPI makes /openapi.json. Times are RFC 3339 with a zone."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from streams.core.consent import Consent, LawfulBasis, Status
from streams.core.govern.records import NOTHING, Contact, Deal, Standing, Suppression
from streams.core.reservation import Reservation
from streams.core.touch import Channel, Customer, Department, Kind
from streams.core.touch_json import rfc3339
from streams.gateway.gate import Answer

Text = Annotated[str, Field(min_length=1, max_length=512)]
Short = Annotated[str, Field(max_length=512)]
Id = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[!-~]+$")]
Country = Annotated[
    str, Field(pattern="^[A-Za-z]{2}$", description="ISO 3166, two letters."), AfterValidator(str.upper)
]
EARLIEST, LATEST = dt.datetime(2000, 1, 1, tzinfo=dt.UTC), dt.datetime(2100, 1, 1, tzinfo=dt.UTC)
Moment = Annotated[AwareDatetime, Field(ge=EARLIEST, le=LATEST)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CustomerIn(_Strict):
    """Who: at least one identifier."""

    email: Text | None = None
    phone: Text | None = None
    linkedin_url: Text | None = None
    crm_id: Text | None = None
    click_id: Text | None = None
    cookie_id: Text | None = None
    email_verified: bool | None = None


class DealIn(_Strict):
    """A deal that sales works on."""

    id: Text
    since: Moment
    until: Moment | None = None
    owner: str = Field("", max_length=512)


class ConsentIn(_Strict):
    """One record of consent. Without a channel or a purpose it is for all of them. `id` is the record's in your system, and is the evidence
    of an answer that rests on it; `basis` is that of GDPR article 6(1)."""

    status: Status
    at: Moment
    channel: Channel | None = None
    purpose: str = Field("", max_length=512)
    until: Moment | None = None
    source: str = Field("", max_length=512)
    basis: LawfulBasis | None = None
    id: str = Field("", max_length=512)


class SuppressionIn(_Strict):
    """A line of the do-not-contact list."""

    scope: Literal["person", "account"]
    at: Moment
    until: Moment | None = None
    reason: str = Field("", max_length=512)


class StandingIn(_Strict):
    """What you know of the customer that no touch says. `account` is the company's id as your touches give it, or its domain where they
    give none: contacts with its other people count towards rules for the whole account. Left out, it is the company that the customer's
    newest touch names."""

    account: Text | None = None
    owner: Text | None = None
    time_zone: Text | None = None
    country: Country | None = None
    attributes: dict[Short, Short] = Field(default_factory=dict, max_length=50)
    open_deals: list[DealIn] = Field(default_factory=list, max_length=50)
    consents: list[ConsentIn] = Field(default_factory=list, max_length=200)
    do_not_contact: list[SuppressionIn] = Field(default_factory=list, max_length=50)


NO_STANDING = StandingIn()


class CheckIn(_Strict):
    """May this contact be made? Without `at`: now. `ref` comes back in the answer."""

    customer: CustomerIn
    channel: Channel
    department: Department
    at: Moment | None = None
    kind: Kind | None = None
    campaign: Text | None = None
    category: Text | None = None
    sequence: Text | None = None
    actor_id: Text | None = None
    actor_kind: Literal["person", "automation", "unknown"] | None = None
    priority: Annotated[int, Field(ge=0, le=100)] | None = None
    offer: Text | None = None
    offer_ends: dt.date | None = None
    approved_by: Text | None = None
    touch_id: Id | None = Field(
        None, description="Id that the touch will have, so that its own reservation does not hinder it."
    )
    standing: StandingIn = Field(default_factory=lambda: NO_STANDING)  # a default would be copied deeply each time
    ref: str | None = Field(None, max_length=200)


class ReserveIn(CheckIn):
    """The same, and hold the slot until it is committed, for `hold_seconds` at most."""

    hold_seconds: float = Field(900, ge=1, le=7 * 86_400)


class CommitIn(_Strict):
    """`touch_id`, if the touch will have another one than the reservation said."""

    touch_id: Id | None = None


class SaidOut(BaseModel):
    """What a record of consent says: with its purpose ("": every one), the system where it was said, the text or form with its version, and
    who recorded it, as far as whoever published it told."""

    status: Status
    purpose: str
    source: str
    form: str
    recorded_by: str


class ProofOut(BaseModel):
    """A touch, reservation, plan or record that a violation rests on. `planned`: it is a tool's plan, and was not made yet. `said`: of a
    record of consent, null of all else."""

    id: str
    at: str
    channel: str
    department: str
    planned: bool
    said: SaidOut | None


class ViolationOut(BaseModel):
    """A rule that the contact would break. `until`: not before then can this rule let it pass; null: never, as things stand."""

    rule: str
    reason: str
    action: str
    severity: str
    priority: int
    text: str
    until: str | None
    evidence: list[ProofOut]


class PolicyOut(BaseModel):
    version: str
    fingerprint: str


class ViewOut(BaseModel):
    """How fresh what the check saw is: seconds and records behind, of the part that is furthest behind."""

    age_seconds: float
    lag_records: int


class DegradedOut(BaseModel):
    """What the check could not see, and what it answered for that."""

    gaps: list[str]
    answered: Literal["fail_closed", "fail_open"]


class CheckOut(BaseModel):
    """`violations` are all rules broken, alerts included; `slots` the earliest free moment by channel, null when there is none in reach."""

    allowed: bool
    at: str
    action: str | None
    violations: list[ViolationOut]
    slots: dict[str, str | None]
    route_to: str | None
    customer_id: str
    policy: PolicyOut
    view: ViewOut | None
    degraded: DegradedOut | None
    ref: str | None


class ReservationOut(BaseModel):
    reservation_id: str
    state: Literal["held", "committed", "released"]
    touch_id: str
    customer_id: str
    channel: str
    department: str
    at: str
    expires_at: str


class ReserveOut(BaseModel):
    """`reservation` is null when the contact is not allowed."""

    reservation: ReservationOut | None
    check: CheckOut


class ConsentChangeIn(_Strict):
    """What a customer agreed to, or did not, with its proof. Without a channel or a purpose it is for all of them; without `at` it was said
    now. `source` is the system where it was said, `form` the text or form with its version, `recorded_by` who recorded it: without it, the
    name of the token. `consent_id` is the record's in your system, else it gets one from its content; a record published again under its
    id takes the place of the former one, and with `deleted` it counts for nothing."""

    customer: CustomerIn
    status: Status
    source: Text
    at: Moment | None = None
    channel: Channel | None = None
    purpose: Short = ""
    until: Moment | None = None
    basis: LawfulBasis | None = None
    form: Short = ""
    recorded_by: Text | None = None
    consent_id: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    deleted: bool = False


class RecordedOut(BaseModel):
    """Where the record of consent stands in Kafka."""

    topic: str
    partition: int
    offset: int
    consent_id: str


class SentOut(BaseModel):
    """Where the touch stands in Kafka."""

    topic: str
    partition: int
    offset: int
    touch_id: str


class ProblemOut(BaseModel):
    """RFC 9457."""

    model_config = ConfigDict(extra="allow")
    type: str
    title: str
    status: int
    detail: str
    request_id: str


def customer_of(asked: CheckIn) -> Customer:
    """Whom the request means."""
    return Customer(**asked.customer.__dict__, time_zone=asked.standing.time_zone, country=asked.standing.country)


def contact_of(asked: CheckIn, now: int) -> Contact:
    """The contact that the request plans."""
    a = asked
    return Contact(
        now if a.at is None else _ms(a.at), a.channel, a.department, a.kind or "", a.touch_id or "", a.campaign, a.category,
        a.sequence, a.actor_id, a.actor_kind, a.priority, a.offer, a.offer_ends, a.approved_by,
    )  # fmt: skip


def standing_of(s: StandingIn) -> Standing:
    """What somebody says of a customer."""
    if s is NO_STANDING:
        return NOTHING
    return Standing(
        consents=tuple(
            Consent(
                one.status, _ms(one.at), one.channel or "", one.purpose, _end(one.until), one.source, one.basis, one.id
            )
            for one in s.consents
        ),
        do_not_contact=tuple(
            Suppression(one.scope, _ms(one.at), _end(one.until), one.reason) for one in s.do_not_contact
        ),
        owner=s.owner,
        open_deals=tuple(Deal(one.id, _ms(one.since), _end(one.until), one.owner) for one in s.open_deals),
        time_zone=s.time_zone,
        country=s.country,
        account=s.account,
        attributes=dict(s.attributes),
    )


def check_out(answer: Answer, now: int, ref: str | None) -> dict[str, Any]:
    """The members of `CheckOut`."""
    verdict, seen = answer.verdict, answer.seen
    fresh = seen.freshness
    return {
        "allowed": answer.allowed,
        "at": rfc3339(verdict.at),
        "action": verdict.action,
        "violations": [
            {
                "rule": one.rule,
                "reason": str(one.reason),
                "action": one.action,
                "severity": one.severity,
                "priority": one.priority,
                "text": one.text,
                "until": _text(one.until),
                "evidence": [
                    {
                        "id": p.id,
                        "at": rfc3339(p.at),
                        "channel": p.channel,
                        "department": p.department,
                        "planned": p.planned,
                        "said": p.said,
                    }
                    for p in one.evidence
                ],
            }
            for one in verdict.violations
        ],
        "slots": {channel: _text(at) for channel, at in verdict.slots.items()},
        "route_to": verdict.route_to,
        "customer_id": seen.person.customer_id,
        "policy": {"version": answer.rules.version, "fingerprint": answer.rules.fingerprint},
        "view": None
        if fresh is None
        else {"age_seconds": max(0.0, (now - fresh.fresh_at) / 1000), "lag_records": fresh.lag},
        "degraded": {"gaps": list(seen.gaps), "answered": answer.rules.degraded} if seen.gaps else None,
        "ref": ref,
    }


def reservation_out(one: Reservation) -> dict[str, Any]:
    """The members of `ReservationOut`."""
    return {
        "reservation_id": one.reservation_id,
        "state": one.state,
        "touch_id": one.touch_id,
        "customer_id": one.customer_id,
        "channel": one.channel,
        "department": one.department,
        "at": rfc3339(one.at),
        "expires_at": rfc3339(one.expires_at),
    }


def _ms(moment: dt.datetime) -> int:
    return int(moment.timestamp() * 1000)


def _end(moment: dt.datetime | None) -> int | None:
    return None if moment is None else _ms(moment)


def _text(at: int | None) -> str | None:
    return None if at is None else rfc3339(at)
