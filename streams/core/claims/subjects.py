"""What a figure is about: the plan or product named near it, in normal form ("pro", "flowdesk", "annual billing").

Some things with prices and dates are not the offer itself (a set-up fee, a webinar's registration). They get a subject of
their own and never meet the offer's claims: see `stands_apart`.
"""

from __future__ import annotations

import re

from streams.core.claims.common_words import COMMON_WORDS
from streams.core.claims.text import words

PLAN_WORDS = words(
    """
    starter basic lite solo personal individual essential essentials standard plus pro professional team teams business
    growth scale premium advanced ultimate enterprise agency unlimited core launch free freelancer startup
    """
)
SIZE_WORDS = frozenset({"small", "mid", "medium", "large", "big", "mini"})

_TRAILING = frozenset({"monthly", "yearly", "annual", "annually", "price", "prices", "pricing", "cost", "costs"})
_PLAN_NOUN = r"(?:plans?|tiers?|packages?|editions?|licen[cs]es?|subscriptions?|bundles?)"
_CAPITAL = r"[A-Z][\w&+]*"
_NUMBERED = rf"{_CAPITAL}(?: (?:{_CAPITAL}|\d\b)){{0,2}}"
_STANDALONE = PLAN_WORDS - {"free", "launch", "core", "startup", "unlimited", "teams"}
_PLANS = "|".join(sorted(_STANDALONE, key=len, reverse=True))
_CAPITAL_PLANS = "|".join(word.capitalize() for word in _PLANS.split("|"))
# Spanish "Solo 49 €" is "only", French and German "Plus 10 €" is "and": plans only beside other plans, or where they are called so.
_AMBIGUOUS = frozenset({"solo", "plus"})
_CALLED = re.compile(rf"[\s-]+(?:{_PLAN_NOUN}|(?:is|costs?|for|at|kostet|für)\b)|\s*[:(]", re.IGNORECASE)
# "Business hours", "Enterprise Account Executive": the words are not plans there.
_NO_PLAN_AFTER = (
    r"(?!\s+(?:members?|hours?|days?|of|trials?|customers?|clients?|leads?|accounts?|sales|development|managers?|marketing"
    r"|executives?|director|reviews?|partners?|owners?|software|growth|rates?|hacking|support|features?|users?"
    # German "Pro Monat": per month.
    r"|(?i:monat|jahr|quartal|woche|tag|stunde|nutzer|benutzer|anwender|mitarbeiter|person|kopf|platz|arbeitsplatz|lizenz|stück"
    r"|standort)(?:in|e)?)\b)"
)
_MENTIONS = (
    # "the Gold plan", "pro plan"
    re.compile(
        rf"(?P<name>\b{_CAPITAL}(?:[ -]{_CAPITAL}){{0,2}}|\b(?i:{_PLANS}|free|core|startup|unlimited))[\s-]+(?i:{_PLAN_NOUN})\b"
    ),
    # "Flowdesk Pro", "Team Plus"
    re.compile(
        rf"(?P<name>(?:\b{_CAPITAL} ){{0,2}}\b(?:{_CAPITAL_PLANS}|{_PLANS.upper()})\b(?: (?:Plus|Max|XL|\d)\b)?)"
        rf"{_NO_PLAN_AFTER}"
    ),
    # "Flowdesk costs $39"
    re.compile(
        rf"(?:^|[,;(]\s*|\b(?i:and|or)\s+)\W*(?P<name>{_NUMBERED})(?=\s+(?:(?:now|only|just)\s+)?"
        r"(?:costs?|is|are|comes in|starts?|sells?|goes)\s+(?:(?:at|from|for|now|only|just|priced)\s+){0,3}[$€£¥\d])"
    ),
    # "Voyager: $49", "Voyager for $49"
    re.compile(
        rf"(?:^|[,;]\s*)(?:[#*-]\s*)*(?P<name>{_NUMBERED})"
        r"(?=\s*(?::|-|\(|,|\bat\b|\bfor\b)?\s*(?:from |only |just )?[$€£¥\d])"
    ),
)
_LOWER_PLAN_LINK = re.compile(rf"\b(?:for|on|off|with|of)\s+(?:the\s+|our\s+)?(?P<name>{_PLANS})\b{_NO_PLAN_AFTER}")
_ANNUAL = re.compile(
    r"\b(?:annual|yearly|12-month)\s+(?:billing|plans?|payment|prepay\w*|subscriptions?|commitment|contracts?|terms?|deals?"
    r"|licen[cs]es?)\b"
    r"|\b(?:pay|paid|paying|billed|bill|prepay|prepaid|signed?|commit)\s+(?:\w+\s+){0,2}"
    r"(?:annually|yearly|up\s?front|for (?:a|the) (?:full )?year|by the year)\b",
    re.IGNORECASE,
)
_APART = {
    "setup fee": re.compile(
        r"\b(?:set-?\s?up|onboarding|implementation|installation|activation|migration|one-time)\b"
        r"(?!\s+(?:offer|deal|discount|price))",
        re.IGNORECASE,
    ),
    "registration": re.compile(
        r"\b(?:regist\w+|rsvp|webinar|conference|workshop|tickets?|summit|meetup)\b", re.IGNORECASE
    ),
    "add-on": re.compile(
        r"\b(?:add-?ons?|(?:extra|additional) (?:\w+ )?(?:users?|seats?|licen[cs]es?|contacts?|storage|gb)|overages?|shipping"
        r"|delivery|training|consulting|deposit)\b",
        re.IGNORECASE,
    ),
    "special group": re.compile(
        r"\b(?:non-?profits?|charit(?:y|ies)|students?|education(?:al)?|academics?|start-?ups\b|referr\w+|refer a"
        r"|existing customers|partners?|resellers?|veterans?|renewals?|renew)\b",
        re.IGNORECASE,
    ),
}
_APART_NAMES = frozenset(_APART) | {"answer"}
# Dates by which something else than the offer is wanted.
_ANSWER = re.compile(
    (
        r"\b(?:sign(?:ing)? up for|survey|apply (?:by|before|for)|applications?|invoice (?:is )?due"
        r"|respond|reply|let me know)\b"
    ),
    re.I,
)


