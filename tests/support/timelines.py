"""The timelines of all customers, in memory, fed with what workers publish, in any order that Kafka may bring it in.

Which order that is depends on how the workers' calls fall, so a failure may not come again: `astray` says how each touch came where it is.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

from streams.core import customer, identity_split
from streams.core.commands import Command
from streams.core.entry import decode_entry
from streams.core.identity_facts import Resolved
from streams.core.moving import merge_command
from streams.core.policy import Policy
from streams.core.timeline import EMPTY, Timeline
from streams.core.touch import IdentifiedTouch
from tests.core.made import touch
from tests.support.identities import Worker
from tests.support.waiting import wait_until_async

POLICY = Policy()


class Timelines:
    """`take` what a worker published, then `deliver`; `places` says on whose timeline each touch is."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._all: dict[str, Timeline] = {}
        self._waiting: list[IdentifiedTouch | Command] = []
        self._touches = 0
        self._seen: list[str] = []
        self.owners: dict[str, str] = {}
        """Touch id to the identifier that decided whose it is."""

    def take(self, answers: Iterable[Resolved], touches: bool = True) -> None:
        """Answers to touches (or what was overdue), with the facts as the ingest stage publishes them."""
        for who in answers:
            if touches:
                made = touch(f"t{self._touches}", "sent", self._touches)
                self._touches += 1
                self.owners[made.touch_id] = who.identifier or who.customer_id
                self._waiting.append(
                    IdentifiedTouch(
                        who.customer_id,
                        made,
                        (),
                        made.occurred_at,
                        identifier=who.identifier,
                        resolved_at=who.resolved_at,
                    )
                )
            for fact in who.facts:
                if fact.kind == "told":
                    self._waiting.append(merge_command(fact.a, who.customer_id, 1, "link", who.resolved_at, fact.ids))
                elif fact.kind == "cut":
                    self._waiting += identity_split.commands(fact)

    def deliver(self, share: float = 1.0) -> None:
        """Hand over so much of what is under way, in random order, and all that follows from it."""
        left = int(len(self._waiting) * (1 - share))
        while len(self._waiting) > left:
            one = self._waiting.pop(self._rng.randrange(len(self._waiting)))
            before = self._all.get(one.customer_id, EMPTY)
            effect = (
                customer.on_command(before, one, POLICY)
                if isinstance(one, Command)
                else customer.on_touch(before, one, POLICY)
            )
            assert effect.refused is None, effect.refused
            self._seen.append(f"{_told(one)}: {effect.outcome}, left {dict(effect.timeline.left)}")
            self._all[one.customer_id] = effect.timeline
            self._waiting += effect.commands
            if effect.forward is not None:
                self._waiting.append(effect.forward)

    def places(self) -> dict[str, list[str]]:
        """Customers of each touch id."""
        found: dict[str, list[str]] = {}
        for name, timeline in sorted(self._all.items()):
            for entry in timeline.entries:
                found.setdefault(entry.id, []).append(name)
        return found

    def astray(self, customer_of: Callable[[str], str]) -> str:
        """Which touches are not once, and with the customer of their identifier, and all that the timelines heard; empty when each is."""
        places = self.places()
        wrong = {
            f"{id_} of {own}": f"on {places.get(id_, [])}, not {customer_of(own)}"
            for id_, own in self.owners.items()
            if places.get(id_, []) != [customer_of(own)]
        }
        return "\n".join([str(wrong), *self._seen]) if wrong else ""


def _told(one: IdentifiedTouch | Command) -> str:
    if isinstance(one, IdentifiedTouch):
        return f"{one.customer_id} gets {one.touch.touch_id} of {one.identifier or 'its own'}, looked up at {one.resolved_at}"
    moved = ", ".join(decode_entry(data).id for data in one.entries)
    where = f"into {one.into} of {one.identifiers}" if one.into else moved
    return f"{one.customer_id} hears {one.kind} {where}, decided at {one.decided_at}"


async def settled(worker: Worker, timelines: Timelines) -> None:
    """The worker mends until nothing is overdue, and all is delivered. One that is away, or in doubt, finds nothing either: it is asked
    again."""

    async def nothing_left() -> bool:
        found = await worker.index.overdue()
        timelines.take(found, touches=False)
        await worker.publish(found)
        return not (found or worker.index._away or worker.index._behind)

    await wait_until_async(nothing_left, 60, "nothing to be overdue")
    timelines.deliver()
