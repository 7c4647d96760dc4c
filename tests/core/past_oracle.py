"""What must hold in the end when the past may change: from the final set of facts, without timelines, versions as they came, or Kafka.

A fact is that a touch was published (in some version), that somebody declared two identifiers not to be one person, or to be one, or that
a person was erased. Everything is quadratic and starts from the whole set; of the core it uses records and the policy. Whom touches name
and what messages promise is read by `tests.core.past_reading`, who is who is said by `tests.core.past_people`. The rules are those of
`tests.core.oracle`, and here are those that it leaves out; what plans may not do, `tests.core.govern.oracle` says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from msgspec.structs import replace

from streams.core.consent import Consent, ConsentChange
from streams.core.entry import Entry
from streams.core.govern.records import Contact, LeadHeld, Standing
from streams.core.policy import Policy
from streams.core.touch import Touch
from tests.core import oracle
from tests.core.govern.oracle import broken
from tests.core.oracle import DAY, Claimed
from tests.core.past_people import Cut, Erased, Joined, Pair, People, Published, together
from tests.core.past_reading import contradict, names, promised, promises


class Answered(NamedTuple):
    """What sales said of the person with this identifier, where it was possible."""

    identifier: str
    answer: oracle.Answer


class Facts(NamedTuple):
    """All that was ever said, in no order."""

    published: Sequence[Published]
    cuts: frozenset[Pair] = frozenset()
    erased: Sequence[Erased] = ()
    refuse: bool = False
    """Whether touches of the erased are refused for good; else those of later events count."""
    answered: Sequence[Answered] = ()
    said: Sequence[Published | Cut | Joined] = ()
    """Where guards matter: what was published, cut and joined, in the order in which it was decided."""
    joins: frozenset[Pair] = frozenset()


def holding(facts: Facts, policy: Policy, id_key: str) -> list[Claimed]:
    """All findings that must hold, sorted.

    Raises:
        DoubtfulError: more than one answer is right.
    """
    found: list[Claimed] = []
    for customer, everything in customers(facts, policy, id_key).items():
        touches = [one.touch for one in newest(made(everything)) if not is_late(one, policy)]
        found += oracle.double_contacts(customer, touches, policy)
        agreed = consents(everything)
        found += oracle.contacts_after_opt_out(customer, touches, policy, agreed)
        theirs = {id_ for one in everything for id_ in names(one.touch.customer, id_key)}
        answers = [said.answer for said in facts.answered if said.identifier in theirs]
        found += oracle.handoffs(customer, touches, policy, answers)
        found += incongruent_messages(customer, touches, policy)
        lead = oracle.lead_held(customer, touches, policy, answers)
        found += planned_conflicts(customer, touches, plans(everything), policy, agreed, lead)
    return sorted(found)


def made(everything: Sequence[Published]) -> list[Published]:
    """Touches, not plans, nor records of consent."""
    return [one for one in everything if not one.planned and one.consent is None]


def consents(everything: Sequence[Published]) -> list[ConsentChange]:
    """Records of consent, of each id the one that was published last, without those that it takes back."""
    last = {one.touch.touch_id: one.consent for one in sorted(everything, key=lambda one: one.at) if one.consent}
    return [one for one in last.values() if not one.deleted]


def plans(everything: Sequence[Published]) -> list[Touch]:
    """What is still planned: not withdrawn, and its touch has not come."""
    came = {one.touch.touch_id for one in made(everything)}
    held = newest([one for one in everything if one.planned])
    return [one.touch for one in held if one.touch.touch_id not in came]


def planned_conflicts(
    customer: str,
    touches: Sequence[Touch],
    planned: Sequence[Touch],
    policy: Policy,
    agreed: Sequence[ConsentChange],
    lead: LeadHeld | None = None,
) -> list[Claimed]:
    """Plans, all to come, that would break a rule that a timeline can tell, with touches, other plans and the lead as they are."""
    contacts = oracle.contacts(touches, policy)
    seen = [touch for touch in touches if touch in contacts or not oracle.is_contact(touch)]
    history = [row(touch) for touch in seen]
    rules = tuple(rule for rule in policy.rules if getattr(rule, "scope", "") != "account")
    asked = [
        Contact(
            plan.occurred_at, plan.channel, plan.department, plan.kind, plan.touch_id, plan.campaign, plan.category,
            actor_id=plan.actor.id if plan.actor else None, actor_kind=plan.actor.kind if plan.actor else None,
        )
        for plan in planned
        if oracle.is_contact(plan)
    ]  # fmt: skip
    records = tuple([Consent(one.status, one.at, one.channel, one.purpose, one.until) for one in agreed])
    standing = Standing(held=tuple(asked), consents=records, with_sales=lead)
    return [
        Claimed(one.at, "planned_conflict", customer, (one.id,))
        for one in asked
        if broken(history, one, replace(policy, rules=rules), one.at, standing)
    ]


def row(touch: Touch) -> Entry:
    """A touch as rules about contacts look at it."""
    actor, account, customer = touch.actor, touch.account, touch.customer
    return Entry(
        touch.occurred_at, touch.touch_id, touch.channel, touch.department, touch.direction, touch.kind,
        actor_id=actor.id if actor else None, actor_kind=actor.kind if actor else None, campaign=touch.campaign,
        category=touch.category, priority=touch.priority, sequence=touch.sequence,
        account=(account.id or account.domain) if account else None,
        time_zone=customer.time_zone, country=customer.country,
    )  # fmt: skip


def sure(claimed: Claimed, facts: Facts, policy: Policy) -> bool:
    """Whether a finding must hold, or must not, although touches that are out of the timelines' reach are pruned: nothing that it may rest
    on can have been. Of an older one it depends on what came first, and whatever held then stays."""
    newest = max((one.touch.occurred_at for one in facts.published), default=0)
    if policy.teams:  # who has a lead is an entry of the timeline, of the moment at which it is given
        newest = max((one.at for one in facts.published), default=0)
    reach = newest - policy.timeline.retention_days * DAY
    pruned = {one.touch.touch_id for one in facts.published if one.touch.occurred_at < reach}
    opt_outs = {one.touch.touch_id for one in facts.published if one.touch.kind in ("unsubscribed", "complained")}
    several = {one.touch.touch_id for one in facts.published if one.touch.version > 1}
    if claimed.rule in ("handoff", "planned_conflict"):
        return not pruned
    if claimed.rule == "contact_after_opt_out" and (opt_outs & pruned & several or facts.cuts or facts.erased):
        return not pruned
    window = {
        "double_contact": policy.double_contact.window_hours * DAY / 24,
        "incongruent_message": policy.incongruent_message.window_days * DAY,
    }.get(claimed.rule, 0)
    return claimed.event_time - window - policy.calls.join_minutes * 60_000 >= reach


def customers(facts: Facts, policy: Policy, id_key: str) -> dict[str, list[Published]]:
    """All that counts, in every version, by the smallest identifier of its person."""
    if facts.said:
        return guarded(facts, policy, id_key)
    named = {one: names(one.touch.customer, id_key) for one in facts.published}
    ids = {one: [id_ for id_ in of if not _is_gone(id_, one, facts)] for one, of in named.items()}
    gone = [one for one, of in ids.items() if of[:1] != list(named[one][:1])]
    remaining = [one for one in ids if one not in gone]
    if {one.touch.touch_id for one in remaining} & {one.touch.touch_id for one in gone}:
        raise oracle.DoubtfulError  # versions from before and after an erasure: is the late one a new touch?
    links = [*facts.joins, *(frozenset((ids[one][0], weak)) for one in remaining for weak in ids[one][1:])]
    by_person: dict[str, list[Published]] = {}
    for one in remaining:
        by_person.setdefault(min(together(ids[one][0], links, facts.cuts)), []).append(one)
    return _sure_of_versions(by_person, bool(facts.cuts or facts.erased))


def guarded(facts: Facts, policy: Policy, id_key: str) -> dict[str, list[Published]]:
    """The same where identifiers may be shared and records contradict each other; nobody is erased there."""
    people = People(policy.identity.shared_after)
    decided: dict[Published, str] = {}
    for one in facts.said:
        if isinstance(one, Cut):
            people.cut(one)
        elif isinstance(one, Joined):
            people.joined(one)
        else:
            decided[one] = people.seen(names(one.touch.customer, id_key))
    by_person: dict[str, list[Published]] = {}
    for one, identifier in decided.items():
        by_person.setdefault(min(people.person(identifier)), []).append(one)
    return _sure_of_versions(by_person, people.has_parted)


def _sure_of_versions(by_person: dict[str, list[Published]], have_parted: bool) -> dict[str, list[Published]]:
    """Versions of one touch that name several persons were on one timeline, perhaps, before these were apart."""
    homes = {(one.touch.touch_id, person) for person, theirs in by_person.items() for one in theirs}
    if have_parted and len(homes) > len({id_ for id_, _ in homes}):
        raise oracle.DoubtfulError
    return by_person


def newest(published: Sequence[Published]) -> list[Published]:
    """Each touch in its highest version, as it was published first, without those that this version deletes."""
    highest = [
        one
        for one in published
        if not any(
            other.touch.touch_id == one.touch.touch_id and other.touch.version > one.touch.version
            for other in published
        )
    ]
    once = {one.touch.touch_id: one for one in sorted(highest, key=lambda one: -one.at) if not one.touch.deleted}
    return sorted(once.values(), key=lambda one: (one.touch.occurred_at, one.touch.touch_id))


def is_late(one: Published, policy: Policy) -> bool:
    """Whether nothing is decided by a touch, since it was published so long after it happened. Opt-outs and corrections always count."""
    touch = one.touch
    decides = touch.kind in ("unsubscribed", "complained") or touch.version > 1
    return not decides and one.at - touch.occurred_at > policy.touch.late_after_days * DAY


def _is_gone(identifier: str, one: Published, facts: Facts) -> bool:
    """Whether this identifier was erased, and the touch with it."""
    return any(identifier in of.identifiers and (facts.refuse or one.event <= of.at) for of in facts.erased)


def incongruent_messages(customer: str, touches: Sequence[Touch], policy: Policy) -> list[Claimed]:
    """Messages that contradict their campaign's facts, and messages that contradict the nearest message before them that they can."""
    rule = policy.incongruent_message
    if not rule.enabled:
        return []
    stated = {touch.touch_id: promises(touch) for touch in touches}
    messages = [
        touch
        for touch in touches
        if stated[touch.touch_id] and touch.direction == "outbound" and touch.kind in (*oracle.CONTACT, "impression")
    ]
    found = []
    for n, message in enumerate(messages):
        said = stated[message.touch_id]
        facts = policy.campaigns.get(message.campaign or "")
        if facts and contradict(promised(facts), said, same_campaign=True):
            found.append(Claimed(message.occurred_at, "incongruent_message", customer, (message.touch_id,)))
        against = [
            other
            for other in messages[:n]
            if message.occurred_at - other.occurred_at < rule.window_days * DAY
            and contradict(
                stated[other.touch_id],
                said,
                same_campaign=message.campaign is not None and message.campaign == other.campaign,
            )
        ]
        if against:
            ids = tuple(sorted((against[-1].touch_id, message.touch_id)))
            found.append(Claimed(message.occurred_at, "incongruent_message", customer, ids))
    return found
