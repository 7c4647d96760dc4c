"""Business time over weekends, holidays, absences and changes of daylight-saving time, against counting minute by minute."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import holidays
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.leads.calendars import added, between, next_working
from streams.core.leads.policy import Absence, Calendar
from tests.core.leads.world import at, said

MINUTE, HOUR = 60_000, 3_600_000
MADRID = Calendar("Europe/Madrid", country="ES")
NIGHTS = Calendar("Europe/Madrid", ("saturday",), "22:00", "06:00")


@pytest.mark.parametrize(
    ("calendar", "since", "hours", "until"),
    [
        (MADRID, "2026-03-03T09:00+01:00", 4, "2026-03-03T13:00+01:00"),
        (MADRID, "2026-03-03T06:00+01:00", 4, "2026-03-03T13:00+01:00"),
        (MADRID, "2026-03-03T16:00+01:00", 4, "2026-03-04T12:00+01:00"),
        (MADRID, "2026-03-06T16:00+01:00", 4, "2026-03-09T12:00+01:00"),  # over a weekend
        (MADRID, "2026-03-27T16:00+01:00", 4, "2026-03-30T12:00+02:00"),  # over a weekend on which clocks go forward
        (MADRID, "2026-10-23T16:00+02:00", 4, "2026-10-26T12:00+01:00"),  # and back
        (MADRID, "2026-04-02T16:00+02:00", 4, "2026-04-06T12:00+02:00"),  # Good Friday, and the weekend
        (NIGHTS, "2026-03-28T22:00+01:00", 7, "2026-03-29T06:00+02:00"),  # a night of seven hours
        (NIGHTS, "2026-10-24T22:00+02:00", 9, "2026-10-25T06:00+01:00"),  # a night of nine
        (NIGHTS, "2026-10-24T22:00+02:00", 4, "2026-10-25T02:00+02:00"),
        (NIGHTS, "2026-10-24T22:00+02:00", 5, "2026-10-25T02:00+01:00"),  # two in the morning comes twice
    ],
)
def test_hours_of_work(calendar: Calendar, since: str, hours: int, until: str) -> None:
    """So many hours of work after one instant it is the other, and the time between them is so many hours."""
    assert said(added(calendar, (), at(since), hours * HOUR)) == said(at(until))
    assert between(calendar, (), at(since), at(until)) == hours * HOUR


def test_who_is_away_does_not_work() -> None:
    """Absent from Wednesday to Friday, the next hour of work is on Monday."""
    away = (Absence(dt.date(2026, 3, 4), dt.date(2026, 3, 6)),)
    assert next_working(MADRID, away, at("2026-03-03T17:00+01:00")) == at("2026-03-09T09:00+01:00")


def test_who_never_works_has_the_clock_on_the_wall() -> None:
    """Away for years, time passes as for anybody."""
    away = (Absence(dt.date(2020, 1, 1), dt.date(2040, 1, 1)),)
    assert next_working(MADRID, away, at("2026-03-03T17:00")) is None
    assert added(MADRID, away, at("2026-03-03T17:00"), 500) == at("2026-03-03T17:00") + 500


@given(
    st.sampled_from(["2026-03-26T00:00", "2026-10-22T00:00", "2026-12-23T00:00"]),
    st.integers(0, 4 * 1440),
    st.integers(0, 4 * 1440),
    st.sampled_from([("09:00", "17:00"), ("22:00", "06:00"), ("00:00", "24:00"), ("01:30", "02:30")]),
    st.sampled_from(["Europe/Madrid", "America/New_York", "Asia/Kolkata"]),
)
def test_business_time_is_the_sum_of_its_minutes(
    day: str, first: int, length: int, hours: tuple[str, str], zone: str
) -> None:
    """Each minute is asked by itself whether the wall clock shows a time of work."""
    calendar = Calendar(zone, start=hours[0], end=hours[1], country="ES")
    since = at(day) + first * MINUTE
    minutes = sum(_works(since + n * MINUTE, calendar) for n in range(length))
    assert between(calendar, (), since, since + length * MINUTE) == minutes * MINUTE


SPAIN = holidays.country_holidays("ES", years=[2026, 2027])


def _works(moment: int, calendar: Calendar) -> bool:
    wall = dt.datetime.fromtimestamp(moment / 1000, ZoneInfo(calendar.time_zone))
    minute = wall.hour * 60 + wall.minute
    start, end = (int(clock[:2]) * 60 + int(clock[3:]) for clock in (calendar.start, calendar.end))
    if end > start:
        return start <= minute < end and _day(wall.date())
    return (minute >= start and _day(wall.date())) or (minute < end and _day(wall.date() - dt.timedelta(days=1)))


def _day(day: dt.date) -> bool:
    return day.weekday() < 5 and day not in SPAIN
