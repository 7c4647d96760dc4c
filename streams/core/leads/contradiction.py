"""Marketing gets in touch while sales has the customer: a contradiction, which is over once the campaign has been silent for a while."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from streams.core.policy import DAY_MS, Policy
from streams.core.touch import CONTACT_KINDS

LATELY_DAYS = 7
"""A campaign that has not reached the customer for so long has let go: most send once a week or oftener."""


class _Touch(Protocol):
    """A touch as a timeline or the ledger keeps it."""

    @property
    def at(self) -> int: ...
    @property
    def department(self) -> str: ...
    @property
    def direction(self) -> str: ...
    @property
    def kind(self) -> str: ...


def campaign_contacts(touches: Iterable[_Touch], policy: Policy) -> list[int]:
    """When marketing got in touch (UTC ms), in the order of the touches."""
    ours = policy.handoff.departments
    return [
        touch.at
        for touch in touches
        if touch.department in ours and touch.direction == "outbound" and touch.kind in CONTACT_KINDS
    ]


def last_after(contacts: Sequence[int], handed_off_at: int | None) -> int | None:
    """The last contact behind a hand-off (UTC ms); None when there is none, or no hand-off. `contacts` are in order."""
    return contacts[-1] if contacts and handed_off_at is not None and contacts[-1] > handed_off_at else None


def contradicts(contact_at: int | None, now: int) -> bool:
    """Whether a campaign that last reached the customer then still counts as running at a moment (UTC ms)."""
    return contact_at is not None and contact_at > now - LATELY_DAYS * DAY_MS
