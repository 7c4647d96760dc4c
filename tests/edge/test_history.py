"""All timelines as the changelog holds them: what everybody's touches say of their company."""

from __future__ import annotations

import pytest

from streams.core.entry import DamagedError, Entry
from streams.core.timeline import Timeline, encode
from streams.edge.history import Followed


def of(account: str) -> bytes:
    """The value of a timeline whose touch names a company."""
    return encode(
        Timeline(entries=(Entry(1, f"t-{account}", "email", "marketing", "outbound", "sent", account=account),))
    )


def test_belongings_follow_the_changelog() -> None:
    """A damaged timeline is told of as often as it is asked about; once it can be read, all are known, and later what has changed."""
    held = Followed({b"c2-a": of("Acme"), b"c2-b": b"\x09\x91\xc0", b"c2-c": of("globex"), b"c2-d": encode(Timeline())})
    for _ in range(2):
        with pytest.raises(DamagedError, match="unknown to this release"):
            held.belongings()
    held.take(b"c2-b", of("acme"))
    assert {who: one.newest for who, one in held.belongings().items()} == {
        "c2-a": "Acme",
        "c2-b": "acme",
        "c2-c": "globex",
    }
    held.take(b"c2-a", of("initech"))
    held.take(b"c2-c", None)
    assert {who: one.newest for who, one in held.belongings().items()} == {"c2-a": "initech", "c2-b": "acme"}
