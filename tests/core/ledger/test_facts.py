"""Facts: any order, any repetition, and a log of the newest by key give the same books, which are those of the files."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import pytest
from msgspec.structs import replace

from streams.core import touch_json
from streams.core.commands import Command
from streams.core.leads.events import LeadEvent
from streams.core.ledger import books, facts, records
from streams.core.ledger import period as periods
from streams.core.ledger.facts import (
    ConflictFact,
    DealFact,
    ErasedFact,
    Fact,
    Facts,
    HomeFact,
    MovedFact,
    ShownFact,
    TouchFact,
)
from streams.core.ledger.figures import compute
from streams.core.ledger.policy import LedgerPolicy
from streams.core.policy import IdentityPolicy
from streams.core.touch import Customer, IdentifiedTouch
from tests.ledger import books as files
from tests.ledger.command import BOARD
from tests.ledger.identified import stream
from tests.support.samples import CONFLICT

POLICY = IdentityPolicy()


def lines(*names: str) -> list[bytes]:
    """Lines of the board's files."""
    return [line for name in names for line in (BOARD / f"{name}.jsonl").read_bytes().splitlines() if line.strip()]


TOUCHES = [touch_json.parse(line) for line in lines("touches", "later-touches")]
DEALS = [records.deal(line) for line in lines("deals", "later-deals")]
LEADS = [
    facts.of_lead(LeadEvent(f"e{n}", "lead", customer, "handed_off", "handed_off", "mql", 1_772_442_000_000 + n, "act", "a", 1, 1, n % 3))
    for n, customer in enumerate(["c2-a", "c2-b"] * 6)
]  # fmt: skip
COSTS = [records.cost(line) for line in lines("costs", "later-costs")]


ROLES = frozenset(POLICY.role_addresses)


def of_stream(items: Iterable[IdentifiedTouch | Command]) -> list[Fact]:
    """The facts of touches and commands."""
    return [fact for one in items for fact in (facts.of_command(one) if isinstance(one, Command) else of_touch(one))]


def of_touch(one: IdentifiedTouch) -> list[Fact]:
    """All facts of a touch."""
    return [*facts.of_touch(one), *facts.shown_by(one, ROLES, POLICY.same_mailbox, files.ID_KEY, files.REGION)]


