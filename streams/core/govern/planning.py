"""Planned touches, as tools list them, made ready for the forecast: who they are for, and what is known of these people.

A plan is the touch as it will be published, with its time to come. Of several records with one `touch_id` the one with the highest
`version` holds, of two with the same version the later one; `deleted` takes it back. A plan whose touch is on the timeline has been made.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from streams.core.entry import DELETED, DamagedError, Entry, key
from streams.core.govern import compiled
from streams.core.govern.awaited import NOTHING as NONE_AWAITED
from streams.core.govern.awaited import Awaited, goes_by
from streams.core.govern.check import known
from streams.core.govern.colleagues import NONE, Belonging, Companies, belonging, companies
from streams.core.govern.forecast import Known
from streams.core.govern.plan_contacts import contact_of, contact_of_plan
from streams.core.govern.records import NOTHING, Contact, Standing
from streams.core.identity_graph import Graph
from streams.core.policy import Policy
from streams.core.timeline import Timeline, find
from streams.core.touch import Touch

_Held = tuple[tuple[str, Timeline], ...]
"""Timelines by the ids of their customers."""

People = Callable[[Touch], Sequence[str]]
"""The customers whom a touch's identifiers lead to; empty when nobody can be meant."""


class Planned(Struct, frozen=True):
    """`plans` are customers with what is planned for them between two moments, `companies` whose colleagues they are, where some rule asks,
    `published` the ids of further plans that count; the numbers say what was left out: made already, before or after that stretch, taken
    back, and without a usable identifier."""

    plans: tuple[tuple[str, Contact], ...]
    known: Known
    companies: Companies
    published: frozenset[str]
    made: int
    elsewhen: int
    withdrawn: int
    nobody: int


Given = Callable[[Sequence[str], str], Standing]
"""What is known besides the timelines of a person with these ids, of this company ("": of none)."""

Belongings = Callable[[], Mapping[str, Belonging]]
"""What everybody's touches say of their company, by customer id: asked for only where a rule about a whole account needs it."""


def planned(
    touches: Iterable[Touch],
    people: People,
    timelines: Mapping[str, Timeline],
    belongings: Belongings,
    policy: Policy,
    start: int,
    end: int,
    given: Given | None = None,
    others: Awaited = NONE_AWAITED,
) -> Planned:
    """What is planned in [start, end), UTC ms. Plans whose identifiers lead to several customers are one person's, as their touches would
    make them. `others` count besides; of those under an id that is among the touches, what the touches say holds."""
    latest: dict[str, Touch] = {}
    for touch in touches:
        before = latest.get(touch.touch_id)
        if before is None or touch.version >= before.version:
            latest[touch.touch_id] = touch
    standing = [touch for touch in latest.values() if not touch.deleted]
    inside = [touch for touch in standing if start <= touch.occurred_at < end]
    graph, theirs = Graph(), []
    for touch in inside:
        ids = tuple(people(touch))
        if ids:
            graph.link(ids)
            theirs.append((touch, ids))
    members: dict[str, set[str]] = defaultdict(set)
    for _, ids in theirs:
        members[graph.find(ids[0])].update(ids)
    held = {who: _timelines(ids, timelines) for who, ids in members.items()}
    plans = []
    named: dict[str, list[str]] = defaultdict(list)
    for touch, ids in theirs:
        who = graph.find(ids[0])
        if not any(_made(touch, *one) for one in held[who]):
            plans.append((who, contact_of(touch)))
            account = touch.account and touch.account.name
            named[who] += [account] if account else []
    who_is = {id_: who for who, some in held.items() for id_, _ in some}
    for customer, accounts in others.named.items() if named else ():
        named[who_is.get(customer, customer)] += accounts
    of = _companies(named, held, belongings, policy, given)
    for id_, who in who_is.items():
        members[who].add(id_)
    return Planned(
        tuple(plans),
        _knows(held, timelines, policy, start, _standing(members, of, given, others, latest)),
        of,
        others.published - latest.keys(),
        made=len(theirs) - len(plans),
        elsewhen=len(standing) - len(inside),
        withdrawn=len(latest) - len(standing),
        nobody=len(inside) - len(theirs),
    )


