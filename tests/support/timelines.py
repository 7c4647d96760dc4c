"""The timelines of all customers, in memory, fed with what workers publish, in any order that Kafka may bring it in."""

from __future__ import annotations

import random
from collections.abc import Iterable

from streams.core import customer, identity_split
from streams.core.commands import Command
from streams.core.identity_facts import Resolved
from streams.core.moving import merge_command
from streams.core.policy import Policy
from streams.core.timeline import EMPTY, Timeline
from streams.core.touch import IdentifiedTouch
from tests.core.made import touch
from tests.support.identities import Worker

POLICY = Policy()


class Timelines:
    """`take` what a worker published, then `deliver`; `places` says on whose timeline each touch is."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._all: dict[str, Timeline] = {}
        self._waiting: list[IdentifiedTouch | Command] = []
        self._touches = 0
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


async def settled(worker: Worker, timelines: Timelines) -> None:
    """The worker mends until nothing is overdue, and all is delivered."""
    while found := await worker.index.overdue():
        timelines.take(found, touches=False)
        await worker.publish(found)
    timelines.deliver()
