"""May this contact be made? `check` answers with every rule that it would break, and with the earliest instant that is free.

A slot is exact: at it nothing hinders, and at no millisecond before it (`streams.core.govern.ruling`). It holds for what is known now; a
reply, an opt-out or an exempt contact that comes in between may close it, so a reservation is checked again when it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from msgspec.structs import replace

from streams.core.consent import Consent, told
from streams.core.detect.base import contacts
from streams.core.entry import DELETED, Entry
from streams.core.erasure import refusal
from streams.core.govern import compiled as ready
from streams.core.govern.compiled import Compiled
from streams.core.govern.evaluate import blocks, broken, exempt, slot
from streams.core.govern.records import (
    NOTHING,
    USUAL_KIND,
    Contact,
    LeadHeld,
    Proof,
    Reached,
    Said,
    Standing,
    Verdict,
    Violation,
)
from streams.core.govern.ruling import AT, FOREVER, Hit, Ruling
from streams.core.govern.scene import DESCRIPTIONS, Scene
from streams.core.leads.states import WITH_SALES
from streams.core.policy import DAY_MS, Policy
from streams.core.timeline import Timeline, bisect, past
from streams.core.timeline import standing as left_standing
from streams.core.touch import CHANNELS, CONTACT_KINDS, OPT_OUT_KINDS

_STRICTEST = ("suppress", "require_approval", "reroute", "delay_until", "alert")


def check(
    history: Sequence[Entry],
    contact: Contact,
    policy: Policy,
    now: int,
    standing: Standing = NOTHING,
    channels: Sequence[str] | None = CHANNELS,
) -> Verdict:
    """The verdict on a planned contact. `history` are the customer's touches in order, `now` is UTC ms: what was planned for earlier would
    be made now. Slots are given for the contact's channel and for `channels`; none at all for None, since they take the longest. Plans of
    others count as `planned.checks` of the policy says; the contact's own, known by its id, never does."""
    compiled = ready.of(policy)
    at = max(contact.at, now)
    horizon = at + int(policy.governance.horizon_days * DAY_MS)
    others: tuple[Entry, ...] = ()
    theirs: tuple[Contact, ...] = ()
    if (standing.planned or standing.account_planned) and policy.planned.checks != "ignore":
        others, theirs = _plans(history, contact, standing, horizon + compiled.reach_ms)
    with_plans = replace(standing, account_contacts=(*standing.account_contacts, *theirs)) if theirs else standing
    hold = policy.planned.checks == "hold"
    scene = scene_of(compiled, history, with_plans if hold else standing, at, contact.id, others if hold else ())
    planned = usual(contact)
    plans: tuple[Reached, ...] = (*others, *theirs)
    found = [_violation(ruling, hit, planned, at, scene, plans) for ruling, hit in broken(compiled, scene, planned, at)]
    if plans and not hold:
        whole = scene_of(compiled, history, with_plans, at, contact.id, others)
        found += _told(compiled, whole, planned, at, plans, found)
    violations = sorted(
        found,
        key=lambda one: (one.action == "alert", -one.priority, _STRICTEST.index(one.action), one.rule),
    )
    blocking = [one for one in violations if blocks(one.action, contact)]
    slots: dict[str, int | None] = {}
    for channel in () if channels is None else dict.fromkeys((contact.channel, *channels)):
        if channel == contact.channel and not blocking:
            slots[channel] = at
            continue
        moved = (
            planned
            if channel == contact.channel
            else replace(contact, channel=channel, kind=USUAL_KIND.get(channel, ""))
        )
        slots[channel] = slot(compiled, scene, moved, at, horizon)
    return Verdict(
        allowed=not blocking,
        at=at,
        action=blocking[0].action if blocking else (violations[0].action if violations else None),
        violations=tuple(violations),
        slots=slots,
        route_to=(scene.owner or None) if any(one.action == "reroute" for one in blocking) else None,
        policy=compiled.version,
    )


def _plans(
    history: Sequence[Entry], contact: Contact, standing: Standing, until: int
) -> tuple[tuple[Entry, ...], tuple[Contact, ...]]:
    """What others plan for the customer, and for colleagues, up to a moment (UTC ms), and have neither made nor reserved."""
    known = {contact.id, *(entry.id for entry in history), *(one.id for one in standing.held)}
    own = tuple(plan for plan in standing.planned if plan.kind != DELETED and plan.at <= until and plan.id not in known)
    known |= {one.id for one in standing.account_contacts} - {""}
    theirs = (one for one in standing.account_planned if one.at <= until and not (one.id and one.id in known))
    return own, tuple(map(usual, theirs))


def _told(
    compiled: Compiled, scene: Scene, contact: Contact, at: int, plans: Sequence[Reached], found: Sequence[Violation]
) -> list[Violation]:
    """Rules that would be broken only once plans are made, which let the contact pass."""
    known = {one.rule for one in found}
    more = [_violation(ruling, hit, contact, at, scene, plans) for ruling, hit in broken(compiled, scene, contact, at)]
    return [
        replace(one, action="alert", text=f"{one.text} It rests on what is only planned.")
        for one in more
        if one.rule not in known
    ]


def each(
    compiled: Compiled,
    history: Sequence[Entry],
    planned: Sequence[Reached],
    standing: Standing,
    now: int = 0,
    show: Callable[[Scene], None] = lambda scene: None,
) -> Iterator[tuple[Reached, list[tuple[Ruling, Hit]], Scene]]:
    """What each of several planned contacts of one customer, each with a kind, would break if all others are made, too. One scene is
    enough for all of them: none begins later than the first, and each is taken out of it while it is judged. `show` puts into it what
    colleagues got."""
    if not planned:
        return
    start = max(min(one.at for one in planned), now)
    scene = scene_of(compiled, history, standing, start, "", planned if len(planned) > 1 else ())
    show(scene)
    for one in planned:
        places = scene.take_out(one)
        yield one, list(broken(compiled, scene, one, max(one.at, now))), scene
        scene.put_back(one, places)


