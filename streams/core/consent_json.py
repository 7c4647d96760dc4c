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
from streams.core.policy import MINUTE_MS, Policy
from streams.core.touch import CHANNELS, Channel
from streams.core.touch import Customer as CustomerValue
from streams.core.touch_check import EARLIEST_MS, IDENTIFIERS, LATEST_MS
from streams.core.touch_json import Customer, rfc3339

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MS = dt.timedelta(milliseconds=1)
AHEAD_MS = Policy().touch.future_ms
"""By how much clocks may differ, for whoever does not know the policy in force. Workers go by that one."""

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


COLUMNS = (*IDENTIFIERS, *(name for name in _Change.__struct_fields__ if name != "customer"))
"""Of a table of records."""

_FIELDS: dict[str, type[Struct]] = {"": _Change, "customer": Customer}
_ALLOWED = {"status": get_args(Status), "channel": CHANNELS, "basis": get_args(LawfulBasis)}


def parse(line: bytes, now: int, usual: Mapping[str, str]) -> ConsentChange:
    """One JSON object to a record, as `from_mapping`; `usual` holds for what does not say it. Raises ConsentError."""
    try:
        values = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ConsentError(f"not JSON: {error}") from None
    if not isinstance(values, dict):
        raise ConsentError("not a record of consent: expected a JSON object")
    return from_mapping({**usual, **{name: value for name, value in values.items() if value is not None}}, now)


def from_row(row: Mapping[str, str], now: int, usual: Mapping[str, str]) -> ConsentChange:
    """The same of a line of a table: identifiers and the other names are columns, what is empty was left out. Raises ConsentError."""
    values: dict[str, Any] = {name: value for name, value in row.items() if name and value}
    values["customer"] = {name: values.pop(name) for name in IDENTIFIERS if name in values}
    deleted = values.get("deleted", "")
    values["deleted"] = {"true": True, "false": False, "": False}.get(deleted.lower(), deleted)
    return from_mapping({**usual, **values}, now)


def from_mapping(values: Mapping[str, Any], now: int, ahead_ms: int = AHEAD_MS) -> ConsentChange:
    """A record from a dict of these names; without `at` the customer said it `now` (UTC ms). Without `consent_id` it gets one from its
    content, so that the same said twice is one record. What was said more than `ahead_ms` after now was not said yet.

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
    wrong = consent.problem(change) or too_early(change.at, now, ahead_ms)
    if wrong is not None:
        raise ConsentError(wrong)
    if read.consent_id is None:
        content = msgspec.json.encode(msgspec.structs.replace(change, consent_id=""), order="sorted")
        change = msgspec.structs.replace(change, consent_id=consent_id(content.decode()))
    return change


def too_early(at: int, received_at: int, ahead_ms: int) -> str | None:
    """What is wrong with a record that was said after it was received, by more than clocks may differ (all in ms); None when it was not."""
    if at - received_at <= ahead_ms:
        return None
    return (
        f"at: {rfc3339(at)}, when the customer said it, is still to come, by more than clocks may differ (touch.max_future_minutes ="
        f" {ahead_ms / MINUTE_MS:g}); give the moment at which it was said"
    )


def _ms(path: str, moment: dt.datetime) -> int:
    at = (moment - _EPOCH) // _MS
    if not EARLIEST_MS <= at <= LATEST_MS:
        raise ConsentError(f"{path}: lies before the year 2000; is it a default?")
    return at
