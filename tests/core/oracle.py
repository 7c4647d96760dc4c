"""What the findings must be, said a second time: written from the issue and the policy's comments, not from the core.

Everything is quadratic and starts from the whole set of touches; nothing is remembered, bounded, sliced or updated. It imports
neither `streams.core.detect` nor the timeline. A `Claimed` finding is what identifies one: rule, customer's touches, time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from streams.core.consent import ConsentChange
from streams.core.govern.policy import Segment
from streams.core.govern.records import LeadHeld
from streams.core.policy import Policy
from streams.core.touch import Touch
from tests.core.past_reading import names

DAY = 24 * 60 * 60 * 1000
CALL = ("dialed", "answered", "voicemail")
CONTACT = ("sent", "message_sent", "connection_request", *CALL)


class Claimed(NamedTuple):
    """A finding as far as the oracle speaks of it. `customer` is the set of the customer's identifiers' smallest id."""

    event_time: int
    rule: str
    customer: str
    touch_ids: tuple[str, ...]


class DoubtfulError(Exception):
    """A score lies within rounding of a threshold: either answer is right, so there is nothing to test."""


def findings(touches: Iterable[Touch], policy: Policy, id_key: str) -> list[Claimed]:
    """All double contacts, contacts after opt-out and hand-offs of these touches, sorted."""
    found: list[Claimed] = []
    for customer, theirs in people(touches, id_key).items():
        found += double_contacts(customer, theirs, policy)
        found += contacts_after_opt_out(customer, theirs, policy)
        found += handoffs(customer, theirs, policy)
    return sorted(found)


def people(touches: Iterable[Touch], id_key: str) -> dict[str, list[Touch]]:
    """Touches by person, in order of time and id, each id once. Who shares an identifier, through any others, is one person."""
    groups: list[tuple[set[str], list[Touch]]] = []
    for touch in touches:
        ids, members = set(names(touch.customer, id_key)), [touch]
        apart = []
        for other_ids, other_members in groups:
            if ids & other_ids:
                ids, members = ids | other_ids, other_members + members
            else:
                apart.append((other_ids, other_members))
        groups = [*apart, (ids, members)]
    return {
        min(ids): sorted({t.touch_id: t for t in members}.values(), key=lambda t: (t.occurred_at, t.touch_id))
        for ids, members in groups
        if ids
    }


def is_contact(touch: Touch) -> bool:
    """An outbound touch that reaches the customer."""
    return touch.direction == "outbound" and touch.kind in CONTACT


def contacts(touches: Sequence[Touch], policy: Policy) -> list[Touch]:
    """The customer's contacts, a call counted once, at its first phase."""
    later_phases: set[str] = set()
    phases = [touch for touch in touches if is_contact(touch) and touch.kind in CALL]
    for who in {_caller(phase) for phase in phases}:
        call: list[Touch] = []
        for phase in (phase for phase in phases if _caller(phase) == who):
            if call and _continues(phase, call, policy):
                call.append(phase)
                later_phases.add(phase.touch_id)
            else:
                call = [phase]
    return [touch for touch in touches if is_contact(touch) and touch.touch_id not in later_phases]


def _caller(phase: Touch) -> tuple[str, str, str | None]:
    if phase.interaction_id:
        return (phase.department, "interaction", phase.interaction_id)
    return (phase.department, "actor", phase.actor.id if phase.actor else None)


def _continues(phase: Touch, call: Sequence[Touch], policy: Policy) -> bool:
    since_start = phase.occurred_at - call[0].occurred_at
    if phase.interaction_id:
        return since_start < DAY
    return since_start < policy.calls.join_minutes * 60_000 and phase.kind not in [known.kind for known in call]


def double_contacts(customer: str, touches: Sequence[Touch], policy: Policy) -> list[Claimed]:
    """Contacts less than the window after a contact of another department."""
    if not policy.double_contact.enabled:
        return []
    found = []
    reached = contacts(touches, policy)
    for n, contact in enumerate(reached):
        nearest = []
        for department in {"marketing", "sales", "service"} - {contact.department}:
            theirs = [earlier for earlier in reached[:n] if earlier.department == department]
            if theirs and contact.occurred_at - theirs[-1].occurred_at < policy.double_contact.window_hours * 3_600_000:
                nearest.append(theirs[-1])
        if nearest:
            ids = tuple(sorted(touch.touch_id for touch in (*nearest, contact)))
            found.append(Claimed(contact.occurred_at, "double_contact", customer, ids))
    return found


def contacts_after_opt_out(
    customer: str, touches: Sequence[Touch], policy: Policy, records: Sequence[ConsentChange] = ()
) -> list[Claimed]:
    """Contacts with an opt-out before them, in their channel or, by policy, in any, or refused by a record of consent. Of each channel and
    purpose the newest record counts that has not ended; a contact must be refused by none that concerns it. Where one of these gives
    consent, opt-outs before it count no more."""
    if not policy.contact_after_opt_out.enabled:
        return []
    found = []
    for contact in contacts(touches, policy):
        before = touches[: touches.index(contact)]
        opt_outs = [
            touch
            for touch in before
            if touch.kind in ("unsubscribed", "complained")
            and (policy.contact_after_opt_out.scope == "all" or touch.channel == contact.channel)
        ]
        counting = consents_at(records, contact.channel, contact.category, contact.occurred_at)
        given = [one.at for one in counting if one.status == "granted"]
        opt_outs = [touch for touch in opt_outs if touch.occurred_at >= max(given, default=0)]
        said = [(touch.occurred_at, 1, touch.touch_id) for touch in opt_outs[-1:]]
        said += [(one.at, 0, one.consent_id) for one in counting if one.status != "granted"]
        if said:
            ids = tuple(sorted((max(said)[2], contact.touch_id)))
            found.append(Claimed(contact.occurred_at, "contact_after_opt_out", customer, ids))
    return found


