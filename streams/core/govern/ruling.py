"""A rule made ready to judge: what all kinds have in common.

`hinders(contact, t, scene, counts)` says whether the contact may not be made at the instant t, and *until when at least*: at no instant
before `until` can this rule let it pass. So the earliest slot is found by jumping, never by stepping: go to the latest `until`, ask
again, until nothing hinders. That is exact to the millisecond, because no jump passes over a free instant.
"""

from __future__ import annotations

import sys
from operator import attrgetter
from typing import Any, NamedTuple

from streams.core.govern.loading import account_wide
from streams.core.govern.policy import Common, Segment
from streams.core.govern.reasons import Reason
from streams.core.govern.records import Reached
from streams.core.govern.scene import Scene

FOREVER = 1 << 62
"""As things stand the contact can never be made."""

AT = attrgetter("at")


MOST = 200
"""Contacts of a whole company that are shown as proof at most, those nearest: with thousands of colleagues there are thousands."""


class Hit(NamedTuple):
    """The rule is broken. `proof`: touches, reservations or records with an `at`; the nearest one last. `many` says of how many contacts
    these are the nearest, in a cap."""

    until: int
    proof: tuple[Any, ...]
    many: int = 0


class Ruling:
    """One rule of a policy. `i` is its place among the rules of the compiled policy."""

    reason: Reason

    def __init__(self, rule: Any, i: int) -> None:
        self.rule: Any = rule
        self.i = i
        self.everyone = rule.segment == Segment()
        self.most = MOST if account_wide(rule) else sys.maxsize
        """How many contacts are shown as proof."""

    def idle(self, scene: Scene) -> bool:
        """Whether there is nothing in the scene that this rule looks at: then it hinders no contact at any instant."""
        return False

    def hinders(self, contact: Reached, t: int, scene: Scene, counts: bool) -> Hit | None:
        """None when the contact may be made at t. `counts`: it counts towards the rule itself, so it may harm later contacts."""
        raise NotImplementedError

    def text(self, hit: Hit, contact: Reached, t: int, scene: Scene) -> str:
        """Why not, in one sentence for people."""
        raise NotImplementedError

    @property
    def common(self) -> Common:
        """The knobs that every rule has."""
        rule: Common = self.rule
        return rule
