"""Leads as the topic `leads` has them now, for the commands: found, shown, and told of in the words of `streams.core.leads.brief`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import aclosing
from typing import Any

from msgspec import Struct

from streams.commands.common import CommandError, unreadable
from streams.commands.identifiers import look_up
from streams.commands.publishing import run_kafka
from streams.commands.rendering import consent, evidence, score_parts
from streams.core.dead_letter import DeadLetter
from streams.core.entry import DamagedError, newest_name
from streams.core.leads import asked, event_json
from streams.core.leads import problems as judged
from streams.core.leads.brief import Brief, brief
from streams.core.leads.contradiction import campaign_contacts, last_after
from streams.core.leads.events import LeadEvent, standing, still_here
from streams.core.leads.states import GIVEN_BACK
from streams.core.policy import Policy
from streams.core.touch_json import rfc3339
from streams.edge.codec import Codec, DecodeError
from streams.edge.history import history
from streams.edge.reader import Stored, decoded, learn, open_codec, read
from streams.edge.topics import DEAD_LETTER, LEADS
from streams.settings import Settings

SKEW_MS = 10 * 60_000
"""How far the clock of who asks may be ahead of Kafka's: its answer is looked for from so much earlier."""


class Told(Struct, frozen=True):
    """What sales is told of a lead; the customer's name as touches give it. `campaign_at` (UTC ms): when marketing last got in touch since
    the hand-off; None: never."""

    name: str | None
    brief: Brief
    campaign_at: int | None = None


class Lead(Struct, frozen=True):
    """A customer's lead: its newest change, and when it was handed off (UTC ms; None: it was not)."""

    event: LeadEvent
    handed_off_at: int | None = None

    @property
    def due_at(self) -> int | None:
        """Until when somebody must get in touch (UTC ms); None when somebody has, or need not."""
        return judged.due(self.event)

    def problems(self, now: int, told: Told | None) -> list[str]:
        """Why somebody must act on it at a moment (UTC ms)."""
        return judged.problems(self.event, None if told is None else told.campaign_at, now)


async def current(settings: Settings) -> dict[str, Lead]:
    """The lead of each customer. Raises ReadError, or DecodeError when a record is no lead event."""
    events: dict[str, list[LeadEvent]] = {}
    async with open_codec(settings) as codec:
        records = read(settings, [settings.topic(LEADS)], start="beginning", follow=False)
        async for _, event in decoded(records, codec, codec.decode_lead_event):
            if isinstance(event, DecodeError):
                raise event
            events.setdefault(event.customer, []).append(event)
    held = {customer: still_here(standing(of_one)) for customer, of_one in events.items()}
    return {customer: _lead(of_one) for customer, of_one in held.items() if of_one}


def _lead(events: Sequence[LeadEvent]) -> Lead:
    last = events[-1]
    begun = (
        one.at for one in events if one.kind == "handed_off" and one.lead_id == last.lead_id and one.cycle == last.cycle
    )
    return Lead(last, next(begun, None))


async def briefs(settings: Settings, leads: Iterable[Lead], policy: Policy, now: int) -> dict[str, Told]:
    """What sales is told of each at a moment, by customer, as far as the workers still hold the timeline. Raises ReadError."""
    wanted = {lead.event.customer: lead for lead in leads}
    if not wanted:
        return {}
    timelines = await history(settings, wanted)
    found = {}
    for customer, lead in wanted.items():
        try:
            timeline = timelines[customer]
            if timeline.lead is not None:
                campaign_at = last_after(campaign_contacts(timeline.entries, policy), lead.handed_off_at)
                # The timeline's own is that of touches that it holds no more.
                name = newest_name(timeline.entries) or timeline.name
                found[customer] = Told(name, brief(timeline, timeline.lead, policy, now), campaign_at)
        except KeyError:
            continue
        except DamagedError as error:
            raise unreadable(error.of(customer), settings) from None
    return found


def find(settings: Settings, text: str) -> Lead:
    """The lead with this id, or that of this customer. Raises CommandError."""
    leads = run_kafka(current(settings))
    for lead in leads.values():
        if text in (lead.event.lead_id, lead.event.customer):
            return lead
    person = look_up(text, None, settings).person
    theirs = [leads[id_] for id_ in person.ids if id_ in leads]
    if not theirs:
        raise CommandError(f"{text!r} has no lead; `touchstream handoff list` has all that are with sales")
    return max(theirs, key=lambda lead: lead.event.at)


