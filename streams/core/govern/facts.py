"""Rules about what the customer said and did, and what is agreed about them: opt-outs, consent, lists, owners, deals, replies,
rejections, ended offers."""

from __future__ import annotations

import datetime as dt
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from streams.core import consent, wording
from streams.core.entry import Entry
from streams.core.govern.clocks import instant, local_date
from streams.core.govern.reasons import Reason
from streams.core.govern.records import Reached
from streams.core.govern.ruling import AT, FOREVER, Hit, Ruling
from streams.core.govern.scene import Scene
from streams.core.govern.windows import length_ms, said

_ONE_DAY = dt.timedelta(days=1)


class OptedOut(Ruling):
    """`opt_out`. The latest opt-out that holds is the proof; consent that was given since ends it."""

    reason = Reason.AFTER_OPT_OUT

    def idle(self, scene: Scene) -> bool:
        return not scene.opt_outs

    def hinders(self, contact: Reached, t: int, scene: Scene, counts: bool) -> Hit | None:
        reach, latest = self.rule.reach, None
        for opt_out in scene.opt_outs:
            if opt_out.at > t or (reach != "all" and opt_out.channel != contact.channel):
                continue
            if reach == "category" and opt_out.category and opt_out.category != contact.category:
                continue
            if latest is None or (latest.at, latest.id) < (opt_out.at, opt_out.id):
                latest = opt_out
        if latest is None or not scene.standing.consents:
            return None if latest is None else Hit(FOREVER, (latest,))
        about = consent.about(scene.standing.consents, contact.channel, contact.category or "")
        return None if consent.is_ended(latest, about, t) else Hit(consent.next_change(about, t) or FOREVER, (latest,))

    def text(self, hit: Hit, contact: Reached, t: int, scene: Scene) -> str:
        opt_out: Entry = hit.proof[0]
        did = "unsubscribed from" if opt_out.kind == "unsubscribed" else "complained about"
        return f"The customer {did} {wording.channel(opt_out.channel)} on {wording.day(opt_out.at)}."


class Unconsented(Ruling):
    """`consent`. Of the latest records in force of each channel and purpose that the contact falls under, any refusal holds; the newest is
    the first proof."""

    reason = Reason.NO_CONSENT

    def idle(self, scene: Scene) -> bool:
        return not scene.standing.consents and self.rule.unknown == "allow"

    def hinders(self, contact: Reached, t: int, scene: Scene, counts: bool) -> Hit | None:
        if not scene.standing.consents:
            return None if self.rule.unknown == "allow" else Hit(FOREVER, ())
        about = consent.about(scene.standing.consents, contact.channel, contact.category or "")
        latest = consent.in_force(about, t)
        refused = tuple(
            sorted((one for one in latest.values() if one.status != "granted"), key=consent.order, reverse=True)
        )
        if not refused and (latest or self.rule.unknown == "allow"):
            return None
        return Hit(consent.next_change(about, t) or FOREVER, refused)

    def text(self, hit: Hit, contact: Reached, t: int, scene: Scene) -> str:
        what = f"{wording.channel(contact.channel)}{f' about {contact.category}' if contact.category else ''}"
        if not hit.proof:
            return f"There is no consent to {what}."
        refusal = hit.proof[0]
        return f"Consent to {what} was {refusal.status} on {wording.day(refusal.at)}."


class Listed(Ruling):
    """`do_not_contact`."""

    reason = Reason.DO_NOT_CONTACT

    def idle(self, scene: Scene) -> bool:
        return not scene.standing.do_not_contact

    def hinders(self, contact: Reached, t: int, scene: Scene, counts: bool) -> Hit | None:
        return _while_in_force(scene.standing.do_not_contact, t)

    def text(self, hit: Hit, contact: Reached, t: int, scene: Scene) -> str:
        line = hit.proof[0]
        whom = "The customer" if line.scope == "person" else "The customer's company"
        return f"{whom} is on the do-not-contact list since {wording.day(line.at)}{f' ({line.reason})' if line.reason else ''}."


class InDeal(Ruling):
    """`open_deal`."""

    reason = Reason.OPEN_DEAL

    def idle(self, scene: Scene) -> bool:
        return not scene.standing.open_deals

    def hinders(self, contact: Reached, t: int, scene: Scene, counts: bool) -> Hit | None:
        return _while_in_force(scene.standing.open_deals, t)

    def text(self, hit: Hit, contact: Reached, t: int, scene: Scene) -> str:
        deal = hit.proof[0]
        return (
            f"Sales works on the deal {deal.id}{f' ({deal.owner})' if deal.owner else ''} since {wording.day(deal.at)}."
        )


class WithSales(Ruling):
    """`sales_lead`. When sales will give it back nobody knows."""

    reason = Reason.SALES_LEAD

    def idle(self, scene: Scene) -> bool:
        return scene.standing.with_sales is None

    def hinders(self, contact: Reached, t: int, scene: Scene, counts: bool) -> Hit | None:
        lead = scene.standing.with_sales
        return Hit(FOREVER, (lead,)) if lead is not None and lead.at <= t else None

    def text(self, hit: Hit, contact: Reached, t: int, scene: Scene) -> str:
        lead = hit.proof[0]
        who = f" ({lead.owner})" if lead.owner else ""
        return f"Sales has the customer's lead{who} since {wording.day(lead.at)}, and has not given it back."


