"""What sales is told when it gets a lead: why now, what the customer was told last, what is still running, and when which channel is free.

A pure function of the timeline, the policy and a moment, so it can be asked for again at any time and then says what holds by then.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from streams.core import fit
from streams.core.detect.base import evidence
from streams.core.engagement import after_all, asks, decay
from streams.core.entry import Entry
from streams.core.govern.check import check, known
from streams.core.govern.consents import agreed
from streams.core.govern.records import NOTHING, Agreed, Contact, Standing
from streams.core.leads.events import Note, Slot
from streams.core.leads.states import LeadState
from streams.core.outcome import Evidence, FitComponent, ScoreComponent
from streams.core.policy import DAY_MS, Policy
from streams.core.timeline import Timeline, bisect
from streams.core.touch import CHANNELS, CONTACT_KINDS

MESSAGES = 5
"""Last messages that are told: what a rep reads before a call."""


class Brief(Struct, frozen=True):
    """`fit` are points for what the customer is, which do not decay; `engagement` those for what they did, decayed to the moment.
    `messages` are the last contacts, newest first; `campaigns` and `sequences` those of the policy's `handoff.recent_campaign_days`, newest
    first. `slots`: earliest instant (UTC ms) at which the owner may use a channel, None when there is none within
    `governance.horizon_days`. `consents` is what a check knows of consent, with its proof (`streams.core.govern.consents`), `refused` the
    channels that the customer opted out of, or for which consent was denied or withdrawn as a whole.
    """

    lead_id: str
    owner: str | None
    team: str
    due_at: int | None
    asked: bool
    fit: tuple[FitComponent, ...]
    engagement: tuple[ScoreComponent, ...]
    score: float
    threshold: float
    crossing: Evidence | None
    messages: tuple[Evidence, ...]
    campaigns: tuple[str, ...]
    sequences: tuple[str, ...]
    consents: tuple[Agreed, ...]
    refused: tuple[str, ...]
    slots: dict[str, int | None]


def brief(
    timeline: Timeline,
    lead: LeadState,
    policy: Policy,
    now: int,
    standing: Standing = NOTHING,
) -> Brief:
    """The brief of a lead at a moment (UTC ms). `standing` is what is known besides touches: consents, lists, held slots."""
    rules, entries = policy.handoff, timeline.entries
    scored = after_all(timeline, rules)
    factor = decay(scored, now, rules)
    engagement = tuple(
        ScoreComponent(kind, touches, round(points * factor, 3)) for kind, touches, points in scored.parts
    )
    recent = entries[bisect(entries, (now - int(rules.recent_campaign_days * DAY_MS), "")) :]
    reached = [entry for entry in reversed(recent) if _told(entry)]
    fits = fit.components(scored.about, rules)
    score = sum(part.points for part in fits) + sum(part.points for part in engagement)
    history, rest = known(timeline, policy, now, standing)
    asked = [entry for entry in recent if asks(entry, rules)]
    consents = agreed(history, rest, now, asked)
    channel = CHANNELS[0]
    contact = Contact(now, channel, "sales", actor_id=lead.owner, actor_kind="person")
    verdict = check(history, contact, policy, now, rest, CHANNELS)
    crossing = next((entry for entry in recent if entry.id == lead.crossing), None)
    return Brief(
        lead.id, lead.owner, lead.team, lead.due_at, lead.asked,
        fits, engagement, round(score, 3), float(rules.threshold),
        None if crossing is None else evidence("crossing", crossing),
        tuple(evidence("message", entry) for entry in reached[:MESSAGES]),
        _named(reached, "campaign"), _named(reached, "sequence"),
        consents, _refused(consents),
        verdict.slots,
    )  # fmt: skip


def note(timeline: Timeline, lead: LeadState, policy: Policy, now: int) -> Note:
    """The part of the brief that is published with a hand-off; what only others know of the customer is not in it."""
    b = brief(timeline, lead, policy, now)
    slots = tuple([Slot(channel, at) for channel, at in b.slots.items()])
    return Note(
        b.asked, b.score, b.threshold, b.engagement, b.crossing, b.messages, b.campaigns, b.sequences, b.refused, slots, b.fit,
        b.consents,
    )  # fmt: skip


def _refused(consents: Sequence[Agreed]) -> tuple[str, ...]:
    whole = [
        one
        for one in consents
        if one.status == "opted_out" or (one.status in ("denied", "withdrawn") and not one.purpose)
    ]
    return tuple(sorted({channel for one in whole for channel in ((one.channel,) if one.channel else CHANNELS)}))


def _told(entry: Entry) -> bool:
    return entry.direction == "outbound" and entry.kind in CONTACT_KINDS and not entry.late


def _named(entries: Sequence[Entry], what: str) -> tuple[str, ...]:
    named: dict[str, Any] = dict.fromkeys(getattr(entry, what) for entry in entries if getattr(entry, what))
    return tuple(named)