async def outcome(settings: Settings, command_id: str, issued_at: int) -> LeadEvent | str | None:
    """What came of a command of a moment (UTC ms): the change of the lead, or why it was refused; None when nothing has yet."""
    cause, start = asked.act_id(command_id), issued_at - SKEW_MS
    async with open_codec(settings) as codec:
        records = read(settings, [settings.topic(LEADS)], start=start, follow=False)
        async with aclosing(decoded(records, codec, codec.decode_lead_event)) as events:  # type: ignore[type-var]
            async for _, event in events:
                if isinstance(event, LeadEvent) and event.cause == cause:
                    return event
        records = read(settings, [settings.topic(DEAD_LETTER)], start=start, follow=False)
        async with aclosing(decoded(records, codec, codec.decode_dead_letter)) as letters:  # type: ignore[type-var]
            async for stored, letter in letters:
                if isinstance(letter, DeadLetter) and await _is_of(letter, command_id, codec, stored):
                    return letter.detail
    return None


async def _is_of(letter: DeadLetter, command_id: str, codec: Codec, stored: Stored) -> bool:
    try:
        # A schema of the registry, which the record of the letter itself does not name.
        await learn(codec, letter.payload, stored.address)
        return codec.decode_command(letter.payload).command_id == command_id
    except DecodeError:  # of something else
        return False


def text(lead: Lead, told: Told | None, now: int) -> str:
    """For people: due time, state, owner, customer; why and whose; what the customer was told last; what is still running; the ids."""
    event = lead.event
    due = "" if lead.due_at is None else f", due {rfc3339(lead.due_at)}"
    problems = "".join(f" [{problem.upper()}]" for problem in lead.problems(now, told))
    who = event.customer if told is None or told.name is None else f"{told.name} ({event.customer})"
    lines = [
        f"{event.state} since {rfc3339(event.at)}{due}{problems}  {event.owner or 'nobody'} ({event.team or 'no team'})  {who}"
    ]
    if told is not None:
        why = "asked" if told.brief.asked else f"score {told.brief.score:.1f} of {told.brief.threshold:g}"
        act = "" if told.brief.crossing is None else f": {evidence(told.brief.crossing)}"
        lines.append(f"  {why}{act}")
        parts = score_parts(told.brief.engagement, told.brief.fit)
        lines += [f"  points: {parts}"] if parts else []
        lines += [f"  - {evidence(proof)}" for proof in told.brief.messages] or ["  - nothing was sent lately"]
        running = [*told.brief.campaigns, *told.brief.sequences]
        if running:
            lines.append(f"  still running: {', '.join(running)}")
        if told.brief.refused:
            lines.append(f"  opted out of: {', '.join(told.brief.refused)}")
        lines += [f"  consent: {consent(one, told.brief.consents)}" for one in told.brief.consents]
        free = [
            f"{channel} {rfc3339(at) if at > now else 'now'}"
            for channel, at in told.brief.slots.items()
            if at is not None
        ]
        lines.append(f"  may be contacted: {', '.join(free) or 'in no channel'}")
    lines.append(f"  lead {event.lead_id}, hand-off {event.cycle}, rep {event.attempt}")
    return "\n".join(lines)


def as_dict(lead: Lead, told: Told | None, now: int) -> dict[str, Any]:
    """The same for scripts."""
    values = event_json.as_dict(lead.event)
    values["problems"] = lead.problems(now, told)
    if told is not None:
        values |= {"customer_name": told.name, "brief": event_json.brief_as_dict(told.brief)}
    return values


def sentence(event: LeadEvent) -> str:
    """What has come of an answer. A lead keeps why it was given back before; that is said only where it is given back now."""
    given_back = event.kind in GIVEN_BACK
    again = (
        f", to be looked at again on {rfc3339(event.recycle_at)[:10]}"
        if given_back and event.recycle_at is not None
        else ""
    )
    reason = f" ({event.reason.replace('_', ' ')})" if given_back and event.reason is not None else ""
    why = f" ({event.why})" if event.kind == "accepted" and event.why else ""
    return f"{event.kind}{reason}{why}: lead {event.lead_id} of {event.customer} is {event.state.replace('_', ' ')} now{again}"