def consents_at(records: Sequence[ConsentChange], channel: str, purpose: str | None, at: int) -> list[ConsentChange]:
    """The records that count for a contact at a moment (ms), the newest last; of two at one time the refusal is the newer one."""
    told = [
        one
        for one in records
        if one.at <= at < (one.until or at + 1)
        and one.channel in ("", channel)
        and (one.purpose == "" or one.purpose == purpose)
    ]
    told.sort(key=lambda one: (one.at, one.status != "granted", one.consent_id))
    return [
        one
        for n, one in enumerate(told)
        if not any((one.channel, one.purpose) == (later.channel, later.purpose) for later in told[n + 1 :])
    ]


class Answer(NamedTuple):
    """What sales said of a customer: from this moment (ms) on sales has them, or has given them back."""

    at: int
    with_sales: bool


def handoffs(customer: str, touches: Sequence[Touch], policy: Policy, answers: Sequence[Answer] = ()) -> list[Claimed]:
    """Requests and passings of the threshold, none within the cool-down, none before the score has fallen since the last. Fit takes part
    of the threshold off what engagement must reach; a touch by which it rises may pass it, once there was a reaction. Where leads are
    followed, also requests within the cool-down, but nothing while sales has the customer: from a hand-off until it gives them back."""
    rules = policy.handoff
    if not rules.enabled:
        return []
    weights = {str(kind): points for kind, points in rules.weights.items() if points}
    reacted = [
        touch.department in rules.departments
        and (touch.direction == "inbound" or touch.kind == "meeting")
        and (touch.kind in weights or touch.kind in rules.request_kinds)
        for touch in touches
    ]

    def engagement(count: int, at: int) -> float:
        days = {t.touch_id: (at - t.occurred_at) / DAY for t, did in zip(touches[:count], reacted, strict=False) if did}
        points = {t.touch_id: weights.get(t.kind, 0) for t in touches[:count]}
        total = sum(points[id_] * 0.5 ** (d / rules.half_life_days) for id_, d in days.items())
        for needed in {threshold(count), threshold(max(count - 1, 0))}:
            for border in (needed, needed * rules.rearm_below):
                if abs(total - border) < 1e-6 and any(days.values()):
                    raise DoubtfulError
        return total

    def threshold(count: int) -> float:
        return rules.threshold - sum(one.points for one in rules.fit if _is_in(one.segment, touches[:count]))

    handed: list[int] = []
    for n, touch in enumerate(touches):
        rose = touch.department in rules.departments and threshold(n + 1) < threshold(n)
        if not (reacted[n] or rose):
            continue
        at = touch.occurred_at
        if handed:
            last = handed[-1]
            if at - touches[last].occurred_at < rules.cool_down_days * DAY:
                continue
            # Engagement only falls between reactions, so it is lowest just before the next one, and before another fit.
            lows = [
                engagement(after, touches[after].occurred_at) < threshold(after) * rules.rearm_below
                for after in range(last + 1, n + 1)
                if reacted[after] or threshold(after + 1) != threshold(after)
            ]
            fell = any(lows)
        else:
            fell = True
        asked = reacted[n] and touch.kind in rules.request_kinds
        if asked or (fell and any(reacted[: n + 1]) and engagement(n + 1, at) >= threshold(n + 1)):
            handed.append(n)
    if _follows_leads(policy):
        asked_at = [n for n, t in enumerate(touches) if reacted[n] and t.kind in rules.request_kinds]
        handed = [n for n in sorted({*handed, *asked_at}) if not _sales_has(touches, n, {*handed, *asked_at}, answers)]
    return [Claimed(touches[n].occurred_at, "handoff", customer, (touches[n].touch_id,)) for n in handed]


def lead_held(
    customer: str, touches: Sequence[Touch], policy: Policy, answers: Sequence[Answer] = ()
) -> LeadHeld | None:
    """The lead that sales has after all of these touches: handed off, and not given back since. Whose it is, is not said."""
    if not _follows_leads(policy):
        return None
    last = max(answers, key=lambda answer: answer.at, default=Answer(-1, False))
    since = [one.event_time for one in handoffs(customer, touches, policy, answers) if one.event_time > last.at]
    since += [last.at] if last.with_sales else []
    return LeadHeld("", min(since)) if since else None


def _follows_leads(policy: Policy) -> bool:
    return policy.leads.enabled and bool(policy.teams or policy.leads.owners)


def _sales_has(touches: Sequence[Touch], n: int, interest: set[int], answers: Sequence[Answer]) -> bool:
    """Whether the customer is with sales when this touch comes: there was interest before it, and sales has not given them back since,
    or has taken them itself."""
    at = touches[n].occurred_at
    said = [answer for answer in answers if answer.at <= at]
    last = max(said, key=lambda answer: answer.at, default=Answer(-1, False))
    return last.with_sales or any(touches[m].occurred_at > last.at for m in interest if m < n)


def _is_in(segment: Segment, touches: Sequence[Touch]) -> bool:
    """Whether the newest touches that say so put the customer in the segment; lists only."""
    countries = [t.customer.country.upper() for t in touches if t.customer.country]
    zones = [t.customer.time_zone for t in touches if t.customer.time_zone]
    accounts = [t.account.id or t.account.domain for t in touches if t.account and (t.account.id or t.account.domain)]
    pairs = ((segment.country, countries), (segment.time_zone, zones), (segment.account, accounts))
    return all(not wanted or (has and has[-1] in wanted) for wanted, has in pairs)
