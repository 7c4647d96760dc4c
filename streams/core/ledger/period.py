"""Periods of the ledger: whole days in UTC, as people write them: 2026, 2026-Q3, 2026-07, 2026-07-01, 2026-07-01..2026-09-30."""

from __future__ import annotations

import calendar
import datetime as dt
import re
from collections.abc import Iterator

from msgspec import Struct

from streams.core.ledger.types import DAY_MS

_EPOCH = dt.date(1970, 1, 1)
_YEAR = re.compile(r"(\d{4})")
_QUARTER = re.compile(r"(\d{4})-?[Qq]([1-4])")
_MONTH = re.compile(r"(\d{4})-(\d\d)")


class PeriodError(ValueError):
    """A text that is no period; it says what is one."""


class Period(Struct, frozen=True):
    """Days from `first` to `last`, both included, counted from 1970-01-01; `label` is the period as it was written."""

    label: str
    first: int
    last: int

    @property
    def start_ms(self) -> int:
        """The first millisecond, UTC."""
        return self.first * DAY_MS

    @property
    def end_ms(self) -> int:
        """The first millisecond behind it, UTC."""
        return (self.last + 1) * DAY_MS

    def holds(self, at: int) -> bool:
        """Whether a time (UTC ms) lies within."""
        return self.start_ms <= at < self.end_ms


def parse(text: str) -> Period:
    """A period from its text.

    Raises:
        PeriodError: not one of the forms, no such day, or it ends before it begins.
    """
    try:
        first, last = _bounds(text.strip())
    except ValueError:
        raise PeriodError(
            f"{text!r} is no period; write 2026, 2026-Q3, 2026-07, 2026-07-01, or 2026-07-01..2026-09-30"
        ) from None
    if last < first:
        raise PeriodError(f"{text!r} ends before it begins")
    return Period(text.strip(), day_number(first), day_number(last))


def months(period: Period) -> Iterator[Period]:
    """The period month by month; the first and the last may be cut."""
    day = period.first
    while day <= period.last:
        date = date_of(day)
        end = min(period.last, day + calendar.monthrange(date.year, date.month)[1] - date.day)
        yield Period(f"{date:%Y-%m}", day, end)
        day = end + 1


def date_of(day: int) -> dt.date:
    """The date of a day number."""
    return _EPOCH + dt.timedelta(days=day)


def day_number(date: dt.date) -> int:
    """The number of a date."""
    return (date - _EPOCH).days


def month_of(at: int) -> str:
    """The month of a time (UTC ms): "2026-07"."""
    return f"{date_of(at // DAY_MS):%Y-%m}"


def quarter_of(at: int) -> str:
    """The quarter of a time (UTC ms): "2026-Q3"."""
    date = date_of(at // DAY_MS)
    return f"{date.year:04d}-Q{(date.month + 2) // 3}"


def _bounds(text: str) -> tuple[dt.date, dt.date]:
    if ".." in text:
        first, _, last = text.partition("..")
        return dt.date.fromisoformat(first.strip()), dt.date.fromisoformat(last.strip())
    if match := _YEAR.fullmatch(text):
        return dt.date(int(match[1]), 1, 1), dt.date(int(match[1]), 12, 31)
    if match := _QUARTER.fullmatch(text):
        return dt.date(int(match[1]), 3 * int(match[2]) - 2, 1), _month_end(int(match[1]), 3 * int(match[2]))
    if match := _MONTH.fullmatch(text):
        return dt.date(int(match[1]), int(match[2]), 1), _month_end(int(match[1]), int(match[2]))
    day = dt.date.fromisoformat(text)
    return day, day


def _month_end(year: int, month: int) -> dt.date:
    if not 1 <= month <= 12:
        raise ValueError(month)
    return dt.date(year, month, calendar.monthrange(year, month)[1])
