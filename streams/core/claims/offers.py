"""Named offers in running text: "Spring Launch offer", "Black Friday sale". Generic ones ("special offer") are no names."""

from __future__ import annotations

import re
from collections.abc import Iterator

from streams.core.claims.text import quote, words
from streams.core.touch import Claim

_NAME = re.compile(
    r"\b(?P<name>(?:[A-Z][\w'&]*\s+){1,3})(?P<noun>(?i:offer|sale|deal|promotion|promo|special))\b(?!\s+(?:price"
    r"|manager|team))"
)
_QUOTED = re.compile(
    r"\"(?P<name>[^\"\n]{3,40}?)[,.]?\"\s+(?P<noun>(?i:offer|sale|deal|promotion|promo|special"
    r"|campaign))\b"
)
_GENERIC = words(
    """
    special limited exclusive great our the this that new best free introductory final last hot big first next time-limited
    your my a an best-ever amazing huge one every any annual all what get claim see grab don't another no private personal
    hi hello dear we i it for with on in to and or is as plus current today's weekly monthly flash job closed close
    """
)
_PUNCTUATION = re.compile(r"[^\w%&' -]+")


def normal(name: str) -> str:
    """An offer's name in normal form: lower case, without quotes, punctuation and a leading article."""
    parts = _PUNCTUATION.sub(" ", name.replace("’", "'").replace("'", "")).lower().replace("-", " ").split()
    while parts and parts[0] in ("the", "our", "a", "an"):
        parts.pop(0)
    return " ".join(parts)


def offers(segment: str, fallback: str) -> Iterator[Claim]:
    """Offers that a segment calls by name."""
    for match in _QUOTED.finditer(segment):
        yield Claim("offer", fallback, normal(f"{match['name']} {match['noun']}"), quote(segment, *match.span()))
    for match in _NAME.finditer(segment):
        parts = match["name"].split()
        while parts and parts[0].lower() in _GENERIC:
            parts.pop(0)
        if parts and not _GENERIC.intersection(word.lower() for word in parts):
            yield Claim("offer", fallback, normal(f"{' '.join(parts)} {match['noun']}"), quote(segment, *match.span()))
