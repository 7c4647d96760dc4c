"""What a cut link means: commands for the timeline, and what hangs together without it."""

from __future__ import annotations

import msgspec

from streams.core.identity_facts import Cause, Fact, Request
from streams.core.identity_split import PER_COMMAND, Links, commands

A, B, C, D = "c1-a", "c2-b", "c3-c", "c4-d"
ASKED = msgspec.json.encode(Request("asked-1", "dana", 5, "a colleague's number"))


def test_commands() -> None:
    """Who finds a cut tells the same timelines the same: which identifiers leave, whither, and since when; many in several commands."""
    many = tuple(f"c5-{n:05d}" for n in range(PER_COMMAND + 1))
    first, second, *merged = commands(Fact(A, B, "cut", ASKED, (A, B, D), (B, *many[1:], "c9"), 77))
    assert (first.kind, first.customer_id, first.into, first.decided_at) == ("customer_split", A, B, 77)
    assert (first.issued_at, first.cause) == (5, "asked-1")
    assert (len(first.identifiers), second.identifiers) == (PER_COMMAND, (many[-1], "c9"))
    assert first.command_id != second.command_id
    assert {one.reason for one in (first, second, *merged)} == {"a colleague's number"}
    assert [(one.customer_id, one.identifiers) for one in merged] == [(D, first.identifiers), (D, second.identifiers)]
    assert list(commands(Fact(A, B, "cut", ASKED, (A,), (), 77))) == [], "other links hold the two together"
    waiting = Fact(A, B, "cut", ASKED, (A,), (), 77, untold=(C, D), staying=(A, "c9"))
    assert [(one.customer_id, one.into, one.identifiers) for one in commands(waiting)] == [
        (C, A, (A, "c9")),
        (D, A, (A, "c9")),
    ], "they were merged, and what stays was theirs before, but nobody told them"
    (unknown,) = commands(Fact(A, B, "cut", b"", (A, B), (B,), 7_000))
    assert (unknown.issued_at, unknown.cause) == (7, "identity log")
    shown = msgspec.json.encode(Cause("t-4", 8, 9, "calls", "sales", "dialed"))
    (shared,) = commands(Fact(A, B, "cut", shown, (A, B), (B,), 7_000))
    assert (shared.issued_at, shared.cause, shared.reason) == (9, "t-4", None)


def test_paths() -> None:
    """The shortest path of links is found, and the next one when a link of it is cut, until nothing is left."""
    links = Links([(A, B), (B, C), (A, D), (D, "c5-e"), ("c5-e", C)])
    assert links.person(C) == [A, B, C, D, "c5-e"]
    assert links.path(A, C) == [A, B, C]
    assert links.cut(C, B) and not links.cut(B, C)
    assert links.path(A, C) == [A, D, "c5-e", C]
    assert links.cut(A, D)
    assert links.path(A, C) is None
    assert (links.person(A), links.person(D)) == ([A, B], [C, D, "c5-e"])
