"""May the contact be made at this instant? Said a second time, from the policy's words: whole lists, no jumps, no bisection.

Quadratic. It imports nothing of `streams.core.govern` but records. Contacts must be whole (no phases of calls to join).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import holidays as kept

from streams.core.entry import Entry
from streams.core.govern.policy import Filter
from streams.core.govern.records import Contact, Standing
from streams.core.policy import Policy

UNIT = {"m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
CONTACT = ("sent", "message_sent", "connection_request", "dialed", "answered", "voicemail")
FIRST_KIND = {"email": "sent", "linkedin": "message_sent", "calls": "dialed", "ads": "impression"}
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


WHERE: dict[str, Any] = {
    'country == "DE" && !account.endsWith("me")': lambda country, account, tier: (
        country == "DE" and account[-2:] != "me"
    ),
    'attributes.tier != "gold" || account in ["acme"]': lambda country, account, tier: (
        tier != "gold" or account == "acme"
    ),
}
"""Expressions of segments, and what they mean."""


def broken(history: Sequence[Entry], contact: Contact, policy: Policy, t: int, standing: Standing) -> set[str]:
    """Names of the enabled rules that the contact breaks when it is made at t."""
    made = [e for e in history if e.direction == "outbound" and e.kind in CONTACT and not e.late]
    ids = {e.id for e in history} | {contact.id}
    held = [c for c in standing.held if not c.id or c.id not in ids]
    own: list[Any] = [c for c in (*made, *held) if kind(c) in CONTACT]
    zone = newest(history, "time_zone", standing.time_zone)
    country = newest(history, "country", standing.country)
    account = newest(history, "account", standing.account)
    found = set()
    for rule in policy.rules:
        if not rule.enabled or not is_subject(rule, contact):
            continue
        segment = rule.segment
        if (
            (segment.country and (country or "") not in segment.country)
            or (segment.time_zone and (zone or "") not in segment.time_zone)
            or (segment.account and (account or "") not in segment.account)
            or any(standing.attributes.get(key, "") not in some for key, some in segment.attributes.items())
            or (
                segment.where
                and not WHERE[segment.where](country or "", account or "", standing.attributes.get("tier", ""))
            )
        ):
            continue
        others = [*own, *standing.account_contacts] if getattr(rule, "scope", "") == "account" else own
        if JUDGES[type(rule).__name__](rule, history, others, contact, t, standing, zone_of(zone), country, policy):
            found.add(rule.name)
    return found


def newest(history: Sequence[Entry], name: str, otherwise: str | None) -> str | None:
    given = [getattr(e, name) for e in history if getattr(e, name) and not e.late]
    return given[-1] if given else otherwise


def zone_of(name: str | None) -> ZoneInfo:
    return ZoneInfo(name or "UTC")


def kind(one: Any) -> str:
    return one.kind or FIRST_KIND[one.channel]


def matches(filter_: Filter, one: Any) -> bool:
    wanted = {
        "channel": one.channel, "department": one.department, "category": one.category or "", "campaign": one.campaign or "",
        "sequence": one.sequence or "", "kind": kind(one), "actor": one.actor_id or "", "actor_kind": one.actor_kind or "unknown",
    }  # fmt: skip
    named = (
        [c.value for c in one.claims if c.kind == "offer"] if isinstance(one, Entry) else [(one.offer or "").lower()]
    )
    offers = [name.lower() for name in filter_.offer]
    plain = all(value in getattr(filter_, name) for name, value in wanted.items() if getattr(filter_, name))
    return plain and (not offers or any(name in offers for name in named))


def some(filters: Sequence[Filter], one: Any) -> bool:
    return any(matches(each, one) for each in filters)


def is_subject(rule: Any, one: Any) -> bool:
    if rule.exempt_from_priority is not None and one.priority is not None and one.priority >= rule.exempt_from_priority:
        return False
    if rule.applies_to and not some(rule.applies_to, one):
        return False
    return not some(rule.exempt, one)


def counts(rule: Any, one: Any) -> bool:
    return (not rule.counts or some(rule.counts, one)) and not some(rule.ignores, one)


def length(text: str) -> int:
    return int(float(text[:-1]) * UNIT[text[-1]])


def local(t: int, zone: ZoneInfo) -> dt.datetime:
    return (dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(milliseconds=t)).astimezone(zone)


def together(rule: Any, earlier: int, later: int, zone: ZoneInfo) -> bool:
    """Whether two instants share a window."""
    if rule.window not in ("day", "week", "month"):
        return 0 <= later - earlier < length(rule.window)
    one, other = local(earlier, zone).date(), local(later, zone).date()
    if rule.window == "day":
        return one == other
    if rule.window == "week":
        return one.isocalendar()[:2] == other.isocalendar()[:2]
    return (one.year, one.month) == (other.year, other.month)


def same(rule: Any, one: Any, other: Any) -> bool:
    return rule.per == "all" or getattr(one, rule.per) == getattr(other, rule.per)


def cap(rule: Any, history: Any, others: Any, contact: Any, t: int, standing: Any, zone: ZoneInfo, *rest: Any) -> bool:
    counted = [one for one in others if counts(rule, one)]
    mine = [one for one in counted if one.at <= t and together(rule, one.at, t, zone) and same(rule, one, contact)]
    if len(mine) >= rule.limit:
        return True
    if not counts(rule, contact):
        return False
    for later in others:
        if (
            later.at < t
            or not is_subject(rule, later)
            or not same(rule, later, contact)
            or not together(rule, t, later.at, zone)
        ):
            continue
        before = [
            one
            for one in counted
            if one is not later
            and one.at <= later.at
            and together(rule, one.at, later.at, zone)
            and same(rule, one, later)
        ]
        if len(before) + 1 >= rule.limit:
            return True
    return False


def people(
    rule: Any, history: Any, others: Any, contact: Any, t: int, standing: Any, zone: ZoneInfo, *rest: Any
) -> bool:
    everyone = [*others, *standing.account_contacts]
    met = {
        getattr(one, "customer", "")
        for one in everyone
        if counts(rule, one) and one.at <= t and together(rule, one.at, t, zone)
    }
    return "" not in met and len(met) >= rule.limit


def pairs(rule: Any, others: Any, contact: Any, t: int, window: Any) -> bool:
    for one in others:
        if one.at <= t and counts(rule, one) and t - one.at < window(contact, one):
            return True
        if one.at >= t and is_subject(rule, one) and counts(rule, contact) and one.at - t < window(one, contact):
            return True
    return False


def overlap(rule: Any, history: Any, others: Any, contact: Any, t: int, *rest: Any) -> bool:
    def window(one: Any, other: Any) -> int:
        if one.department == other.department:
            return 0
        for pair in rule.pairs:
            if set(pair.between) == {one.department, other.department}:
                return length(pair.window)
        return length(rule.window)

    return pairs(rule, others, contact, t, window)


def gap(rule: Any, history: Any, others: Any, contact: Any, t: int, *rest: Any) -> bool:
    return pairs(rule, others, contact, t, lambda one, other: length(rule.window) if same(rule, one, other) else 0)


def campaign(rule: Any, history: Any, others: Any, contact: Any, t: int, *rest: Any) -> bool:
    def window(one: Any, other: Any) -> int:
        twice = one.campaign and one.campaign == other.campaign and same(rule, one, other)
        step = one.sequence and one.sequence == other.sequence
        return length(rule.window) if twice and not step else 0

    return pairs(rule, others, contact, t, window)


def sequence(rule: Any, history: Any, others: Any, contact: Any, t: int, *rest: Any) -> bool:
    def window(one: Any, other: Any) -> int:
        both = one.sequence and other.sequence
        return length(rule.window) if both and (one.sequence, one.actor_id) != (other.sequence, other.actor_id) else 0

    return pairs(rule, others, contact, t, window)


def never(rule: Any, history: Any, others: Any, contact: Any, t: int, *rest: Any) -> bool:
    def clash(later: Any, earlier: Any) -> bool:
        forward = some(rule.b, later) and some(rule.a, earlier)
        return forward or (not rule.ordered and some(rule.a, later) and some(rule.b, earlier))

    reach = length(rule.window)
    return any(
        (one.at <= t and t - one.at < reach and clash(contact, one))
        or (one.at >= t and one.at - t < reach and is_subject(rule, one) and clash(one, contact))
        for one in others
    )


def quiet(
    rule: Any, history: Any, others: Any, contact: Any, t: int, standing: Any, zone: ZoneInfo, *rest: Any
) -> bool:
    now = local(t, zone)
    clock, today = f"{now:%H:%M}", DAYS[now.weekday()]
    yesterday = DAYS[now.weekday() - 1]
    if rule.start < rule.end:
        return today in rule.days and rule.start <= clock < rule.end
    return (today in rule.days and clock >= rule.start) or (yesterday in rule.days and clock < rule.end)


def holiday(
    rule: Any, history: Any, others: Any, contact: Any, t: int, standing: Any, zone: ZoneInfo, country: Any, *rest: Any
) -> bool:
    return bool(country) and local(t, zone).date() in calendar(country)


def opt_out(rule: Any, history: Any, others: Any, contact: Any, t: int, standing: Any, *rest: Any) -> bool:
    counting = counting_consents(contact, t, standing)
    freed_at = max((one.at for one in counting if one.status == "granted"), default=0)
    for one in (*history, *standing.opt_outs):
        if one.kind in ("unsubscribed", "complained") and freed_at <= one.at <= t:
            fits = one.channel == contact.channel
            if rule.reach == "all" or (fits and (rule.reach == "channel" or one.category in (None, contact.category))):
                return True
    return False


def consent(rule: Any, history: Any, others: Any, contact: Any, t: int, standing: Any, *rest: Any) -> bool:
    counting = counting_consents(contact, t, standing)
    if any(one.status != "granted" for one in counting):
        return True
    return not counting and rule.unknown == "deny"


def counting_consents(contact: Any, t: int, standing: Any) -> list[Any]:
    """The newest record in force of each channel and purpose that the contact falls under; of two at one time the refusal."""
    latest = {}
    for one in sorted(standing.consents, key=lambda one: (one.at, one.status != "granted")):
        about = one.channel in ("", contact.channel) and one.purpose in ("", contact.category or "")
        if about and one.at <= t and (one.until is None or t < one.until):
            latest[one.channel, one.purpose] = one
    return list(latest.values())


def listed(rule: Any, history: Any, others: Any, contact: Any, t: int, standing: Any, *rest: Any) -> bool:
    return any(one.at <= t and (one.until is None or t < one.until) for one in standing.do_not_contact)


def deal(rule: Any, history: Any, others: Any, contact: Any, t: int, standing: Any, *rest: Any) -> bool:
    return any(one.at <= t and (one.until is None or t < one.until) for one in standing.open_deals)


def with_sales(rule: Any, history: Any, others: Any, contact: Any, t: int, standing: Any, *rest: Any) -> bool:
    return standing.with_sales is not None and standing.with_sales.at <= t


def owner(rule: Any, history: Any, others: Any, contact: Any, t: int, standing: Any, *rest: Any) -> bool:
    of = owned_by(history, rest[-1], standing)
    return bool(of and contact.actor_kind == "person" and contact.actor_id not in (None, of))


def owned_by(history: Sequence[Entry], policy: Policy, standing: Standing) -> str | None:
    """Whose customer it is."""
    lead, account = standing.with_sales, newest(history, "account", standing.account)
    return standing.owner or (lead and lead.owner) or policy.leads.owners.get(account or "")


def replied(rule: Any, history: Any, others: Any, contact: Any, t: int, *rest: Any) -> bool:
    return any(e.kind in rule.replies and not e.late and 0 <= t - e.at < length(rule.window) for e in history)


def rejected(rule: Any, history: Any, others: Any, contact: Any, t: int, *rest: Any) -> bool:
    times = [
        e.at
        for e in history
        if e.kind in rule.rejections and not e.late and (rule.per == "all" or e.channel == contact.channel)
    ]
    return any(
        0 <= t - last < length(rule.pause) and last - times[n - rule.limit + 1] < length(rule.window)
        for n, last in enumerate(times)
        if n >= rule.limit - 1
    )


def stale(
    rule: Any,
    history: Any,
    others: Any,
    contact: Any,
    t: int,
    standing: Any,
    zone: ZoneInfo,
    country: Any,
    policy: Policy,
) -> bool:
    facts = policy.campaigns.get(contact.campaign or "")
    ends = [day for day in (facts and facts.deadline, contact.offer_ends) if day]
    return any(local(t, zone).date() > day for day in ends)


@lru_cache
def calendar(country: str) -> Any:
    return kept.country_holidays(country, years=2026)


JUDGES: dict[str, Any] = {
    "FrequencyCap": cap, "AccountCap": people, "DepartmentOverlap": overlap, "MinimumGap": gap, "DuplicateCampaign": campaign,
    "DuplicateSequence": sequence, "NeverWith": never, "QuietHours": quiet, "Holidays": holiday, "OptOut": opt_out,
    "ConsentRule": consent, "DoNotContact": listed, "OpenDeal": deal, "SalesLead": with_sales, "OwnerCollision": owner,
    "AfterReply": replied, "RejectionCoolDown": rejected, "StaleOffer": stale,
}  # fmt: skip
