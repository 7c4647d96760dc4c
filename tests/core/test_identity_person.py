"""What the identity log tells about one person."""

from __future__ import annotations

import random

import msgspec

from streams.core.identity_facts import Fact, Request, cause_of
from streams.core.identity_person import IdentityLog, Person
from tests.support.samples import TOUCH, replace

A, B, C, D = "c1-a", "c2-b", "c3-c", "c4-d"


def because(name: str, at: int) -> bytes:
    """A touch as a cause, published at `at`."""
    return cause_of(replace(TOUCH, touch_id=name), at)


FACTS = [
    (Fact(B, B, cause=because("s1", 100)), 900),
    (Fact(B, C, cause=because("s1", 100)), 900),
    (Fact(A, B, cause=because("s2", 200)), 950),
    (Fact(A, A, cause=because("s2", 200)), 950),
    (Fact(B, A, "told", because("s2", 200)), 990),
    (Fact("c1-x", C, "blocked", because("s3", 300), (A, "c1-x")), 991),
    (Fact(D, D, "shared"), 992),
    (Fact(C, D), 993),
    (Fact("c1-x", "c1-x", cause=because("s3", 300)), 991),
]


def person(facts: list[tuple[Fact, int]], node_id: str = C) -> Person:
    """Who has this id, by these records."""
    log = IdentityLog()
    for fact, at in facts:
        log.put(fact, at)
    return log.person(node_id)


def test_the_order_of_the_log_does_not_matter() -> None:
    """A log in any order tells the same history, by the time of the causing touches; what has no cause stands at its own time."""
    expected = person(FACTS)
    assert (expected.customer_id, expected.ids) == (A, (A, B, C, D))
    assert (expected.shared, expected.untold) == ({D}, frozenset())
    assert [(event.at, event.kind) for event in expected.history] == [
        (100, "customer"),
        (100, "link"),
        (200, "customer"),
        (200, "link"),
        (200, "merge"),
        (300, "blocked"),
        (992, "shared"),
        (993, "link"),
    ]
    rng = random.Random(3)
    for _ in range(20):
        assert person(rng.sample(FACTS, len(FACTS))) == expected


def test_a_timeline_that_was_not_told() -> None:
    """An id under which touches were sent on, and of which the log has no merge, is named."""
    assert person([item for item in FACTS if item[0].kind != "told"]).untold == {B}


def test_undecided_pairs_come_after_decisions() -> None:
    """A pair seen while the index was away links two people, unless the log has the decision against it, also later."""
    seen = (Fact(A, C, "seen"), 1)
    assert person([seen], C).customer_id == A
    assert person([seen, (Fact(A, C, "blocked", customers=(A, C)), 2)], C).customer_id == C


def test_known_and_taken_back() -> None:
    """Only ids that some fact names are known, and none of a fact that was taken back."""
    log = IdentityLog()
    log.put(Fact(A, B), 1)
    assert log.known([A, B, C]) == [A, B]
    log.remove(Fact(A, B).key)
    assert log.known([A, B, C]) == []
    assert log.customer(B) == B


def test_a_split() -> None:
    """A cut stands in the history of both, with who asked and when; what timelines were told before it counts no more."""
    request = msgspec.json.encode(Request("command", "dana", 400))
    cut = (Fact(A, B, "cut", request, (A, B), (B, C, D), 7), 995)
    told = (Fact(C, B, "told", at=8), 996)
    used = (Fact(C, C), 994)
    theirs = person([*FACTS, cut, used], C)
    assert (theirs.customer_id, theirs.ids, theirs.untold) == (B, (B, C, D), {C})
    assert person([*FACTS, cut, used, told], C).untold == frozenset()
    assert person([*FACTS, cut, used, (Fact(C, B, "told", at=6), 996)], C).untold == {C}
    mine = person([*FACTS, cut], A)
    assert (mine.customer_id, mine.ids) == (A, (A,))
    for one in (mine, theirs):
        (event,) = [event for event in one.history if event.kind == "cut"]
        assert (event.at, event.fact.customers) == (400, (A, B))
    rng = random.Random(4)
    for _ in range(20):
        shuffled = rng.sample([*FACTS, cut, used], len(FACTS) + 2)
        assert person(shuffled, C) == theirs


def test_touches_of_the_erased_are_nobody_elses() -> None:
    """A form that named two people, linked by it until a cut, is the erased one's as long as Kafka keeps it, not the other's: it goes by
    its strongest id. Either id of the erased one finds it."""
    log = IdentityLog()
    for fact in (Fact(B, B), Fact(A, A, "erased", at=9, until=9), Fact(C, C, "erased", at=9, until=9)):
        log.put(fact, 1)
    assert not log.belongs((A, B), log.person(B))
    assert log.belongs((A, C), log.person(A)) and log.belongs((A, C), log.person(C))
    assert log.belongs((B, C), log.person(B)) and not log.belongs((B, C), log.person(C))
