"""Asking all rules about one instant, and finding the first at which none hinders."""

from __future__ import annotations

from collections.abc import Iterator

from streams.core.govern.compiled import Compiled
from streams.core.govern.records import Contact, Reached
from streams.core.govern.ruling import Hit, Ruling
from streams.core.govern.scene import Scene

JUMPS = 10_000
"""More jumps than any policy needs to cross the horizon: a bound, should a rule ever jump in tiny steps."""


def broken(compiled: Compiled, scene: Scene, contact: Reached, t: int) -> Iterator[tuple[Ruling, Hit]]:
    """All rules that a contact at t breaks."""
    for ruling, counts in subject_to(compiled, scene, contact):
        hit = ruling.hinders(contact, t, scene, counts)
        if hit is not None:
            yield ruling, hit


def subject_to(compiled: Compiled, scene: Scene, contact: Reached) -> list[tuple[Ruling, bool]]:
    """The rules that the contact is subject to, and whether it counts towards them too."""
    applies, counts = compiled.match(contact)[:2]
    rulings = [(compiled.rulings[i], i in counts) for i in applies]
    if compiled.selects:
        return [
            (ruling, counted)
            for ruling, counted in rulings
            if not exempt(ruling, contact) and (ruling.everyone or scene.within(ruling.rule.segment))
        ]
    return rulings


def slot(compiled: Compiled, scene: Scene, contact: Contact, at: int, horizon: int) -> int | None:
    """The earliest instant from `at` on, up to the horizon, at which the contact may be made.

    The rules are asked in turn, each at the instant to which the others have moved it, until a whole round moves it no more.
    """
    rulings = [pair for pair in subject_to(compiled, scene, contact) if blocks(pair[0].rule.action, contact)]
    t, n, agreed = at, 0, 0
    for _ in range(JUMPS):
        if agreed == len(rulings):
            return t
        ruling, counts = rulings[n]
        hit = ruling.hinders(contact, t, scene, counts)
        if hit is None:
            agreed, n = agreed + 1, (n + 1) % len(rulings)
        elif hit.until > horizon:
            return None
        else:
            agreed, t = 0, hit.until
    return None


def exempt(ruling: Ruling, contact: Reached) -> bool:
    least = ruling.rule.exempt_from_priority
    return least is not None and contact.priority is not None and contact.priority >= least


def blocks(action: str, contact: Contact) -> bool:
    return action != "alert" and not (action == "require_approval" and contact.approved_by)
