"""Windows of time: lengths, and calendar days, weeks and months of a time zone. Instants are UTC milliseconds."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache

from streams.core.govern.clocks import instant, local_date
from streams.core.govern.policy import DepartmentOverlap, RejectionCoolDown, Rule

_UNITS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 7 * 86_400_000}
_LONGEST = {"day": 2, "week": 8, "month": 32}
"""Days in which a calendar window ends for sure, with room for a clock that is put back."""


def length_ms(text: str) -> int:
    """ "90m" -> 5,400,000."""
    return int(float(text[:-1]) * _UNITS[text[-1]])


def is_calendar(window: str) -> bool:
    return window in _LONGEST


def longest_ms(window: str) -> int:
    """How far apart two contacts in one window can be."""
    return _LONGEST[window] * _UNITS["d"] if window in _LONGEST else length_ms(window)


def reach_ms(rule: Rule) -> int:
    """How far back the rule looks at other touches; opt-outs hold forever and are not among these."""
    if isinstance(rule, RejectionCoolDown):
        return length_ms(rule.window) + length_ms(rule.pause)
    window: str | None = getattr(rule, "window", None)
    if window is None:
        return 0
    pairs = [length_ms(pair.window) for pair in rule.pairs] if isinstance(rule, DepartmentOverlap) else []
    return max([longest_ms(window), *pairs])


@lru_cache(maxsize=4096)
def bucket(window: str, date: dt.date, zone: dt.tzinfo) -> tuple[int, int]:
    """First instant of the calendar window with this local date, and first instant behind it."""
    if window == "day":
        first, behind = date, date + dt.timedelta(days=1)
    elif window == "week":
        first = date - dt.timedelta(days=date.weekday())
        behind = first + dt.timedelta(days=7)
    else:
        first = date.replace(day=1)
        behind = (first + dt.timedelta(days=32)).replace(day=1)
    return instant(first, 0, zone), instant(behind, 0, zone)


def bucket_at(window: str, at: int, zone: dt.tzinfo) -> tuple[int, int]:
    """The calendar window that the instant lies in."""
    return bucket(window, local_date(at, zone), zone)


def short(window: str) -> str:
    """ "24h" -> "24 h", "month" -> "a calendar month"."""
    words = {"m": "min", "h": "h", "d": "days", "w": "weeks"}
    return said(window) if is_calendar(window) or window[:-1] == "1" else f"{window[:-1]} {words[window[-1]]}"


def said(window: str) -> str:
    """ "7d" -> "7 days", "month" -> "a calendar month"."""
    if is_calendar(window):
        return f"a calendar {window}"
    words = {"m": "minute", "h": "hour", "d": "day", "w": "week"}
    number = f"{float(window[:-1]):g}"
    return f"{number} {words[window[-1]]}{'' if number == '1' else 's'}"
