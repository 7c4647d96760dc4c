"""The graph of identifiers: one person's meet in any order, guards keep persons apart, the log says it all."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.core.identity_facts import Fact
from streams.core.identity_graph import Graph

touches_ = st.lists(
    st.lists(st.sampled_from([f"c{n}-" for n in range(2, 9)]), min_size=1, max_size=3, unique=True), max_size=10
)


@given(touches_, st.randoms(use_true_random=False))
def test_links_in_any_order_give_the_same_persons(touches: list[list[str]], rng: random.Random) -> None:
    """Shuffled and repeated touches give every id the same person, the smallest id that can be reached."""
    graph, again = Graph(), Graph()
    touches = [sorted(ids) for ids in touches]
    for ids in touches:
        assert graph.link(ids) == graph.find(ids[0]) == graph.customer(ids)
    shuffled = [*touches, *touches]
    rng.shuffle(shuffled)
    for ids in shuffled:
        again.link(ids)
        rng.choice((again.find, graph.find))(rng.choice(ids))
    for node in {node for ids in touches for node in ids}:
        assert graph.find(node) == again.find(node) == min(reachable(node, touches))
    assert graph.find("never seen") == "never seen"
    assert not graph.blocked


def reachable(node: str, links: list[list[str]]) -> set[str]:
    """Transitive closure, step by step."""
    known = {node}
    while grown := {other for ids in links if known & set(ids) for other in ids} - known:
        known |= grown
    return known


crowded = st.lists(
    st.tuples(st.integers(1, 5), st.integers(0, 6)).flatmap(
        lambda first: st.lists(st.tuples(st.integers(1, 5), st.integers(0, 2)), max_size=2).map(
            lambda others: sorted({f"c{rank}-{n}" for rank, n in (first, *others)})
        )
    ),
    max_size=25,
)


@given(crowded, st.randoms(use_true_random=False))
def test_guards_hold_in_any_order(touches: list[list[str]], rng: random.Random) -> None:
    """No person ever has two CRM records; which identifiers are shared does not depend on the order of the touches."""
    touches = [[ids[0], *[i for i in ids[1:] if i[:3] != ids[0][:3]]] for ids in touches]
    one, other = Graph(limit=2), Graph(limit=2)
    shuffled = list(touches)
    rng.shuffle(shuffled)
    for graph, order in ((one, touches), (other, shuffled)):
        for ids in order:
            graph.link(ids)
        for ids in order:
            if ids[0].startswith("c1-"):
                assert graph.customer(ids) == ids[0], "a CRM record goes by itself"
        for fact in graph.blocked:
            assert fact.customers[0] != fact.customers[1]
            assert all(customer.startswith("c1-") for customer in fact.customers)
    directly = {i for i in {i for ids in touches for i in ids} if crowd(i, touches) > 2}
    assert {i for i in directly if not one.is_shared(i) or not other.is_shared(i)} == set()


def crowd(node: str, touches: list[list[str]]) -> int:
    """How many identifiers of one kind a node was seen below, when those above it in a touch are not shared themselves."""
    by_kind: dict[str, set[str]] = {}
    for ids in touches:
        if node in ids[1:] and ids[0].startswith("c1-"):
            by_kind.setdefault(ids[0][:3], set()).add(ids[0])
    return max((len(seen) for seen in by_kind.values()), default=0)


def test_a_switchboard_links_nobody_any_more() -> None:
    """The fourth mail address of one number shows that many share it: the three before it are apart again, and so is what the number
    linked below it; who hangs together by something else stays together."""
    graph = Graph()
    graph.link(("c3-board", "c6-cookie"))
    graph.link(("c2-0", "c4-same"))
    graph.link(("c2-2", "c4-same"))
    for n in range(6):
        assert graph.link((f"c2-{n}", "c3-board")) == ("c2-0" if n < 3 else f"c2-{n}")
    assert graph.is_shared("c3-board")
    assert [graph.find(f"c2-{n}") for n in range(6)] == ["c2-0", "c2-1", "c2-0", "c2-3", "c2-4", "c2-5"]
    assert graph.find("c6-cookie") == "c6-cookie"
    assert graph.link(("c3-board", "c5-click")) == "c5-click", "a shared number does not say who clicked"
    assert graph.link(("c3-board", "c6-cookie")) == "c3-board", "a touch read again stays where it was"
    assert graph.link(("c3-board",)) == "c3-board"


def test_two_crm_records_stay_two() -> None:
    """A mail address of two CRM records stays with the first; the contradiction is noted once, also when it is indirect."""
    graph = Graph()
    assert graph.link(("c1-a", "c2-x")) == "c1-a"
    assert graph.link(("c1-b", "c2-x"), b"why") == "c1-b"
    assert graph.link(("c1-b", "c2-x"), b"again") == "c1-b"
    assert graph.link(("c1-b", "c2-y")) == "c1-b"
    assert graph.link(("c2-x", "c3-p")) == "c1-a"
    assert graph.link(("c2-y", "c3-p"), b"indirect") == "c1-b"
    assert graph.find("c2-x") == graph.find("c3-p") == "c1-a"
    direct = Fact("c1-b", "c2-x", "blocked", b"why", ("c1-b", "c1-a"))
    indirect = Fact("c2-y", "c3-p", "blocked", b"indirect", ("c1-b", "c1-a"))
    assert graph.blocked == graph.contradictions() == [direct, indirect]


def test_contradictions_that_end() -> None:
    """Somebody decides that two records are two, or that the identifier is not the first one's, who loses it to the second then; or many
    people turn out to have it: the contradiction is none any more."""
    graph = Graph()
    for one, other, identifier in (("c1-a", "c1-b", "c2-x"), ("c1-c", "c1-d", "c2-y"), ("c1-e", "c1-f", "c2-z")):
        graph.link((one, identifier))
        graph.link((other, identifier))
    graph.cut("c1-b", "c2-x")
    assert [(fact.a, fact.b) for fact in graph.contradictions()] == [("c1-d", "c2-y"), ("c1-f", "c2-z")]
    assert graph.find("c2-x") == "c1-a"
    graph.cut("c1-c", "c2-y")
    assert graph.find("c2-y") == "c1-d"
    assert [(fact.a, fact.b) for fact in graph.contradictions()] == [("c1-f", "c2-z")]
    graph.link(("c1-g", "c2-z"))
    graph.link(("c1-h", "c2-z"))
    assert graph.is_shared("c2-z") and graph.contradictions() == []
    assert graph.find("c2-z") == "c2-z"


@given(crowded, st.randoms(use_true_random=False))
def test_a_log_in_any_order_gives_the_same_graph(touches: list[list[str]], rng: random.Random) -> None:
    """Facts, shuffled and repeated, say who is who; a touch seen before is then placed as before."""
    touches = [[ids[0], *[i for i in ids[1:] if i[:3] != ids[0][:3]]] for ids in touches]
    graph = Graph(limit=2)
    for ids in touches:
        graph.link(ids)
    facts = graph.facts()
    shuffled = [*facts, *facts]
    rng.shuffle(shuffled)
    again = Graph(shuffled, limit=2)
    assert set(again.facts()) == set(facts)
    for ids in touches:
        assert again.customer(ids) == graph.customer(ids)
        assert again.link(ids) == graph.link(ids)
    assert set(again.facts()) == set(graph.facts())


def test_touch_read_again_after_its_strongest_id_became_shared() -> None:
    """A touch decided by an identifier before many were found to share it goes to the same customer when it is read again."""
    graph = Graph()
    graph.link(("c1-a", "c2-office"))
    graph.link(("c1-b", "c3-phone"))
    assert graph.link(("c2-office", "c3-phone")) == "c1-a", "the pair is blocked, the touch is the stronger one's"
    for other in ("c1-x", "c1-y", "c1-z"):
        graph.link((other, "c2-office"))
    assert graph.is_shared("c2-office")
    assert graph.link(("c2-office", "c3-phone")) == "c2-office", "its own by now, with all its touches"
    assert graph.link(("c2-office", "c4-new")) == "c4-new"


@given(crowded, st.data(), st.randoms(use_true_random=False))
def test_decisions_in_any_order_give_the_same_graph(
    touches: list[list[str]], data: st.DataObject, rng: random.Random
) -> None:
    """Between touches some are joined who are two, and links, joins and conflicts are cut: the persons are what the links and joins that
    are left reach, and the log in any order says the same, with decisions that were overruled, too."""
    touches = [[ids[0], *[i for i in ids[1:] if i[:3] != ids[0][:3]]] for ids in touches]
    graph, log = Graph(limit=2), dict[str, Fact]()
    for n, ids in enumerate(touches):
        graph.link(ids)
        log |= {fact.key: fact for fact in graph.facts()}
        for _ in range(data.draw(st.integers(0, 2))):
            a, b = sorted(rng.choices([one for seen in touches[: n + 1] for one in seen], k=2))
            told = sorted((f.a, f.b) for f in graph.facts() if f.kind in ("link", "joined", "blocked") and f.a != f.b)
            if (
                data.draw(st.booleans())
                and graph.find(a) != graph.find(b)
                and not (graph.is_shared(a) or graph.is_shared(b))
            ):
                graph.join(a, b)
                assert graph.find(a) == graph.find(b)
            elif told:
                pair = data.draw(st.sampled_from(told))
                graph.cut(*pair)
                assert Fact(*pair, "cut") in [replace(fact, at=0) for fact in graph.facts()]
            log |= {fact.key: fact for fact in graph.facts()}
    held = [[fact.a, fact.b] for fact in graph.facts() if fact.kind in ("link", "joined") and fact.a != fact.b]
    for node in {node for ids in touches for node in ids}:
        assert graph.find(node) == min(reachable(node, held))
    shuffled = [*log.values(), *log.values()]
    rng.shuffle(shuffled)
    again = Graph(shuffled, limit=2)
    assert set(again.facts()) == set(graph.facts())
    for ids in touches:
        assert again.customer(ids) == graph.customer(ids)
        assert again.link(ids) == graph.link(ids) == graph.customer(ids), (
            "a touch read again does not link what was cut"
        )


def test_two_records_joined_and_split() -> None:
    """Two records that somebody joined are one person, also for a touch that shows both with something new; a cut takes them apart where
    they were, and what was blocked is blocked again. The later decision holds, whatever the log says first."""
    graph = Graph()
    for ids in (("c1-a", "c2-x"), ("c1-b", "c3-y"), ("c1-b", "c2-x")):
        graph.link(ids)
    graph.join("c1-b", "c1-a")
    assert {graph.find(one) for one in ("c1-a", "c1-b", "c2-x", "c3-y")} == {"c1-a"}
    assert graph.contradictions() == []
    graph.cut("c1-a", "c1-b")
    assert [graph.find(one) for one in ("c1-a", "c1-b", "c2-x", "c3-y")] == ["c1-a", "c1-b", "c1-a", "c1-b"]
    for n, holds in enumerate(("c1-b", "c1-a", "c1-b", "c1-a")):
        kinds = ("joined", "cut")
        graph.apply(Fact("c1-a", "c1-b", kinds[n % 2 == 0], at=10 + n))
        graph.apply(Fact("c1-a", "c1-b", kinds[n % 2 == 1], at=9 + n))
        assert graph.find("c1-b") == holds


def test_a_cut_pair_stays_apart() -> None:
    """A later touch with both identifiers stays with its strongest; the weaker one is with whom other links have it."""
    graph = Graph()
    graph.link(("c1-a", "c2-b", "c3-p"))
    graph.link(("c2-b", "c4-l"))
    graph.apply(Fact("c1-a", "c2-b", "cut"))
    assert [graph.find(i) for i in ("c1-a", "c3-p", "c2-b", "c4-l")] == ["c1-a", "c1-a", "c2-b", "c2-b"]
    assert graph.link(("c1-a", "c2-b")) == "c1-a"
    assert graph.find("c4-l") == "c2-b"
    assert graph.link(("c2-b", "c3-p")) == "c1-a", "another touch may link them all the same, by another identifier"
    assert graph.find("c4-l") == "c1-a"
