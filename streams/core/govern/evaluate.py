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
    sides = compiled.match(contact)
    counts, rulings = sides.counts, compiled.rulings
    for i in sides.applies:
        ruling = rulings[i]
        hit = ruling.hinders(contact, t, scene, i in counts)
        if hit is not None and not exempt(ruling, contact) and (ruling.everyone or scene.within(ruling.rule.segment)):
            yield ruling, hit


def slot(compiled: Compiled, scene: Scene, contact: Contact, at: int, horizon: int) -> int | None:
    """The earliest instant from `at` on, up to the horizon, at which the contact may be made."""
    t = at
    for _ in range(JUMPS):
        until = t
        for ruling, hit in broken(compiled, scene, contact, t):
            if hit.until > until and blocks(ruling.rule.action, contact):
                until = hit.until
        if until == t:
            return t
        if until > horizon:
            return None
        t = until
    return None


def exempt(ruling: Ruling, contact: Reached) -> bool:
    least = ruling.rule.exempt_from_priority
    return least is not None and contact.priority is not None and contact.priority >= least


def blocks(action: str, contact: Contact) -> bool:
    return action != "alert" and not (action == "require_approval" and contact.approved_by)
