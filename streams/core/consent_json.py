"""A record of consent as JSON for people: what `POST /v1/consents`, the SDK and `touchstream consent` read.

The names are those of `streams.core.consent.ConsentChange`; times are RFC 3339 text with a time zone, or aware `datetime`; a customer given
as text is a mail address.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, Any, get_args

import msgspec
from msgspec import Meta, Struct

from streams.core import consent
from streams.core.consent import ConsentChange, LawfulBasis, Status
from streams.core.ids import consent_id
from streams.core.mistakes import explained
from streams.core.touch import CHANNELS, Channel
from streams.core.touch import Customer as CustomerValue
from streams.core.touch_check import EARLIEST_MS, IDENTIFIERS, LATEST_MS
from streams.core.touch_json import Customer

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MS = dt.timedelta(milliseconds=1)
_Moment = Annotated[dt.datetime, Meta(tz=True)]


class ConsentError(ValueError):
    """What is no record of consent. The text names the field and what is allowed."""


class _Change(Struct, forbid_unknown_fields=True):
    customer: Customer
    status: Status
    at: _Moment | None = None
    channel: Channel | None = None
    purpose: str = ""
    until: _Moment | None = None
    basis: LawfulBasis | None = None
    source: str = ""
    form: str = ""
    recorded_by: str = ""
    consent_id: str | None = None
    deleted: bool = False


_FIELDS: dict[str, type[Struct]] = {"": _Change, "customer": Customer}
_ALLOWED = {"status": get_args(Status), "channel": CHANNELS, "basis": get_args(LawfulBasis)}


def parse(line: bytes, now: int, recorded_by: str) -> ConsentChange:
    """One JSON object to a record, as `from_mapping`; `recorded_by` is who records what does not say it. Raises ConsentError."""
    try:
        values = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ConsentError(f"not JSON: {error}") from None
    if not isinstance(values, dict):
        raise ConsentError("not a record of consent: expected a JSON object")
    if values.get("recorded_by") is None:
        values["recorded_by"] = recorded_by
    return from_mapping(values, now)


def from_mapping(values: Mapping[str, Any], now: int) -> ConsentChange:
    """A record from a dict of these names; without `at` the customer said it `now` (UTC ms). Without `consent_id` it gets one from its
    content, so that the same said twice is one record.

    Raises:
        ConsentError: anything else.
    """
    given = dict(values)
    if isinstance(given.get("customer"), str):
        given["customer"] = {"email": given["customer"]}
    try:
        read = msgspec.convert(given, _Change)
    except msgspec.ValidationError as error:
        told = explained(str(error), "record of consent", _FIELDS, _ALLOWED, {"at", "until"})
        raise ConsentError(told) from None
    except (UnicodeError, RecursionError) as error:
        raise ConsentError(f"not a record of consent: {error}") from None
    if not any((getattr(read.customer, name) or "").strip() for name in IDENTIFIERS):
        raise ConsentError(f"customer: needs at least one of {', '.join(IDENTIFIERS)}")
    if read.deleted and read.consent_id is None:
        raise ConsentError("consent_id: missing; what is taken back must be named")
    who: tuple[Any, ...] = msgspec.structs.astuple(read.customer)
    change = ConsentChange(
        read.consent_id or "-", CustomerValue(*who), read.status, now if read.at is None else _ms("at", read.at), read.channel or "",
        read.purpose, None if read.until is None else _ms("until", read.until), read.basis, read.source, read.form, read.recorded_by,
        read.deleted,
    )  # fmt: skip
    wrong = consent.problem(change)
    if wrong is not None:
        raise ConsentError(wrong)
    if read.consent_id is None:
        content = msgspec.json.encode(msgspec.structs.replace(change, consent_id=""), order="sorted")
        change = msgspec.structs.replace(change, consent_id=consent_id(content.decode()))
    return change


def _ms(path: str, moment: dt.datetime) -> int:
    at = (moment - _EPOCH) // _MS
    if not EARLIEST_MS <= at <= LATEST_MS:
        raise ConsentError(f"{path}: lies before the year 2000; is it a default?")
    return at
