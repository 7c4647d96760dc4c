"""Business time: what of a span lies within somebody's working hours.

Each working day is an interval of instants, found by the wall clock of its zone, so that a day with a change of daylight-saving time is
as long as it really was. Holidays and zones are data of locked versions (`streams.core.govern.clocks`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import get_args

from streams.core.govern.clocks import DAY_MINUTES, holidays_of, instant, known_zone, local_date
from streams.core.govern.policy import Weekday
from streams.core.leads.policy import Absence, Calendar

LONGEST = 3 * 366
"""Days that are looked through; a calendar with none free in three years is a mistake, and its time is the wall clock's."""

_DAY = dt.timedelta(days=1)
_WEEKDAYS: tuple[str, ...] = get_args(Weekday)


def working(calendar: Calendar, absent: Sequence[Absence], since: int) -> Iterator[tuple[int, int]]:
    """Working intervals [start, end) in UTC ms that end after an instant, in order, over at most `LONGEST` days."""
    zone = known_zone(calendar.time_zone) or dt.UTC
    first, start, end = local_date(since, zone) - _DAY, _minutes(calendar.start), _minutes(calendar.end)
    end += DAY_MINUTES if end <= start else 0
    for n in range(LONGEST):
        day = first + n * _DAY
        if _WEEKDAYS[day.weekday()] not in calendar.days or any(one.first <= day <= one.last for one in absent):
            continue
        if calendar.country and day in (holidays_of(calendar.country, day.year) or ()):
            continue
        opens, closes = instant(day, start, zone), instant(day, end, zone)
        if closes > max(since, opens):
            yield opens, closes


def added(calendar: Calendar, absent: Sequence[Absence], since: int, length: int) -> int:
    """The instant at which so many ms of business time have passed since another."""
    left = length
    for opens, closes in working(calendar, absent, since):
        begin = max(opens, since)
        if left <= closes - begin:
            return begin + left
        left -= closes - begin
    return since + length


def between(calendar: Calendar, absent: Sequence[Absence], since: int, until: int) -> int:
    """Business time in ms from one instant to a later one."""
    total = 0
    for opens, closes in working(calendar, absent, since):
        if opens >= until:
            break
        total += min(closes, until) - max(opens, since)
    return total


def next_working(calendar: Calendar, absent: Sequence[Absence], at: int) -> int | None:
    """The first instant, not before another, at which somebody works; None when there is none."""
    return next((max(at, opens) for opens, _ in working(calendar, absent, at)), None)


def _minutes(clock: str) -> int:
    return int(clock[:2]) * 60 + int(clock[3:])
