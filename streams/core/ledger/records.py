"""Deals, costs and lead events as JSON for people, one object a line; names as in `streams.core.ledger.types`. Conflicts come as
`touchstream backtest` and `touchstream tail conflicts --json` print them (`streams.core.finding_json`).

Times are RFC 3339 text with a time zone, days are "2026-07-01", amounts JSON numbers or text, kept exactly:

    {"deal_id": "opp-1", "customer": {"email": "dana@example.com"}, "stage": "won", "amount": {"amount": 200000, "currency": "EUR"},
     "opened_at": "2026-07-08T08:40:00Z", "closed_at": "2026-08-25T12:00:00Z", "owner": "jokafor"}
    {"cost_id": "ads-7", "department": "marketing", "kind": "ad_spend", "channel": "ads", "first_day": "2026-07-01",
     "last_day": "2026-07-31", "amount": {"amount": 20000, "currency": "EUR"}}
    {"customer": {"email": "dana@example.com"}, "at": "2026-07-07T10:00:00Z", "state": "rejected", "reason": "not_icp"}
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from streams.core.ledger import money
from streams.core.ledger.period import date_of, day_number
from streams.core.ledger.types import (
    DAY_MS,
    LONGEST_DAYS,
    Cost,
    CostKind,
    Deal,
    LeadEvent,
    LeadReason,
    LeadState,
    Stage,
)
from streams.core.outcome import Evidence, Finding, FindingState
from streams.core.touch import Channel, Department, Money
from streams.core.touch import Customer as CustomerValue
from streams.core.touch_check import EARLIEST_MS, IDENTIFIERS, LATEST_MS

T = TypeVar("T")

MAX_ID = 200
Id = Annotated[str, Meta(min_length=1, max_length=MAX_ID)]
Short = Annotated[str, Meta(max_length=256)]
Version = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Time = Annotated[dt.datetime, Meta(tz=True)]

_AMOUNT = re.compile(r"-?\d{1,19}(?:\.\d{1,18})?", re.ASCII)
_CURRENCY = re.compile("[A-Z]{3}")
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MS = dt.timedelta(milliseconds=1)


class RecordError(ValueError):
    """A line that is no record of its kind; the text names the field and what is allowed."""


class _Money(Struct, forbid_unknown_fields=True):
    amount: Decimal
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")]


class _Customer(Struct, forbid_unknown_fields=True):
    email: Short | None = None
    phone: Short | None = None
    linkedin_url: Annotated[str, Meta(max_length=2048)] | None = None
    crm_id: Short | None = None
    click_id: Short | None = None
    name: Short | None = None
    time_zone: Short | None = None
    country: Short | None = None


# A CRM knows no cookies.
_IDENTIFIERS = tuple(name for name in IDENTIFIERS if name in _Customer.__struct_fields__)


class _Deal(Struct, forbid_unknown_fields=True):
    deal_id: Id
    customer: _Customer
    stage: Stage
    opened_at: Time
    closed_at: Time | None = None
    amount: _Money | None = None
    owner: Short | None = None
    version: Version = 1
    deleted: bool = False


class _Cost(Struct, forbid_unknown_fields=True):
    cost_id: Id
    department: Department
    kind: CostKind
    first_day: dt.date
    last_day: dt.date
    amount: _Money
    channel: Channel | None = None
    campaign: Short | None = None
    rep: Short | None = None
    version: Version = 1
    deleted: bool = False


class _LeadEvent(Struct, forbid_unknown_fields=True):
    customer: _Customer
    at: Time
    state: LeadState
    reason: LeadReason | None = None


class _Proof(Struct):
    touch_id: Id
    occurred_at: Time
    channel: Channel
    department: Department


class _Finding(Struct):
    finding: Literal["conflict", "handoff"]
    rule: str
    finding_id: Id
    event_time: Time
    state: FindingState
    revision: int
    withdrawn: bool = False
    evidence: tuple[_Proof, ...] = ()


_findings = msgspec.json.Decoder(_Finding)
_deals = msgspec.json.Decoder(_Deal)
_costs = msgspec.json.Decoder(_Cost)
_leads = msgspec.json.Decoder(_LeadEvent)


def deal(line: bytes | Mapping[str, Any]) -> Deal:
    """A deal, from a line or its values. Raises RecordError; a won or lost deal needs `closed_at`, a won one an amount."""
    read = _decoded(_deals, line, "deal")
    made = Deal(
        read.deal_id,
        _customer(read.customer),
        read.stage,
        _ms("opened_at", read.opened_at),
        None if read.closed_at is None else _ms("closed_at", read.closed_at),
        None if read.amount is None else _money(read.amount),
        read.owner,
        read.version,
        read.deleted,
    )
    check_deal(made)
    return made


def cost(line: bytes | Mapping[str, Any]) -> Cost:
    """A cost, from a line or its values. Raises RecordError."""
    read = _decoded(_costs, line, "cost")
    made = Cost(
        read.cost_id,
        read.department,
        read.kind,
        day_number(read.first_day),
        day_number(read.last_day),
        _money(read.amount),
        read.channel,
        read.campaign,
        read.rep,
        read.version,
        read.deleted,
    )
    check_cost(made)
    return made


def lead_event(line: bytes) -> LeadEvent:
    """A change of a lead's state. Raises RecordError."""
    read = _decoded(_leads, line, "lead event")
    return LeadEvent(_customer(read.customer), _ms("at", read.at), read.state, read.reason)


