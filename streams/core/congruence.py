"""Congruence of a web page with a salesperson's profile: what a customer reads in one must not deny the other.

Prices, discounts, deadlines and named offers are compared as claims (`streams.core.claims`), trial, guarantee, contract, set-up
fee, support hours, limits, credit card, uptime and free plan as terms (`streams.core.claims.terms`).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from typing import get_args

from msgspec import Struct

from streams.core.claims import contradictions
from streams.core.claims.compare import clashes
from streams.core.claims.extract import of_text, unique
from streams.core.claims.html import is_html, visible_lines
from streams.core.claims.subjects import heading
from streams.core.claims.terms import Term, TermKind, relate, terms
from streams.core.claims.text import lines, sentences
from streams.core.touch import Claim

MAX_PAGE = 200_000
"""Characters of visible text that are read of a page or a profile."""

_MAX_CLAIMS = 80
_MAX_TERMS = 200
_LINES_UNDER_HEADING = 6


class Mismatch(Struct, frozen=True, gc=False):
    """One contradiction. `kind` is a claim kind (price, discount, deadline, offer) or a term kind (free_trial, ...)."""

    kind: str
    site_quote: str
    profile_quote: str
    explanation: str


def compare(site: str, profile: str, *, today: dt.date) -> tuple[Mismatch, ...]:
    """The contradictions between a page and a profile, each HTML or plain text, claims first; () when they agree.

    `today` resolves dates without a year and "Friday". The first MAX_PAGE characters of visible text of each are read.
    """
    page, person = _visible(site), _visible(profile)
    page_claims, page_terms = _read(page, today)
    person_claims, person_terms = _read(person, today)
    found = [
        _mismatch(c.kind, c.subject, c.earlier_value, c.earlier_quote, c.later_value, c.later_quote)
        for c in contradictions(page_claims, person_claims, same_campaign=True)
    ]
    for kind in get_args(TermKind):
        one = [term for term in page_terms if term.kind == kind]
        other = [term for term in person_terms if term.kind == kind]
        for a, b in clashes(one, other, lambda x, y, k=kind: relate(k, x, y), loose=True):  # type: ignore[misc]
            found.append(_mismatch(kind, b.subject or a.subject, a.value, a.quote, b.value, b.quote))
    return tuple(found)


def _visible(text: str) -> str:
    return "\n".join(visible_lines(text)) if is_html(text) else text


def _read(text: str, today: dt.date) -> tuple[tuple[Claim, ...], tuple[Term, ...]]:
    claims = unique(of_text(text, today, limit=MAX_PAGE), _MAX_CLAIMS)
    # What sets things up is a term of its own: it is compared with "no setup fee", not with a plan's price.
    fees = [Term("setup_fee", "", " ".join(c.value.split("/")[0].split()[-2:]), c.quote) for c in claims if _is_fee(c)]
    return tuple(c for c in claims if not _is_fee(c)), (*fees, *_terms(text))


def _is_fee(claim: Claim) -> bool:
    return claim.kind == "price" and claim.subject == "setup fee"


def _terms(text: str) -> Sequence[Term]:
    found: dict[tuple[str, str, str], Term] = {}
    under, left = "", 0
    for line in lines(text, MAX_PAGE):
        named = heading(line)
        if named is not None:
            under, left = named, _LINES_UNDER_HEADING
        elif left:
            left -= 1
        else:
            under = ""
        for segment in sentences(line):
            for term in terms(segment, under):
                found.setdefault((term.kind, term.subject, term.value), term)
    return list(found.values())[:_MAX_TERMS]


def _mismatch(kind: str, subject: str, site: str, site_quote: str, profile: str, profile_quote: str) -> Mismatch:
    what = kind.replace("_", " ")
    about = f" of {subject}" if subject else ""
    explanation = f"The {what}{about} is {_say(site)} on the site, but {_say(profile)} in the profile."
    return Mismatch(kind, site_quote, profile_quote, explanation)


def _say(value: str) -> str:
    """The value as a person writes it: "49 EUR per user per month"; an amount without currency has none."""
    return re.sub(r"(?<=\D)/", " per ", value.replace(" XXX", ""))
