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

_WHO = attrgetter("customer")


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
            until = self.leaves(counted[high - self.limit].at, t, scene)
            hit = Hit(until, tuple(counted[max(low, high - self.most) : high]), high - low)
        if counts and later:
            hit = self._harm(contact, t, scene, counted, hit)
        return hit

    def _harm(self, contact: Reached, t: int, scene: Scene, counted: Sequence[Reached], hit: Hit | None) -> Hit | None:
        """The same, when a contact at t would also be one too many for a later one. Of those the last says until when, and the first is
        the proof: so the others need not be looked at, of which a company may have thousands."""
        later, shared = scene.later[self.i], self.shared
        start = bisect_left(later, t, key=AT)
        behind = bisect_right(later, t, lo=start, key=lambda one: self.first(one.at, scene))
        if start == behind:
            return hit
        low = bisect_left(counted, self.first(later[start].at, scene), key=AT)
        if bisect_right(counted, later[behind - 1].at, key=AT) - low + 1 < self.limit:
            return hit  # all windows together have room
        near = later[start:behind]
        if shared is not None:
            mine = shared(contact)
            near = [one for one in near if shared(one) == mine]
        last = next((one for one in reversed(near) if self._full(one, counted, scene)), None)
        if last is None:
            return hit
        until = max(last.at + 1, hit.until if hit else 0)
        if hit is not None:
            return Hit(until, hit.proof, hit.many)
        first, (low, high) = next((one, place) for one in near if (place := self._full(one, counted, scene)))
        others = [one for one in counted[max(low, high - self.most) : high] if one is not first]
        is_counted = any(one is first for one in counted[low:high])
        return Hit(until, (*others, first), high - low + (not is_counted))

    def _full(self, one: Reached, counted: Sequence[Reached], scene: Scene) -> tuple[int, int] | None:
        """Where the window of a contact to come stands; None where it has room for one more."""
        low, high = bisect_left(counted, self.first(one.at, scene), key=AT), bisect_right(counted, one.at, key=AT)
        others = high - low
        if others + 1 == self.limit:
            others -= any(other is one for other in counted[bisect_left(counted, one.at, key=AT) : high])
        return (low, high) if others + 1 >= self.limit else None

    def text(self, hit: Hit, contact: Reached, t: int, scene: Scene) -> str:
        of = "" if self.shared is None else f" of one {self.rule.per}"
        whom = "The company has" if self.rule.scope == "account" else "The customer has"
        return f"{whom} {hit.many} other contacts{of} in {said(self.rule.window)}; at most {self.limit} are allowed."


class PeopleCap(_Windowed):
    """`account_cap`. Judged by the contacts before; what it means for contacts with others that are held for later is theirs to ask."""

    reason = Reason.ACCOUNT_CAP

    def hinders(self, contact: Reached, t: int, scene: Scene, counts: bool) -> Hit | None:
        counted = scene.counted[self.i]
        low, high = bisect_left(counted, self.first(t, scene), key=AT), bisect_right(counted, t, key=AT)
        people = set(map(_WHO, counted[low:high]))
        if len(people) < self.limit or not people.isdisjoint(("", scene.customer)):
            return None
        newest: dict[str, Reached] = {}
        for one in reversed(counted[low:high]):
            newest.setdefault(one.customer, one)
            if len(newest) >= max(self.limit, self.most):
                break
        proof = tuple(newest.values())
        until = self.leaves(proof[self.limit - 1].at, t, scene)
        after = list(map(_WHO, counted[high:]))
        own = [counted[high + after.index(who)].at for who in ("", scene.customer) if who in after]
        return Hit(min([until, *own]), proof[: self.most][::-1], len(people))

    def text(self, hit: Hit, contact: Reached, t: int, scene: Scene) -> str:
        return f"{hit.many} other people of the company are contacted in {said(self.rule.window)}; at most {self.limit} are allowed."