def finding(line: bytes) -> Finding:
    """A conflict or a hand-off, with what the ledger needs of it only. Raises RecordError."""
    read = _decoded(_findings, line, "finding")
    return Finding(
        read.finding, read.rule, 1, read.finding_id, read.revision, read.state, "", None,
        tuple(proof.touch_id for proof in read.evidence), _ms("event_time", read.event_time), "low", "",
        tuple(Evidence("", one.touch_id, _ms("evidence.occurred_at", one.occurred_at), one.channel, one.department, "")
              for one in read.evidence),
        withdrawn=read.withdrawn,
    )  # fmt: skip


def check_deal(deal: Deal, published: int | None = None) -> None:
    """Refuses what no deal can be, wherever it came from. `published` is when it was (UTC ms), if that is known. Raises RecordError."""
    _check_id("deal_id", deal.deal_id, deal.version)
    if not any((getattr(deal.customer, name) or "").strip() for name in _IDENTIFIERS):
        raise RecordError(f"customer: needs at least one of {', '.join(_IDENTIFIERS)}")
    for path, at in (("opened_at", deal.opened_at), ("closed_at", deal.closed_at)):
        if at is not None and not EARLIEST_MS <= at <= LATEST_MS:
            raise RecordError(f"{path}: lies before the year 2000; is it a default?")
        if at is not None and not deal.deleted:
            _check_ahead(path, at, published)
    if deal.stage in ("won", "lost") and deal.closed_at is None:
        raise RecordError(f"closed_at: missing, but a deal that is {deal.stage} was closed at some time")
    if deal.stage not in ("won", "lost") and deal.closed_at is not None:
        raise RecordError(f"closed_at: a deal in the stage {deal.stage} is not closed; is the stage right?")
    if deal.stage == "won" and deal.amount is None:
        raise RecordError("amount: missing, but a deal that is won has one")
    if deal.amount is not None:
        _check_money(deal.amount)


def check_cost(cost: Cost, published: int | None = None) -> None:
    """Refuses what no cost can be, wherever it came from. `published` is when it was (UTC ms), if that is known. Raises RecordError."""
    _check_id("cost_id", cost.cost_id, cost.version)
    for path, day in (("first_day", cost.first_day), ("last_day", cost.last_day)):
        if not EARLIEST_MS <= day * DAY_MS <= LATEST_MS:
            raise RecordError(f"{path}: lies outside the years 2000 to 9999; is it a default?")
        if not cost.deleted:  # what an older release took can be withdrawn
            _check_ahead(path, day * DAY_MS, published)
    if cost.last_day < cost.first_day:
        raise RecordError(f"last_day: {date_of(cost.last_day)} lies before first_day, {date_of(cost.first_day)}")
    if cost.last_day - cost.first_day >= LONGEST_DAYS and not cost.deleted:
        raise RecordError(
            f"last_day: {date_of(cost.last_day)} lies more than ten years behind first_day, {date_of(cost.first_day)}; is it a default?"
        )
    _check_money(cost.amount)


def _check_ahead(path: str, at: int, published: int | None) -> None:
    # Kafka gives -1 for a record without a time.
    if published is not None and published > 0 and at > published + LONGEST_DAYS * DAY_MS:
        raise RecordError(
            f"{path}: {date_of(at // DAY_MS)} lies more than ten years ahead of the record's publication; is it a default?"
        )


def _check_id(path: str, id_: str, version: int) -> None:
    if not id_.strip() or len(id_) > MAX_ID:
        raise RecordError(f"{path}: expected 1 to {MAX_ID} characters")
    if version < 1:
        raise RecordError(f"version: {version} is below 1")


def _check_money(amount: Money) -> None:
    if not _AMOUNT.fullmatch(amount.amount) or not _CURRENCY.fullmatch(amount.currency):
        raise RecordError(
            f"amount: {amount.amount[:40]!r} {amount.currency[:10]!r} is no decimal number such as 49.90 with a code such as EUR"
        )
    try:
        money.minor(amount)
    except money.MoneyError as error:
        raise RecordError(f"amount.amount: {error}") from None


def _decoded(decoder: msgspec.json.Decoder[T], line: bytes | Mapping[str, Any], what: str) -> T:
    try:
        if isinstance(line, Mapping):
            line = msgspec.json.encode(line)
        return decoder.decode(line.removeprefix(b"\xef\xbb\xbf"))
    except msgspec.ValidationError as error:
        problem, _, path = str(error).partition(" - at `$")
        where = path.rstrip("`").lstrip(".")
        raise RecordError(f"{where}: {problem}" if where else f"not a {what}: {problem}") from None
    except (msgspec.MsgspecError, UnicodeError, RecursionError, TypeError) as error:
        raise RecordError(f"not JSON: {error}") from None


def _customer(read: _Customer) -> CustomerValue:
    if not any((getattr(read, name) or "").strip() for name in _IDENTIFIERS):
        raise RecordError(f"customer: needs at least one of {', '.join(_IDENTIFIERS)}")
    values: tuple[Any, ...] = msgspec.structs.astuple(read)
    return CustomerValue(*values)


def _money(read: _Money) -> Money:
    exponent = read.amount.as_tuple().exponent
    if not isinstance(exponent, int) or not -12 <= exponent <= 18 or read.amount.adjusted() > 18:
        raise RecordError("amount.amount: expected a decimal number such as 49.90 (at most 18 digits before the point)")
    return Money(format(read.amount, "f"), read.currency)


def _ms(path: str, moment: dt.datetime) -> int:
    at = (moment - _EPOCH) // _MS
    if not EARLIEST_MS <= at <= LATEST_MS:
        raise RecordError(f"{path}: lies before the year 2000; is it a default?")
    return at
