"""What the provider adapters share: their result types, guarded reading of fields, and times.

An adapter's inner function raises `Unusable` for a record that cannot become a touch; `guarded` makes a `Rejected` of
it. So one broken record is a value like any other, and never stops the rest.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from streams.core.outcome import Rejected, RejectReason
from streams.core.touch import Actor, Channel, Department, Touch
from streams.core.touch_check import TouchError, check

STAGE = "import"
Json = dict[str, Any]

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MS = dt.timedelta(milliseconds=1)
_LARGEST_ID = 2**64
_MONTHS = {
    name: i
    for i, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), start=1
    )
}
_RFC_2822 = re.compile(
    r"(?:[a-z]{3},\s*)?(\d{1,2})\s+([a-z]{3})\s+(\d{4})\s+(\d\d):(\d\d)(?::(\d\d))?\s+([+-]\d{4}|gmt|utc|ut|etc/utc|z)",
    re.IGNORECASE,
)


class Ignored(Struct, frozen=True, gc=False):
    """A record that is right but is no touch, with the reason for people; `line` is its place in an imported file."""

    reason: str
    line: int | None = None


class Defaults(Struct, frozen=True):
    """What the importing person knows and the records may not say.

    `department` replaces the adapter's own choice. `campaign`, `actor` and `occurred_at` (UTC ms) are used where a
    record has none; only Google's older lead webhooks have no time.
    """

    department: Department | None = None
    campaign: str | None = None
    actor: Actor | None = None
    occurred_at: int | None = None


NO_DEFAULTS = Defaults()

Outcome = Touch | Rejected | Ignored


class Adapt(Protocol):
    """One record's bytes to what it means; never raises."""

    def __call__(self, record: bytes, defaults: Defaults = NO_DEFAULTS) -> tuple[Outcome, ...]: ...


class AdaptAll(Protocol):
    """The (line, record) pairs of one file to outcomes by line, for providers whose records explain each other."""

    def __call__(
        self, records: Iterable[tuple[int, bytes]], defaults: Defaults = NO_DEFAULTS
    ) -> Iterator[tuple[int, tuple[Outcome, ...]]]: ...


class Adapter(Struct, frozen=True):
    """One provider. `meaning` says in one line what the file is; `adapt_all` is None where records stand alone."""

    name: str
    channel: Channel
    meaning: str
    split: Callable[[bytes], Iterator[tuple[int, bytes]]]
    adapt: Adapt
    adapt_all: AdaptAll | None = None


class Unusable(Exception):
    """A record that cannot become a touch. The text says what is wrong and what to do."""

    def __init__(self, detail: str, reason: RejectReason = "broken_record") -> None:
        super().__init__(detail)
        self.detail = detail
        self.reason: RejectReason = reason


def guarded(name: str, record: bytes, read: Callable[[], Iterable[Touch | Ignored]]) -> tuple[Outcome, ...]:
    """The outcomes of `read`, each touch checked; one `Rejected` with the record's own bytes when any of it is
    unusable."""
    try:
        outcomes = tuple(read())
        for outcome in outcomes:
            if isinstance(outcome, Touch):
                check(outcome)
    except Unusable as error:
        return (Rejected(error.reason, error.detail, STAGE, record, source=name),)
    except TouchError as error:
        return (Rejected(error.reason, f"{error}; mend the record and import it again", STAGE, record, source=name),)
    return outcomes


def decode(record: bytes) -> Json:
    """A record that is a JSON object.

    Raises:
        Unusable: not JSON (NaN and invalid UTF-8 included), nested too deeply, or JSON of another kind.
    """
    try:
        value = msgspec.json.decode(record)
    except RecursionError:
        raise Unusable("the record is nested too deeply; export it again") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unusable(f"the record is not JSON ({error}); export it again, or mend this record") from None
    if not isinstance(value, dict):
        raise Unusable(f"expected a JSON object, got {_kind(value)}; is this the right file for --from?")
    return value


def get(values: Mapping[str, Any], *path: str) -> Any:
    """The value at a path of nested objects, None where a step is missing or null.

    Raises:
        Unusable: a step is no object.
    """
    value: Any = values
    for depth, name in enumerate(path):
        if value is None:
            return None
        if not isinstance(value, dict):
            raise Unusable(f"{'.'.join(path[:depth])}: expected an object, got {_kind(value)}")
        value = value.get(name)
    return value


