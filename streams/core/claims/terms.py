"""Terms beside price and date that a page and a salesperson may state differently: trial, guarantee, contract, support ...

A term's value is comparable text: a number of days or months, an amount, a limit "10 users", or a word ("none", "24/7", "yes").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Literal

from msgspec import Struct

from streams.core.claims import subjects
from streams.core.claims.numbers import WORD_NUMBER, whole
from streams.core.claims.text import quote
from streams.core.claims.values import Relation

TermKind = Literal[
    "free_trial", "guarantee", "contract", "setup_fee", "support_hours", "limit", "credit_card", "uptime", "free_plan"
]  # fmt: skip

_N = rf"(?P<n>\d{{1,5}}|{WORD_NUMBER}|a(?:\s+full)?(?=\s+(?:day|week|month|year)))"
_SPAN = rf"{_N}[\s-]+(?:full\s+|whole\s+)?(?P<unit>day|week|month|year)s?'?s?"
_DAYS = {"day": 1, "week": 7, "month": 30, "year": 365}
_MONTHS = {"month": 1, "year": 12}
_SETUP = r"(?:set-?\s?up|onboarding|implementation|installation|activation)"
_HEADS = r"(?P<what>users?|seats?|people|members?|employees|contacts|projects|workspaces|agents|licen[cs]es)"
_SUPPORT = re.compile(
    (
        r"\b(?:support|help\s?desk|helpline|hotline|customer (?:service|care)|service desk|here for you"
        r"|on call)\b"
    ),
    re.I,
)


class Term(Struct, frozen=True, gc=False):
    """One stated term: "14-day free trial" is kind "free_trial", value "14 days". `subject` is the plan, or ""."""

    kind: TermKind
    subject: str
    value: str
    quote: str


def _days(match: re.Match[str]) -> str | None:
    return _spelled(match, _DAYS, "days")


def _months(match: re.Match[str]) -> str | None:
    return _spelled(match, _MONTHS, "months")


def _spelled(match: re.Match[str], units: dict[str, int], name: str) -> str | None:
    count = 1 if match["n"].lower().startswith("a") else whole(match["n"])
    return None if not count else f"{count * units[match['unit'].lower()]} {name}"


def _always(value: str) -> Callable[[re.Match[str]], str | None]:
    return lambda match: value


def _limit(match: re.Match[str]) -> str | None:
    what = match["what"].lower()
    what = "users" if re.match(r"user|seat|people|member|employee|agent|licen", what) else what
    count = "unlimited" if "n" not in match.re.groupindex else whole(match["n"])
    return None if not count else f"{count} {what}"


def _uptime(match: re.Match[str]) -> str | None:
    return f"{(match['a'] or match['b']).replace(',', '.').rstrip('0').rstrip('.')}%"


_READERS: tuple[tuple[TermKind, str, Callable[[re.Match[str]], str | None]], ...] = (
    ("free_trial", rf"\b{_SPAN}[\s-]+(?:(?:free|no-risk|risk-free|full|long|of)\s+){{0,2}}trial\b", _days),
    ("free_trial", rf"\btrial\b[^.;\d]{{0,20}}?\b(?:of|for|lasts|runs|is)\s+{_SPAN}\b", _days),
    ("free_trial", rf"\btry\b[^.;\d]{{0,30}}?\bfree\b[^.;\d]{{0,15}}?\bfor\s+{_SPAN}\b", _days),
    ("free_trial", rf"\bfree\s+for\s+(?:the\s+first\s+)?{_SPAN}\b", _days),
    ("free_trial", (r"\b(?:no|without an?|don't (?:offer|have) an?|there(?:'s| is) no)\s+(?:free\s+)?trial\b(?!\s+(?:limit"
r"|period))"), _always("none")),
    ("guarantee", (rf"\b{_SPAN}[\s-]+(?:(?:no-questions-asked|full|100%|risk-free|satisfaction)[\s,]+){{0,2}}(?:money[- ]back"
rf"|refunds?|returns?|satisfaction guarantee|guarantee)\b"), _days),
    ("guarantee", (rf"\b(?:money[- ]back|refund(?:s|ed|able)?|your money back|satisfaction guarantee)\b[^.;\d]{{0,40}}?\b(?:for"
rf"|within|in|of|after|up to)\s+(?:the first\s+)?{_SPAN}\b"), _days),
    ("guarantee", r"\b(?:no refunds?\b|non-refundable|no money[- ]back)", _always("none")),
    ("contract", (r"\bcancel(?:lable)?\b[^.;]{0,15}?\b(?:any\s?time|whenever|at any time)\b|\bno\s+(?:(?:long[- ]term"
r"|annual|fixed|minimum|yearly)\s+)*(?:contracts?|commitments?|lock-?in|term|strings contract)\b"
r"|\bmonth-to-month (?:only|contract|terms?)\b"), _always("none")),
    ("contract", (rf"(?<!no )\b{_SPAN}[\s-]+(?:(?:minimum|fixed|initial)\s+)*(?:contract|commitment|minimum(?:\s+term)?"
rf"|term)\b"), _months),
    ("contract", rf"\bminimum\s+(?:contract\s+)?(?:term|contract|commitment|period|duration)\b[^.;\d]{{0,12}}?\b{_SPAN}\b", _months),
    ("contract", (r"\b(?:annual|yearly)\s+(?:contract|commitment)\s+(?:is\s+)?(?:required|only|minimum|mandatory)\b"
r"|\b(?:requires?|minimum)\s+(?:of\s+)?an?\s+(?:annual|yearly)\s+(?:contract|commitment)\b"), _always("12 months")),
    ("setup_fee", (rf"\b(?:no|zero|without(?: any| an?)?|waived?|free)\s+{_SETUP}(?:\s+(?:fees?|costs?|charges?))?\b"
rf"|\b{_SETUP}\b(?:\s+(?:fees?|costs?|and \w+))?\s+(?:is|are|comes?)\s+(?:always\s+|completely\s+)?(?:free"
rf"|included|waived|on us|at no)\b"), _always("none")),
    ("support_hours", r"(?<![\d/])24\s?[/x]\s?7\b|\b(?:a?round|round)[- ]the[- ]clock\b|\b24 hours a day\b"
     r"|\bday and night\b", _always("24/7")),
    ("support_hours", (r"\b(?:business|office|working) hours\b|\bmon(?:day)?s?\s?(?:-|to|through)\s?fri(?:day)?s?\b"
r"|\b(?:on |during )?(?:weekdays|working days)\b|\b9\s?(?:am)?\s?(?:-|to)\s?5\s?(?:pm)?\b"), _always("business hours")),
    ("limit", rf"\b(?:up to|max(?:imum)?\.?(?: of)?|limited to|limit of|includes?|including|for up to|with up to)"
     rf"\s+{_N}\s+(?:\w+\s+)?{_HEADS}\b", _limit),
    ("limit", rf"(?<![\w+])(?P<n>\d{{1,6}})\s+{_HEADS}\s+(?:included|max|maximum)\b", _limit),
    ("limit", rf"\bunlimited\s+(?:\w+\s+)?{_HEADS}\b", _limit),
    ("credit_card", r"\b(?:no|without an?|don't need an?)\s+(?:credit\s+)?card\b", _always("not required")),
    ("credit_card", (r"(?<!no )\bcredit card\s+(?:is\s+|details\s+(?:are\s+)?)?(?:required|needed|necessary)\b"
r"|\b(?:requires?|needs?) (?:a |your )?credit card\b"), _always("required")),
    ("uptime", (r"(?<![\d.,])(?P<a>9\d(?:[.,]\d{1,4})?)\s?%\s+(?:\w+\s+)?(?:uptime|availability)\b|\b(?:uptime"
r"|availability)\b[^.;\d]{0,25}?(?P<b>9\d(?:[.,]\d{1,4})?)\s?%"), _uptime),
    ("free_plan", (r"\bfree[- ]forever\b|\bforever[- ]free\b|(?<!no )(?<!a )\bfree (?:plan|tier)\b(?! is gone)"
r"|(?<!have )(?<!offer )\ba free (?:plan|tier)\b"), _always("yes")),
    ("free_plan", (r"\b(?:no|not|don't (?:have|offer)|doesn't (?:have|offer)|isn't|without)\s+(?:an?\s+)?(?:longer a )?free (?:plan"
r"|tier)\b"), _always("no")),
)  # fmt: skip
_COMPILED = tuple((kind, re.compile(pattern, re.IGNORECASE), read) for kind, pattern, read in _READERS)


def terms(segment: str, fallback: str) -> Iterator[Term]:
    """The terms that a segment states. `fallback` is the subject when it names no plan."""
    named = subjects.mentions(segment)
    plans = {name for _, _, name in named}
    about = next(iter(plans)) if len(plans) == 1 else "" if plans else fallback
    for kind, pattern, read in _COMPILED:
        if kind == "support_hours" and not _SUPPORT.search(segment):
            continue
        for match in pattern.finditer(segment):
            value = read(match)
            if value is not None:
                yield Term(
                    kind, "" if kind in ("setup_fee", "free_plan") else about, value, quote(segment, *match.span())
                )


def relate(kind: TermKind, one: str, other: str) -> Relation:
    """How two values of a term relate. A limit on users is not compared with one on projects."""
    if one == other:
        return "agree"
    if kind == "limit" and one.split()[1] != other.split()[1]:
        return "apart"
    if kind == "free_trial" and {one, other} in ({"30 days", "28 days"}, {"30 days", "31 days"}):
        return "agree"
    if kind == "setup_fee" and "none" not in (one, other) and one.split()[1] != other.split()[1]:
        return "apart"
    return "differ"
