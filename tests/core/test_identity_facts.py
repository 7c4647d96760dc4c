"""Facts of the identity log: written, read, and those of older releases."""

from __future__ import annotations

import msgspec
import pytest

from streams.core.identity_facts import (
    Cause,
    Fact,
    Request,
    Resolved,
    cause_of,
    decode,
    decode_cause,
    decode_request,
    encode,
    resolve_alone,
    taken_back,
)
from streams.core.touch import Origin
from tests.core.made import touch

A, B, C = "c1-a", "c2-b", "c3-c"


def test_the_index_is_not_needed_to_go_on() -> None:
    """Without the index the strongest identifier decides, and what else was seen is left to the index: nobody merges unguarded."""
    facts = (Fact(A, A, cause=b"{}"), Fact(A, B, "seen", b"{}"), Fact(A, C, "seen", b"{}"))
    assert resolve_alone((A, B, C), b"{}") == Resolved(A, facts)


@pytest.mark.parametrize("kind", ["link", "blocked", "shared", "told", "seen"])
def test_facts_come_back(kind: str) -> None:
    """A record says what the fact said, with its cause; kinds differ in their key, so that compaction keeps each."""
    made = touch("t1", "sent", 5)
    fact = Fact(A, B, kind, cause_of(made, 7, Origin("touches.email", 1, 9)), (A, C))  # type: ignore[arg-type]
    assert fact.key == ("c1-a|c2-b" if kind == "link" else f"{kind}:c1-a|c2-b")
    back = decode(fact.key.encode(), encode(fact))
    assert back == fact
    expected = Cause("t1", made.occurred_at, 7, "email", "marketing", "sent", "touches.email[1]@9")
    assert decode_cause(back) == expected


def test_what_a_person_decided_comes_back() -> None:
    """A cut and an erasure come back with all they say, and with who asked instead of a touch."""
    request = Request("command", "dana", 9, "wrong number")
    cut = Fact(A, B, "cut", msgspec.json.encode(request), (A, B, C), (B, "c5-e"), 77, untold=(B,), staying=(A, C))
    erased = Fact(A, A, "erased", msgspec.json.encode(request), at=78, until=5)
    for fact in (cut, erased):
        back = decode(fact.key.encode(), encode(fact))
        assert back == fact
        assert (decode_request(back), decode_cause(back)) == (request, None)
    assert decode_request(Fact(A, B, "cut")) is None
    names = ("", "blocked:", "seen:", "told:", "cut:", "joined:", "acted:", "ended:")
    assert taken_back(Fact(A, B, "gone")) == tuple(f"{name}c1-a|c2-b" for name in names)


def test_older_records_are_read() -> None:
    """Releases that noted no cause wrote "link"; a fact without a cause is no error."""
    assert decode(b"c1-a|c2-b", b"link") == Fact(A, B)
    assert decode(b"c1-a|c2-b", encode(Fact(A, B))) == Fact(A, B)
    assert decode_cause(Fact(A, B)) is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"", b"link"),
        (b"x", b"link"),
        (b"gone:a|b", b"link"),
        (b"odd:a|b", b"link"),
        (b"a|", b"link"),
        (b"a|b", b"{"),
        (b"a|b", b""),
    ],
)
def test_foreign_records_are_told(key: bytes, value: bytes) -> None:
    """What is no fact is a ValueError, which names the record."""
    with pytest.raises(ValueError, match="identity log"):
        decode(key, value)