def announced(
    with_plans: Iterable[tuple[str, Timeline]],
    timelines: Mapping[str, Timeline],
    belongings: Belongings,
    policy: Policy,
    start: int,
    end: int,
    given: Given | None = None,
    others: Awaited = NONE_AWAITED,
) -> Planned:
    """The same of the plans that timelines hold, by customer id: what tools have published."""
    held: dict[str, _Held] = {}
    named: dict[str, list[str]] = defaultdict(list)
    plans: list[tuple[str, Contact]] = []
    known_ids: set[str] = set()
    elsewhen = withdrawn = 0
    for customer, timeline in with_plans:
        for plan in timeline.plans:
            known_ids.add(plan.id)
            if plan.kind == DELETED:
                withdrawn += 1
            elif start <= plan.at < end:
                held[customer] = ((customer, timeline),)
                plans.append((customer, contact_of_plan(plan)))
                named[customer] += [plan.account] if plan.account else []
            else:
                elsewhen += 1
    of = _companies(named, held, belongings, policy, given)
    return Planned(
        tuple(plans),
        _knows(held, timelines, policy, start, _standing({who: (who,) for who in held}, of, given, others, known_ids)),
        of,
        frozenset(),
        made=0,
        elsewhen=elsewhen,
        withdrawn=withdrawn,
        nobody=0,
    )


def _companies(
    named: Mapping[str, Sequence[str]],
    held: Mapping[str, _Held],
    belongings: Belongings,
    policy: Policy,
    given: Given | None,
) -> Companies:
    """Of which companies those with plans are, and whose colleagues, by what their plans and everybody's touches name."""
    everybody = bool(compiled.of(policy).account_wide)
    if not named or not (everybody or given is not None):
        return NONE
    own = {id_: (who, timeline) for who, some in held.items() for id_, timeline in some}
    known = belongings() if everybody else {id_: belonging(one.entries) for id_, (_, one) in own.items()}
    return companies(named, known, lambda id_: own[id_][0] if id_ in own else id_)


def _standing(
    ids: Mapping[str, Iterable[str]],
    companies: Companies,
    given: Given | None,
    others: Awaited,
    own: Container[str],
) -> Callable[[str], Standing]:
    """What is known of a customer besides the timelines: what is `given`, and what `others` plan or hold, but for the contacts of `own`."""

    def of(customer: str) -> Standing:
        theirs = sorted(ids.get(customer, ()))
        standing = NOTHING if given is None else given(theirs, companies.of.get(customer, ""))
        held = [one for id_ in theirs or (customer,) for one in others.contacts.get(id_, ()) if one.id not in own]
        return replace(standing, held=tuple(held)) if held else standing

    return of


def _knows(
    held: Mapping[str, _Held],
    timelines: Mapping[str, Timeline],
    policy: Policy,
    at: int,
    given: Callable[[str], Standing],
) -> Known:
    """What is known of those with plans, and of their colleagues."""

    def knows(customer: str) -> tuple[Sequence[Entry], Standing]:
        known_of = held.get(customer)
        return _known(((customer, timelines[customer]),) if known_of is None else known_of, policy, at, given(customer))

    return knows


def _timelines(ids: Iterable[str], timelines: Mapping[str, Timeline]) -> _Held:
    """The timelines of these ids; of one that was merged, that of the id it goes by now."""
    found = dict(goes_by(id_, timelines) for id_ in ids)
    return tuple((id_, timeline) for id_, timeline in sorted(found.items()) if timeline is not None)


def _made(touch: Touch, customer: str, timeline: Timeline) -> bool:
    try:
        return find(timeline, touch.touch_id) is not None
    except DamagedError as error:
        raise error.of(customer) from None


def _known(held: _Held, policy: Policy, at: int, standing: Standing) -> tuple[Sequence[Entry], Standing]:
    entries: Sequence[Entry] = ()
    for customer, timeline in held:
        try:
            more, standing = known(timeline, policy, at, standing)
            entries = sorted((*entries, *more), key=key) if entries else more
        except DamagedError as error:
            raise error.of(customer) from None
    return entries, standing
