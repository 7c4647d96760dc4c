"""Asking all rules about one instant, and finding the first at which none hinders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from streams.core.govern.compiled import Compiled
from streams.core.govern.records import Contact, Reached
from streams.core.govern.ruling import Hit, Ruling
from streams.core.govern.scene import Scene

ROUNDS = 10_000
"""More rounds than any policy needs to cross the horizon: a bound, should a rule ever jump in tiny steps."""


def broken(compiled: Compiled, scene: Scene, contact: Reached, t: int) -> Iterator[tuple[Ruling, Hit]]:
    """All rules that a contact at t breaks."""
    for ruling, counts in _in_scope(compiled, scene, contact, compiled.match(contact).rulings):
        hit = ruling.hinders(contact, t, scene, counts)
        if hit is not None:
            yield ruling, hit


Pairs = Sequence[tuple[Ruling, bool]]
"""Rules, and whether the contact counts towards each, too."""


def _in_scope(compiled: Compiled, scene: Scene, contact: Reached, rulings: Pairs) -> Pairs:
    """Those among the rules that this customer and this priority do not take the contact out of."""
    if compiled.selects:
        return [
            (ruling, counts)
            for ruling, counts in rulings
            if not exempt(ruling, contact) and (ruling.everyone or scene.within(ruling.rule.segment))
        ]
    return rulings


def slot(compiled: Compiled, scene: Scene, contact: Contact, at: int, horizon: int) -> int | None:
    """The earliest instant from `at` on, up to the horizon, at which the contact may be made.

    The rules are asked in turn, each at the instant to which the others have moved it, until a whole round moves it no more.
    """
    rulings = _in_scope(compiled, scene, contact, compiled.match(contact).stopping)
    rulings = [pair for pair in rulings if not pair[0].idle(scene)]  # most are, and would be asked at each instant
    if contact.approved_by:
        rulings = [pair for pair in rulings if blocks(pair[0].rule.action, contact)]
    t = at
    for _ in range(ROUNDS):
        moved = False
        for ruling, counts in rulings:
            hit = ruling.hinders(contact, t, scene, counts)
            if hit is not None:
                if hit.until > horizon:
                    return None
                t, moved = hit.until, True
        if not moved:
            return t
    return None


def exempt(ruling: Ruling, contact: Reached) -> bool:
    least = ruling.rule.exempt_from_priority
    return least is not None and contact.priority is not None and contact.priority >= least


def blocks(action: str, contact: Contact) -> bool:
    return action != "alert" and not (action == "require_approval" and contact.approved_by)