def everything() -> list[Fact]:
    """All facts of the board's story."""
    deals = [facts.of_deal(deal, POLICY, files.ID_KEY, files.REGION) for deal in DEALS]
    return [
        *of_stream(stream(sorted(TOUCHES, key=lambda touch: touch.occurred_at))),
        *(deal for deal in deals if deal is not None),
        *map(facts.of_cost, COSTS),
        *LEADS,
        *(
            ConflictFact(f"f{n % 5}", n // 5 + 1, n != 7, TOUCHES[n].occurred_at, TOUCHES[n].touch_id, "sales", "calls")
            for n in range(9)
        ),
    ]


def test_the_figures_are_those_of_the_files() -> None:
    """The board's story, its merge and corrections included, comes to the same figures and lines by topics as by files."""
    period = periods.parse("2026-Q3")
    by_files = compute(files.resolved(TOUCHES, DEALS, COSTS), period, LedgerPolicy())
    by_topics = compute(books.resolve(Facts(everything())), period, LedgerPolicy())
    known = tuple(figure for figure in by_topics.figures if figure.measure != "conflicts")  # no file tells of conflicts
    assert known == by_files.figures and len(by_files.figures) > 50
    # A file's deal links its customer's identifiers, too: only what the customer is called differs.
    lines = [[replace(one, customer="", identifiers=()) for one in each.lines] for each in (by_topics, by_files)]
    assert lines[0] == lines[1]
    assert (by_topics.spent, by_topics.effects, by_topics.reps) == (by_files.spent, by_files.effects, by_files.reps)


class Counted(dict[str, Any]):
    """Facts by id, with the number of walks through them."""

    walks = 0

    def values(self) -> Any:
        self.walks += 1
        return super().values()


def disturbed(rng: random.Random) -> list[Fact]:
    """The same, with merges, splits and erasures among them, rightly or wrongly."""
    known = everything()
    ids = sorted({fact.identifier for fact in known if isinstance(fact, HomeFact)})
    for _ in range(6):
        a, b = rng.sample(ids, 2)
        kind = rng.choice((0, 0, 1, 2))
        at = rng.randrange(40)
        made: dict[int, Fact] = {
            0: HomeFact(a, b, at),
            1: MovedFact(max(a, b), min(a, b), at),
            2: ErasedFact(a, 2 * 10**15 * rng.randrange(2) + at),
        }
        known.append(made[kind])
    return known


@pytest.mark.parametrize("seed", range(40))
def test_any_order_and_repetition(seed: int) -> None:
    """Facts in any order, some twice, with merges, splits and erasures among them, give the same books; so does the log of what
    was new, read back by key, and with the beginning of it read again behind it."""
    rng = random.Random(seed)
    known = disturbed(rng)
    wanted = books.resolve(Facts(known))
    shuffled = [*known, *rng.sample(known, 10)]
    rng.shuffle(shuffled)
    log: dict[bytes, bytes] = {}
    taken = Facts()
    for fact in shuffled:
        for key, value in taken.take(fact).items():
            if value is None:
                log.pop(key, None)
            else:
                log[key] = facts.encode(value)
    assert books.resolve(taken) == wanted
    again = Facts(map(facts.decode, rng.sample(list(log.values()), len(log))))
    assert books.resolve(again) == wanted
    for fact in shuffled[:20]:
        again.take(fact)
    assert books.resolve(again) == wanted


@pytest.mark.parametrize("seed", range(40))
def test_parts_that_are_joined_by_themselves(seed: int) -> None:
    """Facts that are dealt out to three, joined by each, and joined again in any order give the same books: also with merges, splits
    and erasures, and with facts that two of them have."""
    rng = random.Random(seed)
    known = disturbed(rng)
    parts = [Facts() for _ in range(3)]
    for fact in [*known, *rng.sample(known, 10)]:
        rng.choice(parts).take(fact)
    rng.shuffle(parts)
    assert books.resolve(Facts(fact for part in parts for fact in part)) == books.resolve(Facts(known))


@pytest.mark.parametrize("seed", range(40))
def test_erasures_of_many_at_once(seed: int) -> None:
    """Erasures taken together, before all else or behind it, leave the same facts and log as each taken where it stands."""
    rng = random.Random(seed)
    known = disturbed(rng)
    owners = sorted({fact.identifier for fact in known if isinstance(fact, HomeFact)})
    times = [fact.at * 1000 for fact in known if isinstance(fact, TouchFact)]
    known += [ErasedFact(rng.choice(owners), rng.choice([5, *times])) for _ in range(6)]
    rng.shuffle(known)
    erasures = [fact for fact in known if isinstance(fact, ErasedFact)]
    others = [fact for fact in known if not isinstance(fact, ErasedFact)]
    found = []
    for parts in (
        [[one] for one in known],
        [*[[one] for one in others], erasures],
        [erasures, *[[one] for one in others]],
    ):
        taken, log = Facts(), dict[bytes, Fact]()
        for part in parts:
            news = taken.erase(erasures) if part is erasures else taken.take(part[0])
            for key, value in news.items():
                if value is None:
                    log.pop(key, None)
                else:
                    log[key] = value
        assert log == {fact.key: fact for fact in taken}
        found.append(log)
    assert found[0] == found[1] == found[2]


def test_erasures_walk_through_what_is_known_once() -> None:
    """Two thousand erasures look at each touch, lead, deal and move once, however many they are, and take each person's own."""
    known = Facts(everything())
    own = next(iter(known.touches.values())).identifier
    counted = [Counted(each) for each in (known.touches, known.leads, known.deals, known.moved)]
    known.touches, known.leads, known.deals, known.moved = counted
    assert known.erase([*(ErasedFact(f"unknown-{n}", 1) for n in range(2000)), ErasedFact(own, 2 * 10**15)])
    assert [one.walks for one in counted] == [1, 1, 1, 1]
    assert own not in {touch.identifier for touch in known.touches.values()} and known.touches


def test_what_was_erased_is_gone_and_what_came_since_counts() -> None:
    """Touches looked up by an erased identifier until then are taken out of the log; a later event stays; an older look-up is refused."""
    first, second = (replace(TOUCHES[0], touch_id=f"t{n}", occurred_at=1000 * n) for n in (1, 2))
    known = Facts(of_stream(stream([first, second])))
    (own,) = {fact.identifier for fact in known.touches.values()}
    gone = known.take(ErasedFact(own, 1_500_000))
    assert gone == {
        b"touch:t1": None,
        f"home:{own}".encode(): None,
        f"erased:{own}".encode(): ErasedFact(own, 1_500_000),
    }
    assert set(known.touches) == {"t2"}
    assert all(known.take(fact) == {} for fact in of_stream(stream([first])))
    assert known.span == facts.ALWAYS


def test_an_erasure_takes_the_changes_of_a_lead() -> None:
    """What happened to a lead before its customer was erased leaves the log, comes back by no repetition, and what came since stays."""
    before, after = (replace(LEADS[0], event_id=f"l{n}", at=1000 * n) for n in (1, 2))
    known = Facts([before, after])
    gone = known.take(ErasedFact(before.customer, 1_500_000))
    assert gone[b"lead:l1"] is None and set(known.leads) == {"l2"}
    assert known.take(before) == {}


def test_an_erasure_takes_a_deals_ids_and_moves() -> None:
    """Of a person who is erased no id stays in a deal or a move, whichever comes first; what the deal brought in does, and a deal that is
    opened later is a new start with its ids."""
    (deal, later) = (fact for one in DEALS[:2] if (fact := facts.of_deal(one, POLICY, files.ID_KEY, files.REGION)))
    at = deal.opened_at * 1000 + 1
    later = replace(later, ids=deal.ids, opened_at=deal.opened_at + 1)
    own = deal.ids[-1]
    known: list[Fact] = [deal, later, MovedFact(own, "a", 5), MovedFact("z", own, 5)]
    for erasures_first in (False, True):
        erased = ErasedFact(own, at)
        taken, log = Facts(), {}
        for fact in [erased, *known] if erasures_first else [*known, erased]:
            log.update(taken.take(fact))
        assert taken.deals[deal.deal_id] == replace(deal, ids=()) == log[deal.key]
        assert taken.deals[later.deal_id] == later
        assert taken.moved == {"z": MovedFact("z", "", 5)} and log.get(b"moved:" + own.encode()) is None
        assert own.encode() not in b"".join(
            facts.encode(fact) for fact in log.values() if fact is not None and fact not in (later, erased)
        )
        assert taken.customer("z") == "z"
        assert deal.deal_id in {one.deal_id for one, _ in books.resolve(taken).deals}


def test_conflicts_count_where_their_touch_does() -> None:
    """A conflict stands in the month and box of the touch that made it, with its campaign and rep; one that was retracted nowhere."""
    period = periods.parse("2026-Q3")
    touch = next(
        touch
        for touch in TOUCHES
        if touch.actor is not None and touch.actor.kind == "person" and period.holds(touch.occurred_at)
    )
    held = ConflictFact("f1", 1, True, touch.occurred_at, touch.touch_id, touch.department, touch.channel)
    known = Facts(
        [*everything(), held, ConflictFact("f2", 2, False, touch.occurred_at, touch.touch_id, "sales", "calls")]
    )
    figures = [f for f in compute(books.resolve(known), period, LedgerPolicy()).figures if f.measure == "conflicts"]
    mine = [f for f in figures if f.rep == touch.actor.id]  # type: ignore[union-attr]
    assert sum(f.value for f in mine) >= 1
    assert len({fact for fact in known.conflicts.values() if fact.holds}) >= sum(f.value for f in figures)


@pytest.mark.parametrize(
    ("rule", "counts"),
    [
        ("double_contact", True),
        ("contact_after_opt_out", True),
        ("planned_conflict", False),
        ("identity_conflict", False),
    ],
)
def test_only_contacts_that_were_made_are_conflicts(rule: str, counts: bool) -> None:
    """A contact in another one's way counts as a conflict of its month; a plan that was not carried out does not, nor do two CRM records
    of one customer."""
    finding = replace(CONFLICT, rule=rule, state="detected", withdrawn=False)
    period = periods.parse(periods.quarter_of(finding.event_time))
    known = Facts([facts.of_conflict(finding)])
    figures = compute(books.resolve(known), period, LedgerPolicy()).figures
    assert bool([one for one in figures if one.measure == "conflicts"]) == counts


def shown(*identifiers: tuple[str, str | None], day: int = 1) -> tuple[Facts, DealFact]:
    """Facts of one touch for each CRM id and mail address; and a deal of anna@example.com."""
    touches = [
        replace(TOUCHES[0], touch_id=f"t{n}", customer=Customer(crm_id=crm, email=mail), occurred_at=day * 86_400_000)
        for n, (crm, mail) in enumerate(identifiers)
    ]
    deal = facts.of_deal(
        replace(DEALS[0], customer=Customer(email="anna@example.com")), POLICY, files.ID_KEY, files.REGION
    )
    assert deal is not None
    return Facts(of_stream(stream(touches))), deal


def test_a_deal_by_an_identifier_that_never_came_alone() -> None:
    """Where each touch names CRM id and mail address, a deal that names only the address is the customer's, whichever comes first."""
    known, deal = shown(("7", "anna@example.com"), ("8", "ben@example.com"))
    owner = known.customer(next(one.identifier for one in known.touches.values()))
    known.take(deal)
    assert known.customer_of(deal) == owner != deal.ids[0]
    assert Facts([deal, *known]).customer_of(deal) == owner


def test_a_deal_by_an_identifier_of_several_is_nobodys() -> None:
    """An address that touches show with two CRM records leads to neither, until the two are one; who has it is reckoned anew then."""
    known, deal = shown(("7", "anna@example.com"))
    first = known.customer_of(deal)
    known.take(deal)
    known.spanned()
    other = ShownFact(deal.ids[0], "c1-zz", 3)
    assert known.take(other) == {other.key: other} and known.take(other) == {}
    assert known.customer_of(deal) == deal.ids[0] != first
    assert known.spanned() is not None and known.spanned() is None
    known.take(HomeFact("c1-zz", first, 9))
    assert known.customer_of(deal) == first
    known.take(HomeFact(deal.ids[0], "c2-own", 10))
    assert known.customer_of(deal) == "c2-own"


def test_what_was_shown_goes_with_an_erasure() -> None:
    """An erasure of either of two identifiers takes out that a touch showed both; a touch of a later day brings it again."""
    for erased in ("c1-a", "c2-b"):
        known = Facts([ShownFact("c2-b", "c1-a", 3), ShownFact("c2-b", "c1-c", 5)])
        assert known.take(ErasedFact(erased, 3 * 86_400_000_000))[b"shown:c2-b|c1-a"] is None
        assert known.shown.of("c2-b") == ["c1-c"]
        assert known.take(ShownFact("c2-b", "c1-a", 3)) == {} != known.take(ShownFact("c2-b", "c1-a", 4))


def test_a_switchboard_is_shown_with_the_smallest_only() -> None:
    """An identifier that is shown with hundreds keeps the same sixteen of them, in whatever order they come."""
    many = [ShownFact("c3-x", f"c1-{n:03}", 1) for n in range(200)]
    log: dict[bytes, Fact] = {}
    known = Facts()
    for fact in reversed(many):
        for key, value in known.take(fact).items():
            if value is None:
                del log[key]
            else:
                log[key] = value
    assert list(log.values())[::-1] == list(known) == list(Facts(many)) == many[:16]
