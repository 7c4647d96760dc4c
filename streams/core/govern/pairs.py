"""Rules about two contacts that are too near each other: departments, gaps, campaigns, sequences, offers.

Exactly the window apart is near no more, as with `double_contact`. The contact is measured against those before it, and those held for
later against it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Any

from streams.core import wording
from streams.core.govern.counting import per
from streams.core.govern.reasons import Reason
from streams.core.govern.records import Reached
from streams.core.govern.ruling import AT, Hit, Ruling
from streams.core.govern.scene import Scene
from streams.core.govern.windows import length_ms, reach_ms, said


class _Pairs(Ruling):
    """A kind says by `window` how far apart the later of two contacts must be from the earlier one; 0 when they do not concern each
    other."""

    def __init__(self, rule: Any, i: int) -> None:
        super().__init__(rule, i)
        self.length = length_ms(rule.window)
        self.longest = reach_ms(rule)

    def idle(self, scene: Scene) -> bool:
        return not scene.counted[self.i] and not scene.later[self.i]

    def window(self, later: Reached, earlier: Reached, scene: Scene) -> int:
        raise NotImplementedError

    def hinders(self, contact: Reached, t: int, scene: Scene, counts: bool) -> Hit | None:
        counted, later = scene.counted[self.i], scene.later[self.i]
        until = 0
        before, after = list[Reached](), list[Reached]()
        if counted:
            low, high = bisect_left(counted, t - self.longest + 1, key=AT), bisect_right(counted, t, key=AT)
            for one in reversed(self.candidates(contact, counted[low:high])):
                if len(before) >= self.most and one.at + self.longest <= until:
                    break  # what is older hinders no longer than that
                window = self.window(contact, one, scene)
                if t - one.at < window:
                    until = max(until, one.at + window)
                    before.append(one)
        if counts and later:
            near = later[bisect_left(later, t, key=AT) : bisect_left(later, t + self.longest, key=AT)]
            for one in near:
                if one.at - t < self.window(one, contact, scene):
                    after.append(one)
                    if len(after) >= self.most:
                        break
            if after:
                last = next(one for one in reversed(near) if one.at - t < self.window(one, contact, scene))
                until = max(until, last.at + 1)
        return Hit(until, (*before[: self.most][::-1], *after)) if before or after else None

    def candidates(self, contact: Reached, near: list[Reached]) -> list[Reached]:
        """Those of the earlier contacts that can concern this one."""
        return near

    def text(self, hit: Hit, contact: Reached, t: int, scene: Scene) -> str:
        nearest = min(hit.proof, key=lambda one: abs(t - one.at))
        side = "before" if nearest.at <= t else "after"
        apart = wording.span(abs(t - nearest.at))
        return f"{self.what(nearest)} {wording.when(nearest.at, t)} UTC is {apart} {side} this one; {self.wanted(contact, nearest, scene)}."

    def what(self, other: Reached) -> str:
        """The other contact, at the beginning of the sentence."""
        return f"The {wording.channel(other.channel)} contact of {other.department}"

    def wanted(self, contact: Reached, other: Reached, scene: Scene) -> str:
        """What the rule asks for, at its end."""
        return f"{said(self.rule.window)} apart is allowed"


class Overlap(_Pairs):
    """`department_overlap`."""

    reason = Reason.DEPARTMENT_OVERLAP

    def __init__(self, rule: Any, i: int) -> None:
        super().__init__(rule, i)
        self.pairs = {frozenset(pair.between): pair.window for pair in rule.pairs}

    def candidates(self, contact: Reached, near: list[Reached]) -> list[Reached]:
        mine = contact.department
        return [one for one in near if one.department != mine]

    def window(self, later: Reached, earlier: Reached, scene: Scene) -> int:
        if later.department == earlier.department:
            return 0
        own = self.pairs.get(frozenset((later.department, earlier.department))) if self.pairs else None
        return self.length if own is None else length_ms(own)

    def wanted(self, contact: Reached, other: Reached, scene: Scene) -> str:
        return f"two departments keep {said(self.window_of(contact, other))} apart"

    def window_of(self, contact: Reached, other: Reached) -> str:
        """How far apart the two must be, as the policy says it."""
        own: str = self.pairs.get(frozenset((contact.department, other.department)), self.rule.window)
        return own


class Gap(_Pairs):
    """`minimum_gap`."""

    reason = Reason.MINIMUM_GAP

    def __init__(self, rule: Any, i: int) -> None:
        super().__init__(rule, i)
        self.shared = per(rule)

    def window(self, later: Reached, earlier: Reached, scene: Scene) -> int:
        return self.length if self.shared is None or self.shared(later) == self.shared(earlier) else 0


class SameCampaign(_Pairs):
    """`duplicate_campaign`."""

    reason = Reason.DUPLICATE_CAMPAIGN

    def __init__(self, rule: Any, i: int) -> None:
        super().__init__(rule, i)
        self.shared = per(rule)

    def candidates(self, contact: Reached, near: list[Reached]) -> list[Reached]:
        mine = contact.campaign
        return [one for one in near if one.campaign == mine] if mine else []

    def window(self, later: Reached, earlier: Reached, scene: Scene) -> int:
        if not later.campaign or later.campaign != earlier.campaign:
            return 0
        if later.sequence and later.sequence == earlier.sequence:
            return 0
        return self.length if self.shared is None or self.shared(later) == self.shared(earlier) else 0

    def what(self, other: Reached) -> str:
        return f"The campaign '{other.campaign}' by {wording.channel(other.channel)}"


class TwoSequences(_Pairs):
    """`duplicate_sequence`."""

    reason = Reason.DUPLICATE_SEQUENCE

    def candidates(self, contact: Reached, near: list[Reached]) -> list[Reached]:
        return [one for one in near if one.sequence] if contact.sequence else []

    def window(self, later: Reached, earlier: Reached, scene: Scene) -> int:
        if not later.sequence or not earlier.sequence:
            return 0
        same = later.sequence == earlier.sequence and later.actor_id == earlier.actor_id
        return 0 if same else self.length

    def what(self, other: Reached) -> str:
        return f"A step of the sequence '{other.sequence}'"


class Incompatible(_Pairs):
    """`never_with`."""

    reason = Reason.INCOMPATIBLE_OFFERS

    def window(self, later: Reached, earlier: Reached, scene: Scene) -> int:
        one, other = scene.compiled.match(later), scene.compiled.match(earlier)
        if self.i in one.second and self.i in other.first:
            return self.length
        return self.length if not self.rule.ordered and self.i in one.first and self.i in other.second else 0

    def what(self, other: Reached) -> str:
        name = getattr(other, "label", None) or getattr(other, "offer", None) or other.campaign
        called = f"'{name}', " if name else ""
        return f"An offer that does not go with it ({called}{wording.channel(other.channel)})"
