"""Periods as people write them, in whole days of UTC."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.ledger import period as periods
from streams.core.ledger.period import Period, PeriodError


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2026", "2026-01-01", "2026-12-31"),
        ("2026-Q3", "2026-07-01", "2026-09-30"),
        ("2026q1", "2026-01-01", "2026-03-31"),
        ("2028-02", "2028-02-01", "2028-02-29"),
        ("2026-07-04", "2026-07-04", "2026-07-04"),
        ("2026-07-01..2026-09-30", "2026-07-01", "2026-09-30"),
        (" 2025-12-30 .. 2026-01-02 ", "2025-12-30", "2026-01-02"),
    ],
)
def test_each_form_is_read(text: str, first: str, last: str) -> None:
    """A year, a quarter, a month, a day and a range are the days they say, and keep their label."""
    period = periods.parse(text)
    assert (str(periods.date_of(period.first)), str(periods.date_of(period.last))) == (first, last)
    assert period.label == text.strip()


@pytest.mark.parametrize("text", ["", "Q3", "2026-Q5", "2026-13", "2026-02-30", "2026-07-01..", "last month", "20261"])
def test_another_text_is_refused(text: str) -> None:
    """What is no period is refused with the forms that are."""
    with pytest.raises(PeriodError, match=r"is no period; write 2026, 2026-Q3, 2026-07"):
        periods.parse(text)


def test_a_range_must_not_run_backwards() -> None:
    """The end before the beginning is told as such."""
    with pytest.raises(PeriodError, match="ends before it begins"):
        periods.parse("2026-09-30..2026-07-01")


@settings(deadline=None)
@given(st.dates(dt.date(2000, 1, 1), dt.date(2100, 1, 1)), st.integers(0, 900))
def test_months_tile_the_period(first: dt.date, days: int) -> None:
    """The months of a period follow each other without gap, each within its own month, and together are the period."""
    start = periods.day_number(first)
    period = Period("p", start, start + days)
    parts = list(periods.months(period))
    assert [part.first for part in parts[1:]] == [part.last + 1 for part in parts[:-1]]
    assert (parts[0].first, parts[-1].last) == (period.first, period.last)
    assert all(periods.month_of(edge) == part.label for part in parts for edge in (part.start_ms, part.end_ms - 1))
    assert all(period.holds(at) for at in (period.start_ms, period.end_ms - 1))
    assert not any(period.holds(at) for at in (period.start_ms - 1, period.end_ms))
