"""Policies with a mistake."""

from __future__ import annotations

import pytest

from streams.core.policy import PolicyError, parse


def one_is_told(text: str, told: str) -> None:
    """The policy, as a file named p, is refused with one line of text, which says so."""
    with pytest.raises(PolicyError) as caught:
        parse(text, "p")
    assert told in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
