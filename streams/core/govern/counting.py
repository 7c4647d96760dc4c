"""Caps: how many contacts, or people of one company, a window may hold.

A window belongs to a contact and ends with it: the length before it, or the calendar day, week or month it lies in. A contact breaks the
cap when its window holds `limit` others already. One that is planned before others, which are held, must not break the cap for those.
Contacts at the same millisecond are before each other, whatever their ids: nobody knows yet how they will sort.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from operator import attrgetter
from typing import Any

from streams.core.govern.reasons import Reason
from streams.core.govern.records import Reached
from streams.core.govern.ruling import AT, Hit, Ruling
from streams.core.govern.scene import Scene
from streams.core.govern.windows import bucket_at, is_calendar, length_ms, said


def per(rule: Any) -> Any:
    """What contacts must share to be counted together, as a function of a contact, or None."""
    shared = getattr(rule, "per", "all")
    return None if shared == "all" else attrgetter(shared)


class _Windowed(Ruling):
    def __init__(self, rule: Any, i: int) -> None:
        super().__init__(rule, i)
        self.limit: int = rule.limit
        self.calendar = is_calendar(rule.window)
        self.length = 0 if self.calendar else length_ms(rule.window)

    def idle(self, scene: Scene) -> bool:
        return not scene.counted[self.i] and not scene.later[self.i]

    def first(self, t: int, scene: Scene) -> int:
        """First instant of the window that ends at t."""
        return bucket_at(self.rule.window, t, scene.zones[0])[0] if self.calendar else t - self.length + 1

    def leaves(self, at: int, t: int, scene: Scene) -> int:
        """When a contact made at `at` is in the window of t no more."""
        return max(t + 1, bucket_at(self.rule.window, t, scene.zones[0])[1]) if self.calendar else at + self.length


class Cap(_Windowed):
    """`frequency_cap`."""

    reason = Reason.FREQUENCY_CAP

    def __init__(self, rule: Any, i: int) -> None:
        super().__init__(rule, i)
        self.shared = per(rule)
        if rule.scope == "account":
            self.reason = Reason.ACCOUNT_CAP

    def hinders(self, contact: Reached, t: int, scene: Scene, counts: bool) -> Hit | None:
        counted, later, shared = scene.counted[self.i], scene.later[self.i], self.shared
        if not counted and not later:
            return None
        if shared is not None:
            mine = shared(contact)
            counted = [one for one in counted if shared(one) == mine]
        low, high = bisect_left(counted, self.first(t, scene), key=AT), bisect_right(counted, t, key=AT)
        hit = None
        if high - low >= self.limit:
            hit = Hit(self.leaves(counted[high - self.limit].at, t, scene), tuple(counted[low:high]))
        if counts and later:
            hit = self._harm(contact, t, scene, counted, hit)
        return hit

    def _harm(self, contact: Reached, t: int, scene: Scene, counted: Sequence[Reached], hit: Hit | None) -> Hit | None:
        """The same, when a contact at t would also be one too many for a later one."""
        later, shared = scene.later[self.i], self.shared
        for one in later[bisect_left(later, t, key=AT) :]:
            first = self.first(one.at, scene)
            if first > t:
                break
            if shared is not None and shared(one) != shared(contact):
                continue
            window = counted[bisect_left(counted, first, key=AT) : bisect_right(counted, one.at, key=AT)]
            others = [other for other in window if other is not one]
            if len(others) + 1 >= self.limit:
                until = max(one.at + 1, hit.until if hit else 0)
                hit = Hit(until, hit.proof if hit else (*others, one))
        return hit

    def text(self, hit: Hit, contact: Reached, t: int, scene: Scene) -> str:
        of = "" if self.shared is None else f" of one {self.rule.per}"
        whom = "The company has" if self.rule.scope == "account" else "The customer has"
        return (
            f"{whom} {len(hit.proof)} other contacts{of} in {said(self.rule.window)}; at most {self.limit} are allowed."
        )


class PeopleCap(_Windowed):
    """`account_cap`. Judged by the contacts before; what it means for contacts with others that are held for later is theirs to ask."""

    reason = Reason.ACCOUNT_CAP

    def hinders(self, contact: Reached, t: int, scene: Scene, counts: bool) -> Hit | None:
        counted = scene.counted[self.i]
        high = bisect_right(counted, t, key=AT)
        newest: dict[str, Reached] = {}
        for one in counted[bisect_left(counted, self.first(t, scene), key=AT) : high]:
            newest["" if scene.is_own(one) else one.customer] = one  # type: ignore[union-attr]
        if "" in newest or len(newest) < self.limit:
            return None
        proof = sorted(newest.values(), key=AT)
        until = self.leaves(proof[len(proof) - self.limit].at, t, scene)
        own = next((one.at for one in counted[high:] if scene.is_own(one)), until)
        return Hit(min(until, own), tuple(proof))

    def text(self, hit: Hit, contact: Reached, t: int, scene: Scene) -> str:
        return f"{len(hit.proof)} other people of the company are contacted in {said(self.rule.window)}; at most {self.limit} are allowed."
