"""How many leads each rep has: what `capacity` is compared with, though each partition of `touches.identified` sees only its own customers.

A partition counts the leads of its timelines as they change hands, and is told by the others what they have (`rep_loads`, commands between
the touches). Both are kept with the timelines, under `KEY` in their changelog. So what is known at a record follows from the
partition's log alone: whoever reads it again gives the lead to the same rep. What others have comes some seconds later: when leads
come in several partitions at once, a rep may get a few more than their capacity.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import cached_property

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from streams.core.commands import Command
from streams.core.ids import command_id
from streams.core.leads.fold import active
from streams.core.leads.states import WITH_SALES, LeadState
from streams.core.policy import Policy

KEY = "#loads"
"""Key of the commands and of the changelog's record; no customer's id begins so."""

TOLD = "rep_loads"
"""The kind of the command by which a partition tells another what its reps have."""


class Counts(Struct, frozen=True):
    """Leads with sales by rep, in one partition. Of two counts the one with the higher `serial` is newer."""

    partition: int
    serial: int
    leads: dict[str, int]


class Loads(Struct, frozen=True, dict=True):
    """What a partition knows: its `own` leads with sales by rep, counted at `serial`, and those of the other partitions."""

    own: dict[str, int] = {}
    serial: int = 0
    others: tuple[Counts, ...] = ()

    @cached_property
    def total(self) -> dict[str, int]:
        """Leads by rep in all partitions, as far as is known."""
        found = Counter(self.own)
        for one in self.others:
            found.update(one.leads)
        return found

    def moved(self, before: LeadState | None, after: LeadState | None, at: int) -> Loads:
        """The same once a customer's lead has changed; `at` is the timestamp of the record that did it (UTC ms)."""
        gave, got = holder(before), holder(after)
        if gave == got:
            return self
        own = Counter(self.own)
        own.update({rep: by for rep, by in ((gave, -1), (got, 1)) if rep is not None})
        return replace(self, own={rep: n for rep, n in own.items() if n > 0}, serial=max(self.serial + 1, at))

    def heard(self, told: Counts) -> Loads:
        """The same once another partition has told; what is not newer says nothing."""
        if any(one.partition == told.partition and one.serial >= told.serial for one in self.others):
            return self
        rest = [one for one in self.others if one.partition != told.partition]
        return replace(self, others=tuple(sorted((*rest, told), key=lambda one: one.partition)))


def capped(policy: Policy) -> bool:
    """Whether leads are to be counted: some rep takes only so many."""
    return active(policy) and any(rep.capacity is not None for team in policy.teams for rep in team.reps)


def holder(lead: LeadState | None) -> str | None:
    """The rep who has it; None when nobody of sales has."""
    return lead.owner if lead is not None and lead.state in WITH_SALES else None


def counted(leads: Iterable[LeadState | None]) -> Loads:
    """What follows from all leads of a partition."""
    return Loads(dict(Counter(rep for lead in leads if (rep := holder(lead)) is not None)))


def telling(partition: int, loads: Loads, at: int) -> Command:
    """What the partition tells the others at a moment (UTC ms)."""
    told = msgspec.json.encode(Counts(partition, loads.serial, loads.own))
    id_ = command_id(TOLD, str(partition), str(loads.serial))
    return Command(id_, KEY, TOLD, at, f"partition {partition}", entries=(told,))


def told_by(command: Command) -> Counts:
    """Inverse of `telling`. Raises ValueError: it tells nothing that could be read."""
    (told,) = command.entries
    return msgspec.json.decode(told, type=Counts)


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Loads).decode
