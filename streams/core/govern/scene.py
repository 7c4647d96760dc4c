"""What rules look at: one customer's contacts, reactions and standing, sorted out by rule once for all instants that are asked about."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from streams.core.entry import Entry
from streams.core.govern import clocks
from streams.core.govern.policy import Segment
from streams.core.govern.records import NOTHING, Reached, Standing
from streams.core.govern.segments import within
from streams.core.touch import OPT_OUT_KINDS

if TYPE_CHECKING:
    from streams.core.govern.compiled import Compiled


_AT = attrgetter("at")

DESCRIPTIONS = ("time_zone", "country", "account")
"""What touches say of the customer, and rules ask; the newest holds."""


class Scene:
    """`counted[i]` are the contacts that count towards rule i, `later[i]` those to come that are subject to it, both by time; `reacted`
    the touches that a rule about reactions looks at. Time zone, country and account are the newest known. `customer` is how contacts of
    this customer name them, besides "", where those of colleagues are among them."""

    __slots__ = (
        "_zones", "account", "clock", "compiled", "counted", "country", "customer", "later", "opt_outs", "reacted", "standing",
        "time_zone",
    )  # fmt: skip

    def __init__(self, compiled: Compiled, standing: Standing = NOTHING) -> None:
        size = len(compiled.rulings)
        self.compiled = compiled
        self.standing = standing
        self.counted: list[list[Reached]] = [[] for _ in range(size)]
        self.later: list[list[Reached]] = [[] for _ in range(size)]
        self.reacted: list[list[Entry]] = [[] for _ in range(size)]
        self.customer = ""
        self.opt_outs: list[Entry] = []
        self.time_zone: str | None = standing.time_zone
        self.country: str | None = standing.country
        self.account: str | None = standing.account
        self.clock: dict[Any, int] = {}
        """What rules about the clock found for an instant and a zone; each channel asks them the same."""
        self._zones: tuple[str | None, tuple[ZoneInfo, ...]] | None = None

    def see(self, entry: Entry) -> None:
        """Takes in what a touch says besides being a contact. Touches that came too late say nothing but that the customer opted out."""
        if entry.kind in OPT_OUT_KINDS:
            self.opt_outs.append(entry)
        if entry.late:
            return
        reacting = self.compiled.reacting.get(entry.kind)
        if reacting is not None:
            for i in reacting:
                self.reacted[i].append(entry)
        if entry.time_zone:
            self.time_zone = entry.time_zone
        if entry.country:
            self.country = entry.country
        if entry.account:
            self.account = entry.account

    def see_all(self, entries: Sequence[Entry]) -> None:
        """The same as `see` for each, in one go: most touches say nothing besides being a contact."""
        for entry in [entry for entry in entries if entry.kind in self.compiled.telling]:
            self.see(entry)
        missing = list(DESCRIPTIONS) if self.compiled.describes else []
        for entry in reversed(entries):
            if not missing:
                break
            for name in missing if not entry.late else ():
                value = getattr(entry, name)
                if value:
                    setattr(self, name, value)
                    missing = [other for other in missing if other != name]

    def reach(self, contact: Reached) -> None:
        """Takes in a contact of this customer; they come in order of time."""
        for i in self.compiled.match(contact).counts:
            self.counted[i].append(contact)

    def take_out(self, contact: Reached) -> list[tuple[list[Reached], int]]:
        """Leaves out a contact that was taken in: it does not hinder itself. Gives the places where it stood, for `put_back`."""
        sides = self.compiled.match(contact)
        places = []
        for held in (*(self.counted[i] for i in sides.counts), *(self.later[i] for i in sides.applies)):
            at = bisect_left(held, contact.at, key=_AT)
            while at < len(held) and held[at].at == contact.at:
                if held[at] is contact:
                    del held[at]
                    places.append((held, at))
                    break
                at += 1
        return places

    @staticmethod
    def put_back(contact: Reached, places: list[tuple[list[Reached], int]]) -> None:
        """Takes the contact in again."""
        for held, at in places:
            held.insert(at, contact)

    def is_own(self, contact: Reached) -> bool:
        """Whether it is a contact of this customer, and not of a colleague."""
        return contact.customer in ("", self.customer)

    @property
    def zones(self) -> tuple[ZoneInfo, ...]:
        """The customer's time zone, or all that stand for an unknown one."""
        if self._zones is None or self._zones[0] != self.time_zone:
            self._zones = (self.time_zone, clocks.zones(self.time_zone, self.compiled.governance.time_zones))
        return self._zones[1]

    @property
    def countries(self) -> tuple[str, ...]:
        """The customer's country, or all that stand for an unknown one."""
        return (self.country,) if self.country else self.compiled.governance.countries

    @property
    def owner(self) -> str:
        """Who owns the customer: whom the one who asks names, else the rep who has the lead, else the owner of the account by the policy;
        "" for nobody."""
        lead = self.standing.with_sales
        had_by = lead.owner if lead is not None else ""
        return self.standing.owner or had_by or self.compiled.policy.leads.owners.get(self.account or "", "")

    def within(self, segment: Segment) -> bool:
        """Whether the customer belongs to a rule's segment."""
        return within(segment, self.country, self.time_zone, self.account, self.standing.attributes)
