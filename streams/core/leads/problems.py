"""Why somebody must act on a lead that is with sales: one judgement for the command line, /metrics and alerts."""

from __future__ import annotations

from typing import Protocol

from streams.core.leads.contradiction import contradicts
from streams.core.leads.states import UNTOUCHED, WITH_SALES, State

PROBLEMS = ("orphan", "overdue", "contradicted")
"""A lead may have several."""


class Held(Protocol):
    """A lead as an event, a fact or a figure has it; `due_at` in UTC ms."""

    @property
    def state(self) -> State: ...
    @property
    def owner(self) -> str | None: ...
    @property
    def due_at(self) -> int | None: ...


def due(lead: Held) -> int | None:
    """Until when somebody must get in touch (UTC ms); None when somebody has, or need not."""
    return lead.due_at if lead.state in UNTOUCHED else None


def problems(lead: Held, campaign_at: int | None, now: int) -> list[str]:
    """Those of `PROBLEMS` that hold at a moment (UTC ms); `campaign_at` is when marketing last got in touch since the hand-off.

    An orphan is a hand-off that nobody owns and nobody has taken up, or a deal for which a rep was looked for and not found. Who touches it
    owns it.
    """
    until, looked_for = due(lead), lead.state == "opportunity" and lead.due_at is not None
    found = {
        "orphan": lead.owner is None and (lead.state in UNTOUCHED or looked_for),
        "overdue": until is not None and until < now,
        "contradicted": lead.state in WITH_SALES and contradicts(campaign_at, now),
    }
    return [name for name in PROBLEMS if found[name]]
