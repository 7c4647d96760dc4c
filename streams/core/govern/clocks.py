"""The customer's clock and calendar: IANA time zones, and public holidays by country.

Zones are read from the `tzdata` package, not from the system, and holidays from `holidays`: both are data of locked versions, so every
worker and every replay sees the same. Instants are UTC milliseconds; minutes of a day are those that a wall clock shows.
"""

from __future__ import annotations

import datetime as dt
from functools import cache, lru_cache
from importlib import resources
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Mapping

DAY_MINUTES = 1440
_UTC = dt.UTC
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=_UTC)


@cache
def _names() -> frozenset[str]:
    return frozenset(resources.files("tzdata").joinpath("zones").read_text(encoding="utf-8").split())


@lru_cache(maxsize=1024)
def known_zone(name: str) -> ZoneInfo | None:
    """The time zone of an IANA name, or None: what touches say is not always one."""
    if name not in _names():
        return None
    with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as data:
        return ZoneInfo.from_file(data, key=name)


def zones(name: str | None, fallback: tuple[str, ...]) -> tuple[ZoneInfo, ...]:
    """The customer's zone, or those that stand for an unknown one."""
    own = known_zone(name) if name else None
    return (own,) if own is not None else _fallback(fallback)


@lru_cache(maxsize=64)
def _fallback(names: tuple[str, ...]) -> tuple[ZoneInfo, ...]:
    return tuple(zone for zone in map(known_zone, names) if zone is not None)


def local(at: int, zone: dt.tzinfo) -> dt.datetime:
    """What the customer's calendar and clock show."""
    return dt.datetime.fromtimestamp(at // 1000, zone)


def local_date(at: int, zone: dt.tzinfo) -> dt.date:
    return local(at, zone).date()


def instant(date: dt.date, minutes: int, zone: dt.tzinfo, not_before: int = -(1 << 62)) -> int:
    """First instant, not before another one, at which the local clock shows this date and time, or has jumped past it.

    A time that comes twice (clocks put back) gives its second coming when the first is over; one that does not come (put forward)
    gives the instant of the jump.
    """
    first, second = _comings(date, minutes, zone)
    return first if first >= not_before or second <= first else second


@lru_cache(maxsize=4096)  # customers of one zone ask for the same days
def _comings(date: dt.date, minutes: int, zone: dt.tzinfo) -> tuple[int, int]:
    """When the local clock shows this the first and the second time; the latter is earlier, or the same, where there is only one."""
    days, minutes = divmod(minutes, DAY_MINUTES)
    wall = dt.datetime.combine(date + dt.timedelta(days=days), dt.time(minutes // 60, minutes % 60))
    first, second = (_utc(wall.replace(tzinfo=zone, fold=fold)) for fold in (0, 1))
    if local(first, zone).replace(tzinfo=None) != wall:
        jump = _jump(second, first, zone)
        return jump, jump
    return first, second


def _utc(moment: dt.datetime) -> int:
    return (moment - _EPOCH) // dt.timedelta(milliseconds=1)


def _jump(before: int, after: int, zone: dt.tzinfo) -> int:
    """The instant in (before, after] at which the zone's offset changes."""
    old = local(before, zone).utcoffset()
    low, high = before, after
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if local(middle, zone).utcoffset() == old else (low, middle)
    return high


@lru_cache(maxsize=2048)
def holidays_of(country: str, year: int) -> Mapping[dt.date, str] | None:
    """Nation-wide public holidays of a country (ISO 3166, two letters) in a year, or None when it is unknown."""
    import holidays  # takes half a second, and few policies ask for it

    try:
        return dict(holidays.country_holidays(country.upper(), years=year).items())
    except NotImplementedError:
        return None
