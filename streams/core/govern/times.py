"""Rules about the customer's clock and calendar: quiet hours and public holidays."""

from __future__ import annotations

import datetime as dt
from typing import Any, get_args
from zoneinfo import ZoneInfo

from streams.core import wording
from streams.core.govern.clocks import DAY_MINUTES, holidays_of, instant, local, local_date
from streams.core.govern.policy import Weekday
from streams.core.govern.reasons import Reason
from streams.core.govern.records import Reached
from streams.core.govern.ruling import Hit, Ruling
from streams.core.govern.scene import Scene

_ONE_DAY = dt.timedelta(days=1)


def _minutes(clock: str) -> int:
    return int(clock[:2]) * 60 + int(clock[3:])


class Quiet(Ruling):
    """`quiet_hours`. A period belongs to the day on which it starts: Friday from 21:00 to 08:00 ends on Saturday."""

    reason = Reason.QUIET_HOURS

    def __init__(self, rule: Any, i: int) -> None:
        super().__init__(rule, i)
        self.start = _minutes(rule.start)
        end = _minutes(rule.end)
        self.end = end if end > self.start else end + DAY_MINUTES
        """Minutes after the midnight before the start."""
        self.days = frozenset(get_args(Weekday).index(day) for day in rule.days)

    def hinders(self, contact: Reached, t: int, scene: Scene, counts: bool) -> Hit | None:
        until = 0
        for zone in scene.zones:
            asked = self.i, t, zone
            found = scene.clock.get(asked)
            if found is None:
                found = scene.clock[asked] = self._until(t, zone)
            until = max(until, found)
        return Hit(until, ()) if until else None

    def _until(self, t: int, zone: ZoneInfo) -> int:
        """When the quiet period that t lies in ends, or 0."""
        now = local(t, zone)
        minute, weekday = now.hour * 60 + now.minute, now.weekday()
        if self.start <= minute < self.end and weekday in self.days:
            return instant(now.date(), self.end, zone, t + 1)
        if minute + DAY_MINUTES < self.end and (weekday - 1) % 7 in self.days:
            return instant(now.date() - _ONE_DAY, self.end, zone, t + 1)
        return 0

    def text(self, hit: Hit, contact: Reached, t: int, scene: Scene) -> str:
        zone = next(zone for zone in scene.zones if self._until(t, zone))
        now = local(t, zone)
        hours = f"from {self.rule.start} to {self.rule.end}"
        return f"It is {now:%H:%M} on {wording.weekday(now.date())} in {zone.key}; quiet hours are {hours}."


class Holiday(Ruling):
    """`holidays`."""

    reason = Reason.HOLIDAY

    def hinders(self, contact: Reached, t: int, scene: Scene, counts: bool) -> Hit | None:
        until = 0
        for zone in scene.zones:
            day = local_date(t, zone)
            if any(day in (holidays_of(country, day.year) or ()) for country in self._countries(scene)):
                until = max(until, t + 1, instant(day + _ONE_DAY, 0, zone))
        return Hit(until, ()) if until else None

    def _countries(self, scene: Scene) -> tuple[str, ...]:
        known = [country for country in scene.countries if holidays_of(country, 2026) is not None]
        return tuple(known) if known else scene.compiled.governance.countries

    def text(self, hit: Hit, contact: Reached, t: int, scene: Scene) -> str:
        for zone in scene.zones:
            day = local_date(t, zone)
            for country in self._countries(scene):
                name = (holidays_of(country, day.year) or {}).get(day)
                if name:
                    return f"{wording.weekday(day)} is a public holiday in {country.upper()}: {name}."
        return "It is a public holiday where the customer is."