def stands_apart(subject: str) -> bool:
    """Whether claims about `subject` are never claims about the offer as such."""
    return subject in _APART_NAMES


def apart(segment: str, kind: str) -> str:
    """The subject apart from the offer that a claim of `kind` in `segment` is about ("setup fee", ...), or ""."""
    if kind == "deadline" and _ANSWER.search(segment):
        return "answer"
    return next((name for name, pattern in _APART.items() if pattern.search(segment)), "")


def normal(name: str) -> str:
    """The normal form of a plan's or product's name: lower case, without articles, quotes, trade marks and "plan"."""
    parts = re.sub(r"[\"'™®©#*_]+", "", name).replace("-", " ").lower().split()
    while parts and parts[0] in COMMON_WORDS:
        parts.pop(0)
    while parts and (parts[-1] in _TRAILING or re.fullmatch(_PLAN_NOUN, parts[-1])):
        parts.pop()
    # "Black Friday" ends in a word that no plan is called by, as does "Pro Nutzer 5"; digits alone are no name either.
    last = next((word for word in reversed(parts) if not word.isdigit()), "")
    if not last or last in COMMON_WORDS or not any(word[0].isalpha() for word in parts):
        return ""
    return " ".join(parts)


def of_product(product: str | None) -> str:
    """The subject that a message's or a campaign's product field stands for; "" when there is none."""
    return (normal(product) or " ".join(product.lower().split())) if product else ""


def mentions(segment: str) -> list[tuple[int, int, str]]:
    """The plans named in a segment as (start, end, normal form), in order, without overlaps."""
    found: list[tuple[int, int, str]] = []
    for pattern in (*_MENTIONS, _LOWER_PLAN_LINK):
        for match in pattern.finditer(segment):
            start, end = match.span("name")
            subject = normal(match["name"])
            if subject and all(end <= s or start >= e for s, e, _ in found):
                found.append((start, end, subject))
    if len(found) == 1 and found[0][2] in _AMBIGUOUS and not _CALLED.match(segment, found[0][1]):
        return []
    return sorted(found)


def annual(segment: str) -> bool:
    """Whether the segment speaks of paying for a year at once."""
    return _ANNUAL.search(segment) is not None


_LINK_AFTER = re.compile(
    (
        r"[^,;.]{0,30}?\b(?:for|on|off|with|of|in|gets? you|buys(?: you)?)\s+(?:(?:the|our|any|all"
        r"|your|a)\s+)*$|\s*[(\[]\s*$"
    ),
    re.I,
)


def about(
    segment: str, named: list[tuple[int, int, str]], previous_end: int, start: int, end: int, next_start: int
) -> str:
    """The subject of the figure at `segment[start:end]`, or "".

    Named right after it ("$49 for Pro"), else the nearest name before it since the previous figure, else the nearest after it.
    """
    after = [m for m in named if end <= m[0] < next_start]
    if after and _LINK_AFTER.match(segment[end : after[0][0]]):
        return after[0][2]
    before = [m for m in named if previous_end <= m[0] and m[1] <= start]
    if before and not (previous_end and _LINK_AFTER.match(segment[previous_end : before[-1][0]])):
        return before[-1][2]
    if len(named) == 1:
        return named[0][2]
    return ""


def heading(line: str) -> str | None:
    (
        """What a heading or a bare plan name makes the subject of the lines below: a name, """
        " (none), or None (no heading)."
        ""
    )
    is_heading = line.startswith("#")
    bare = line.lstrip("# ").rstrip(":")
    if not 0 < len(bare.split()) <= 4 or re.search(r"[\d$€£%?!]", bare):
        return "" if is_heading else None
    subject = normal(bare)
    tokens = subject.split()
    if not tokens or not bare[0].isupper():
        return "" if is_heading else None
    if tokens[-1] in PLAN_WORDS or (tokens[0] in PLAN_WORDS and re.search(rf"\b{_PLAN_NOUN}$", bare, re.IGNORECASE)):
        return subject
    if not is_heading:
        return None
    # A first-level heading is the page's title, not a plan's.
    is_name = len(tokens) <= 2 and not line.startswith("# ") and COMMON_WORDS.isdisjoint(bare.lower().split())
    return subject if is_name else ""
