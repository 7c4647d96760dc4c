"""Dead letters: what their Kafka key may say."""

from __future__ import annotations

import re

from streams.core.dead_letter import letter_key

OURS = b"c2-" + b"0123456789ab" * 2


def test_a_pseudonymous_key_stays_and_any_other_is_hashed() -> None:
    """The dead letter of a record keyed by one of our ids is keyed alike, any other key becomes a keyed hash: the same for the same key
    and secret, another for another."""
    assert (letter_key(OURS, "s"), letter_key(None, "s")) == (OURS, None)
    plain = (
        b"dana@example.com",
        b"+14155550132",
        b"",
        b"c2-dana@example.com",
        OURS + b"x",
        b"c0" + OURS[2:],
        OURS[:-1] + b"X",
    )
    hashed = [letter_key(key, "s") or b"" for key in plain]
    assert all(re.fullmatch(rb"k-[0-9a-f]{24}", key) for key in hashed)
    assert len(set(hashed)) == len(plain)
    assert hashed == [letter_key(key, "s") for key in plain]
    assert hashed[0] != letter_key(plain[0], "t")