def known(
    timeline: Timeline, policy: Policy, at: int, standing: Standing = NOTHING
) -> tuple[Sequence[Entry], Standing]:
    """What a check needs of a timeline: touches as far back as any rule looks, and the standing with what older ones left. So old
    segments of a long timeline stay closed."""
    start = bisect(timeline.entries, (at - ready.of(policy).reach_ms, ""))
    rows, near = past(timeline, start)
    older = [opt_out for row in rows for opt_out in row.opt_outs] + [one for one in near if one.kind in OPT_OUT_KINDS]
    newest = _descriptions(near)
    opt_outs = (*standing.opt_outs, *left_standing(timeline), *older)
    lead = timeline.lead
    if lead is not None and lead.state in WITH_SALES:
        standing = replace(standing, with_sales=LeadHeld(lead.id, lead.assigned_at or lead.since, lead.owner or ""))
    if timeline.consents is not None:
        standing = replace(standing, consents=(*standing.consents, *told(timeline.consents)))
    elif (gone := refusal(timeline, policy.erasure)) is not None:
        standing = replace(standing, consents=(*standing.consents, gone))
    if not (newest or opt_outs):
        return timeline.entries[start:], standing
    return timeline.entries[start:], replace(standing, opt_outs=opt_outs, **newest)


def company(timeline: Timeline) -> tuple[int, str] | None:
    """The company that the newest touch names, and when that was (UTC ms); None where no recent touch does. Old segments stay closed."""
    near = past(timeline, len(timeline.entries))[1]
    return next(((one.at, one.account) for one in reversed(near) if one.account and not one.late), None)


def _descriptions(entries: Sequence[Entry]) -> dict[str, str]:
    """What the newest of the entries with such a thing say of the customer."""
    found: dict[str, str] = {}
    missing: tuple[str, ...] = DESCRIPTIONS
    for one in reversed(entries):
        if not missing:
            break
        if (one.time_zone or one.country or one.account) and not one.late:
            found |= {name: value for name in missing if (value := getattr(one, name))}
            missing = tuple(name for name in missing if name not in found)
    return found


def scene_of(
    compiled: Compiled,
    history: Sequence[Entry],
    standing: Standing,
    at: int,
    id_: str = "",
    planned: Sequence[Reached] = (),
) -> Scene:
    """One customer as the rules look at them, for contacts at or after `at`; `id_` is the contact's own, should it be held. `planned` are
    held, too, and have been made by nobody."""
    scene = Scene(compiled, standing)
    scene.opt_outs.extend(standing.opt_outs)
    scene.see_all(history)
    own: list[Reached] = []
    start = bisect(history, (at - compiled.reach_ms, ""))
    if start < len(history):
        own.extend([entry for _, entry in contacts(history, start, len(history), 0, compiled.policy)])
    if standing.held:
        made = {entry.id for entry in history}
        own.extend(usual(one) for one in standing.held if not one.id or (one.id != id_ and one.id not in made))
    if planned:
        own.extend(planned)
    if standing.held or planned:
        own.sort(key=AT)
    for one in own:
        if one.kind in CONTACT_KINDS:
            scene.reach(one)
            if one.at >= at:
                _held(compiled, scene, one)
    if standing.account_contacts:
        _with_account(compiled, scene, standing, at)
    return scene


def _held(compiled: Compiled, scene: Scene, one: Reached) -> None:
    for i in compiled.match(one).applies:
        if not exempt(compiled.rulings[i], one):
            scene.later[i].append(one)


def _with_account(compiled: Compiled, scene: Scene, standing: Standing, at: int) -> None:
    """Contacts of the customer's colleagues, for the rules that look at the whole account."""
    for one in map(usual, standing.account_contacts):
        if one.kind not in CONTACT_KINDS:
            continue
        sides = compiled.match(one)
        for i in sides.counts:
            if i in compiled.account_wide:
                scene.counted[i].append(one)
        for i in sides.applies:
            if i in compiled.account_wide and one.at >= at and not exempt(compiled.rulings[i], one):
                scene.later[i].append(one)
    for i in compiled.account_wide:
        scene.counted[i].sort(key=AT)
        scene.later[i].sort(key=AT)


def usual(contact: Contact) -> Contact:
    """The contact with the usual kind of its channel, unless it has one."""
    return contact if contact.kind else replace(contact, kind=USUAL_KIND.get(contact.channel, ""))


def _violation(
    ruling: Ruling, hit: Hit, contact: Contact, t: int, scene: Scene, plans: Sequence[Reached] = ()
) -> Violation:
    rule = ruling.common
    of_others = set(map(id, plans))
    return Violation(
        rule.name,
        ruling.reason,
        rule.action,
        rule.severity,
        rule.priority,
        tuple(proof_of(one, id(one) in of_others) for one in hit.proof),
        None if hit.until >= FOREVER else hit.until,
        ruling.text(hit, contact, t, scene),
    )


def proof_of(one: object, planned: bool = False) -> Proof:
    """A touch, a held contact, a plan, or a record, as evidence."""
    at: int = getattr(one, "at", 0)
    said = None
    if isinstance(one, Consent):
        said = Said(one.status, one.purpose, one.source, one.form, one.recorded_by)
    return Proof(getattr(one, "id", ""), at, getattr(one, "channel", ""), getattr(one, "department", ""), planned, said)
