"""A touch as JSON for people: what `touchstream send`, the SDK and `touchstream backtest` read, and `tail` prints.

The names are those of `streams.core.touch.Touch`. Times are RFC 3339 text with a time zone ("2026-03-02T09:12:00Z");
amounts of money are JSON numbers or text and are kept exactly; a touch without `touch_id` gets one derived from its
content, so the same line sent twice is one touch.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, NoReturn

import msgspec
from msgspec import Meta, Struct

from streams.core.ids import touch_id as derive_id
from streams.core.mistakes import explained
from streams.core.touch import CHANNELS, DEPARTMENTS, KINDS, ActorKind, Channel, Department, Direction, Kind
from streams.core.touch import Account as AccountValue
from streams.core.touch import Actor as ActorValue
from streams.core.touch import Customer as CustomerValue
from streams.core.touch import Message as MessageValue
from streams.core.touch import Money as MoneyValue
from streams.core.touch import Touch as TouchValue
from streams.core.touch_check import ACTOR_KINDS, DIRECTIONS, LATEST_MS, TouchError, check

__all__ = ["TouchError", "check", "from_mapping", "parse", "rfc3339", "to_json"]

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_IN_UTC = _EPOCH.replace(tzinfo=None)
_MS = dt.timedelta(milliseconds=1)
_YEAR_1_MS = -62_135_596_800_000

# The strict twins of the classes in streams.core.touch. Those stay lenient for the evolution of the wire's schema;
# here a name we do not know is a typing mistake.


class Money(Struct, forbid_unknown_fields=True):
    amount: Decimal
    currency: str


class Customer(Struct, forbid_unknown_fields=True):
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


class Account(Struct, forbid_unknown_fields=True):
    id: str | None = None
    domain: str | None = None


class Actor(Struct, forbid_unknown_fields=True):
    id: str
    name: str | None = None
    kind: ActorKind = "person"


class Message(Struct, forbid_unknown_fields=True):
    subject: str | None = None
    text: str | None = None
    offer: str | None = None
    product: str | None = None
    price: Money | None = None
    url: str | None = None


class Touch(Struct, forbid_unknown_fields=True):
    channel: Channel
    department: Department
    direction: Direction
    kind: Kind
    occurred_at: Annotated[dt.datetime, Meta(tz=True)]
    customer: Customer
    touch_id: str | None = None
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


_ALLOWED = {
    "channel": CHANNELS,
    "department": DEPARTMENTS,
    "direction": DIRECTIONS,
    "kind": KINDS,
    "actor.kind": ACTOR_KINDS,
}
_FIELDS: dict[str, type[Struct]] = {
    "": Touch,
    "customer": Customer,
    "account": Account,
    "actor": Actor,
    "message": Message,
    "message.price": Money,
    "cost": Money,
}


def parse(line: bytes | str) -> TouchValue:
    """One JSON object to a touch that passed `check`. White space and a byte order mark around it are ignored.

    Raises:
        TouchError: anything else; the text names the field path and what is allowed.
    """
    try:
        text = line.decode("utf-8-sig") if isinstance(line, bytes) else line.removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise TouchError(f"byte {error.start + 1} is not UTF-8 text; save the file as UTF-8") from None
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_float=Decimal, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise TouchError(f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise TouchError("not a touch: nested too deeply") from None
    except TouchError:
        raise
    except ValueError:  # the interpreter refuses to read integers of thousands of digits
        raise TouchError("a number has too many digits") from None
    return _touch(value)


def from_mapping(values: Mapping[str, Any]) -> TouchValue:
    """A touch from a dict of the same names. `occurred_at` may also be an aware `datetime`, amounts `Decimal` or `int`.

    Raises:
        TouchError: as `parse`.
    """
    if not isinstance(values, Mapping):
        raise TouchError(f"not a touch: expected a Touch or a dict, got {type(values).__name__}")
    try:
        return _touch(dict(values))
    except RecursionError:
        raise TouchError("not a touch: nested too deeply") from None


def to_json(touch: TouchValue) -> bytes:
    """A touch as one line of compact JSON without a line end; `parse` gives back an equal touch.

    Unset fields are left out.
    """
    values = _plain(touch)
    values["occurred_at"] = rfc3339(touch.occurred_at)
    return msgspec.json.encode(values)


def rfc3339(ms: int) -> str:
    """UTC milliseconds as RFC 3339 text: "2026-03-02T09:12:00Z", with ".123" only when there is a fraction.

    A time that RFC 3339 cannot write (outside the years 1 to 9999) is given as its number: "@253402300800000ms".
    """
    if not _YEAR_1_MS <= ms <= LATEST_MS:
        return f"@{ms}ms"
    moment = _IN_UTC + dt.timedelta(0, ms // 1000, ms % 1000 * 1000)
    text = moment.isoformat(timespec="milliseconds" if ms % 1000 else "seconds")
    return f"{text}Z"


def _touch(value: object) -> TouchValue:
    try:
        read = msgspec.convert(value, Touch)
    except msgspec.ValidationError as error:
        raise TouchError(explained(str(error), "touch", _FIELDS, _ALLOWED, {"occurred_at"})) from None
    except UnicodeEncodeError:  # msgspec compares names as UTF-8
        raise TouchError("a field name holds half of a surrogate pair, which is not Unicode text") from None
    touch = TouchValue(
        touch_id="" if read.touch_id is None else read.touch_id,
        channel=read.channel,
        department=read.department,
        direction=read.direction,
        kind=read.kind,
        occurred_at=(read.occurred_at - _EPOCH) // _MS,
        customer=CustomerValue(*_values(read.customer)),
        account=None if read.account is None else AccountValue(*_values(read.account)),
        actor=None if read.actor is None else ActorValue(*_values(read.actor)),
        campaign=read.campaign,
        message=None if read.message is None else _message(read.message),
        cost=None if read.cost is None else _money(read.cost, "cost"),
        source=read.source,
        interaction_id=read.interaction_id,
        version=read.version,
        deleted=read.deleted,
        category=read.category,
        priority=read.priority,
        sequence=read.sequence,
    )
    if read.touch_id is None:
        if touch.deleted or touch.version != 1:
            raise TouchError("touch_id: missing; a correction or deletion must name the touch that it is about")
        # Stands in for the real id so that the content is checked (and known to be text) before it is hashed.
        check(msgspec.structs.replace(touch, touch_id="-"))
        return msgspec.structs.replace(touch, touch_id=derive_id(touch.source or "json", _canonical(touch)))
    check(touch)
    return touch


def _canonical(touch: TouchValue) -> str:
    """Content in one form whatever the order of its fields. Unset fields are left out: a new one keeps old ids."""
    return msgspec.json.encode(_plain(touch), order="sorted").decode()


def _plain(touch: TouchValue) -> dict[str, Any]:
    values: dict[str, Any] = msgspec.to_builtins(touch)
    if touch.actor is not None:
        # msgspec leaves a default out by identity, not by value: "person" as read from a file is another object.
        values["actor"]["kind"] = touch.actor.kind
    return values


def _message(read: Message) -> MessageValue:
    price = None if read.price is None else _money(read.price, "message.price")
    return MessageValue(read.subject, read.text, read.offer, read.product, price, read.url)


def _money(read: Money, path: str) -> MoneyValue:
    # The bound comes before the text: 1e999999999 would be a text of a gigabyte.
    exponent = read.amount.as_tuple().exponent
    if not isinstance(exponent, int) or not -12 <= exponent <= 18 or read.amount.adjusted() > 18:
        raise TouchError(
            f"{path}.amount: expected a decimal number such as 49.90 (at most 18 digits before and 12 behind the point)"
        )
    return MoneyValue(format(read.amount, "f"), read.currency.strip().upper())


def _values(record: Struct) -> tuple[Any, ...]:
    return tuple(getattr(record, name) for name in record.__struct_fields__)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise TouchError(f"{twice[:80]!r} stands twice in one object; which one is meant?")
    return values


def _no_constant(name: str) -> NoReturn:
    raise TouchError(f"{name} is not a JSON number")
