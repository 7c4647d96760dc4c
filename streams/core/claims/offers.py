"""Named offers in running text: "Spring Launch offer", "Black Friday sale". Generic ones ("special offer") are no names."""

from __future__ import annotations

import re
from collections.abc import Iterator

from streams.core.claims.text import quote
from streams.core.touch import Claim

_NAME = re.compile(r"\b(?P<name>(?:[A-Z][\w'&]*\s+){1,3})(?P<noun>(?i:offer|sale|deal|promotion|promo|special))\b(?!\s+(?:price|manager|team))")
_GENERIC = frozenset(
    "special limited exclusive great our the this that new best free introductory final last hot big first next time-limited"
    " your my a an best-ever amazing huge one every any annual all what get claim see grab don't another no private personal"
    " hi hello dear we i it for with on in to and or is as plus current today's weekly monthly flash job closed close big".split()
)
_WORDS = re.compile(r"[^\w%&' -]+")


def normal(name: str) -> str:
    """An offer's name in normal form: lower case, without quotes, punctuation and a leading article."""
    words = _WORDS.sub(" ", name.replace("’", "'").replace("'", "")).lower().replace("-", " ").split()
    while words and words[0] in ("the", "our", "a", "an"):
        words.pop(0)
    return " ".join(words)


def offers(segment: str, fallback: str) -> Iterator[Claim]:
    """Offers that a segment calls by name."""
    for match in _NAME.finditer(segment):
        words = match["name"].split()
        while words and words[0].lower() in _GENERIC:
            words.pop(0)
        if words and not _GENERIC.intersection(word.lower() for word in words):
            yield Claim("offer", fallback, normal(f"{' '.join(words)} {match['noun']}"), quote(segment, *match.span()))