def _while_in_force(records: Sequence[Any], t: int) -> Hit | None:
    held = tuple(one for one in records if one.at <= t and (one.until is None or t < one.until))
    return Hit(max(FOREVER if one.until is None else one.until for one in held), held) if held else None


class OwnedByOther(Ruling):
    """`owner_collision`. Machines act for the owner; only people collide."""

    reason = Reason.OWNER_COLLISION

    def idle(self, scene: Scene) -> bool:
        return not scene.owner

    def hinders(self, contact: Reached, t: int, scene: Scene, counts: bool) -> Hit | None:
        owner = scene.owner
        if not owner or contact.actor_kind != "person" or not contact.actor_id or contact.actor_id == owner:
            return None
        return Hit(FOREVER, ())

    def text(self, hit: Hit, contact: Reached, t: int, scene: Scene) -> str:
        return f"The customer is owned by {scene.owner}, not by {contact.actor_id}."


class Replied(Ruling):
    """`after_reply`."""

    reason = Reason.AFTER_REPLY

    def __init__(self, rule: Any, i: int) -> None:
        super().__init__(rule, i)
        self.length = length_ms(rule.window)

    def idle(self, scene: Scene) -> bool:
        return not scene.reacted[self.i]

    def hinders(self, contact: Reached, t: int, scene: Scene, counts: bool) -> Hit | None:
        replies = scene.reacted[self.i]
        known = bisect_right(replies, t, key=AT)
        if known and t - replies[known - 1].at < self.length:
            return Hit(replies[known - 1].at + self.length, (replies[known - 1],))
        return None

    def text(self, hit: Hit, contact: Reached, t: int, scene: Scene) -> str:
        reply = hit.proof[0]
        apart = wording.span(t - reply.at)
        return f"The customer {wording.reaction(reply)} {apart} before; machines are silent for {said(self.rule.window)} after that."


class Rejected(Ruling):
    """`rejection_cool_down`. Each rejection that is the last of `limit` within the window begins a pause."""

    reason = Reason.REJECTION_COOL_DOWN

    def __init__(self, rule: Any, i: int) -> None:
        super().__init__(rule, i)
        self.window, self.pause = length_ms(rule.window), length_ms(rule.pause)

    def idle(self, scene: Scene) -> bool:
        return not scene.reacted[self.i]

    def hinders(self, contact: Reached, t: int, scene: Scene, counts: bool) -> Hit | None:
        known, limit = scene.reacted[self.i], self.rule.limit
        if len(known) < limit:
            return None
        if self.rule.per == "channel":
            known = [one for one in known if one.channel == contact.channel]
        for n in range(bisect_right(known, t, key=AT) - 1, limit - 2, -1):
            last = known[n].at
            if t - last >= self.pause:
                return None
            if last - known[n - limit + 1].at < self.window:
                return Hit(last + self.pause, tuple(known[n - limit + 1 : n + 1]))
        return None

    def text(self, hit: Hit, contact: Reached, t: int, scene: Scene) -> str:
        last = hit.proof[-1]
        many = f"{len(hit.proof)} rejections within {said(self.rule.window)}" if len(hit.proof) > 1 else "A rejection"
        return f"{many}, the last on {wording.day(last.at)}; the customer is left alone for {said(self.rule.pause)}."


class Stale(Ruling):
    """`stale_offer`. An entry's deadlines are those that its message states; a planned contact says when its offer ends."""

    reason = Reason.STALE_OFFER

    def hinders(self, contact: Reached, t: int, scene: Scene, counts: bool) -> Hit | None:
        last_day = self._last_day(contact, scene)
        if last_day is None:
            return None
        zone = scene.zones[0]
        return Hit(FOREVER, ()) if t >= instant(last_day + _ONE_DAY, 0, zone) else None

    def _last_day(self, contact: Reached, scene: Scene) -> dt.date | None:
        agreed = scene.compiled.deadlines.get(contact.campaign or "")
        stated = _stated(contact)
        if agreed is None or stated is None:
            return stated if agreed is None else agreed
        return min(agreed, stated)

    def text(self, hit: Hit, contact: Reached, t: int, scene: Scene) -> str:
        last_day = self._last_day(contact, scene)
        ended = f" on {wording.weekday(last_day)}" if last_day else ""
        return f"The offer ended{ended}; for the customer it is {wording.weekday(local_date(t, scene.zones[0]))}."


def _stated(contact: Reached) -> dt.date | None:
    if not isinstance(contact, Entry):
        return contact.offer_ends
    for claim in contact.claims:
        if claim.kind == "deadline":
            try:
                return dt.date.fromisoformat(claim.value)
            except ValueError:
                return None
    return None