def text(values: Mapping[str, Any], *path: str) -> str | None:
    """Trimmed text at a path, None when missing or empty; whole numbers are ids and become text.

    Raises:
        Unusable: another type, or a NUL character.
    """
    return as_text(get(values, *path), ".".join(path))


def as_text(value: Any, name: str) -> str | None:
    """`text` of a value at hand; `name` stands in the error."""
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        if abs(value) > _LARGEST_ID:
            raise Unusable(f"{name}: too large for an id")
        value = str(value)
    if not isinstance(value, str):
        raise Unusable(f"{name}: expected text, got {_kind(value)}")
    if "\x00" in value:
        raise Unusable(f"{name}: holds a NUL character; remove it")
    return value.strip() or None


def needed(values: Mapping[str, Any], *path: str) -> str:
    """`text` that must be there; `Unusable` otherwise."""
    value = text(values, *path)
    if value is None:
        raise Unusable(f"{'.'.join(path)}: missing, but every such record has it; is this the right file for --from?")
    return value


def flag(values: Mapping[str, Any], *path: str) -> bool:
    """Whether a boolean is set; the texts "true" and "1" count too, as exports write them."""
    value = get(values, *path)
    if value is None or isinstance(value, bool):
        return bool(value)
    if isinstance(value, int):
        return value == 1
    if isinstance(value, str):
        return value.strip().lower() in {"true", "1"}
    raise Unusable(f"{'.'.join(path)}: expected true or false, got {_kind(value)}")


def objects(values: Mapping[str, Any], *path: str) -> list[Json]:
    """A list of objects at a path, empty when missing; `Unusable` for anything else."""
    value = get(values, *path)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise Unusable(f"{'.'.join(path)}: expected a list of objects, got {_kind(value)}")
    return value


def epoch_ms(value: Any, unit_ms: int, name: str) -> int:
    """UTC ms of a number (or its text) counted in units of `unit_ms` since 1970; fractions below a millisecond are
    cut."""
    if isinstance(value, str):
        value = _number(value, name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unusable(f"{name}: expected a number, got {_kind(value)}")
    if not 0 < value < 1e15:  # NaN is refused too
        raise Unusable(f"{name}: {_short(value)} is not a time")
    if isinstance(value, int):
        return value * unit_ms
    # Half a microsecond up: 1521472262.908 seconds as a float is a hair below .908, and must not become .907.
    return math.floor(value * unit_ms + 0.0005)


def iso_ms(value: str, name: str) -> int:
    """UTC ms of RFC 3339 text; the offset may be written +0000, as Salesforce does. No offset means UTC."""
    try:
        moment = dt.datetime.fromisoformat(value)
    except ValueError:
        raise Unusable(f"{name}: {_short(value)} is not a time such as 2026-03-02T09:12:00Z") from None
    return _ms(moment, name)


def rfc_2822_ms(value: str, name: str) -> int:
    """UTC ms of an RFC 2822 date ("Mon, 02 Mar 2026 15:40:09 +0000")."""
    # Own pattern: email.utils would do it, but it imports sockets, and the core has no IO.
    match = _RFC_2822.fullmatch(value.strip())
    month = _MONTHS.get(match[2].lower()) if match else None
    if match is None or month is None:
        raise Unusable(f"{name}: {_short(value)} is not a time such as Mon, 02 Mar 2026 15:40:09 +0000")
    zone = match[7]
    east = 0
    if zone[0] in "+-":
        east = (int(zone[1:3]) * 60 + int(zone[3:])) * (-1 if zone[0] == "-" else 1)
    try:
        tz = dt.timezone(dt.timedelta(minutes=east))
        moment = dt.datetime(
            int(match[3]), month, int(match[1]), int(match[4]), int(match[5]), int(match[6] or 0), tzinfo=tz
        )
    except ValueError:
        raise Unusable(f"{name}: {_short(value)} does not exist in the calendar") from None
    return _ms(moment, name)


def _ms(moment: dt.datetime, name: str) -> int:
    try:
        return ((moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)) - _EPOCH) // _MS
    except OverflowError:
        raise Unusable(f"{name}: out of the calendar's range") from None


def _number(value: str, name: str) -> int | float:
    if len(value) <= 32:
        try:
            return int(value) if value.strip().isdecimal() else float(value)
        except ValueError:
            pass
    raise Unusable(f"{name}: {_short(value)} is not a number")


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _short(value: object) -> str:
    if isinstance(value, int) and abs(value) > _LARGEST_ID:  # the interpreter refuses to print thousands of digits
        return "a huge number"
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
