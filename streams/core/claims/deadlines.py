"""Dates by which an offer ends. A date is a deadline only with a deadline word before it ("until", "ends", "by")."""

from __future__ import annotations

import calendar
import datetime as dt
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from dateutil import parser as dates

from streams.core.claims import subjects
from streams.core.claims.numbers import WORD_NUMBER, whole
from streams.core.claims.text import quote
from streams.core.touch import Claim

_MONTH = (
    r"(?:jan(?:uary?)?|feb(?:ruary?)?|mar(?:ch)?|m(?:ä|ae)rz|mrz|apr(?:il)?|may|mai|jun[ei]?|jul[yi]?|aug(?:ust)?|sept?(?:ember)?"
    r"|o[ck]t(?:ober)?|nov(?:ember)?|de(?:c|z)(?:ember)?"
    r"|janv(?:ier)?|f[ée]v(?:rier)?|mars|avr(?:il)?|juin|juil(?:let)?|ao[ûu]t|septembre|octobre|novembre|d[ée]c(?:embre)?"
    r"|enero|febrero|marzo|abril|mayo|junio|julio|agosto|sep?tiembre|octubre|noviembre|diciembre)\b\.?"
)
_YEAR = r"(?:,?\s+(?:del?\s+)?(?P<y{0}>20\d\d)\b)?"
_WEEKDAYS = [name.lower() for name in calendar.day_name]
_WEEKDAY = "|".join(_WEEKDAYS)
_DATE = (
    r"(?P<iso>20\d\d-\d\d-\d\d)\b"
    rf"|(?P<d1>\d{{1,2}})(?:st|nd|rd|th|er|\.)?\s+(?:of\s+|de\s+)?(?P<m1>{_MONTH}){_YEAR.format(1)}"
    rf"|(?P<m2>{_MONTH})\s+(?:the\s+)?(?P<d2>\d{{1,2}})(?:st|nd|rd|th)?\b{_YEAR.format(2)}"
    r"|(?P<nd>\d{1,2})(?P<sep>[./])(?P<nm>\d{1,2})(?P=sep)(?P<ny>20\d\d|\d\d)\b"
    rf"|(?:the\s+)?end\s+of\s+(?P<m3>{_MONTH}){_YEAR.format(3)}"
    r"|(?P<end>(?:the\s+)?(?:end\s+of\s+(?:this\s+|the\s+)?(?:month|year|quarter)|month-?end"
    r"|year-?end|end\s+of\s+q[1-4]))\b"
    rf"|(?P<day>(?:this\s+)?(?:{_WEEKDAY})|today|tonight|tomorrow)\b(?!\s+night)"
    rf"|in\s+(?:just\s+)?(?P<n>\d{{1,2}}|{WORD_NUMBER})\s+(?P<unit>days?|weeks?)\b"
)
_GERMAN_WEEKDAY = "(?:mon|diens|donners|frei|sams|sonn)tag|mittwoch|sonnabend"
_WEEKDAY_FIRST = (
    rf"(?:(?:{_WEEKDAY}|{_GERMAN_WEEKDAY}|mon|tue|wed|thu|fri|sat|sun)\.?,?\s+(?:de[mn]\s+)?(?=\d|[a-z]+\s+\d))?"
)
_STRONG = (
    r"\b(?:until|till|thru|through|ends?|ending|expires?|expiring|runs?\s+out|deadline(?:\s+is)?"
    r"|clos(?:es?|ing)|last\s+(?:day|chance)(?:\s+is)?|no\s+later\s+than|valid\s+(?:to|till)"
    r"|good\s+to|final\s+day(?:\s+is)?|bis(?:\s+zum)?"
    r"|jusqu'(?:au|à)|se\s+termine|prend\s+fin|date\s+limite(?:\s+est)?|dernier\s+jour(?:\s+est)?"
    r"|hasta|termina|finaliza|caduca|vence|fecha\s+l[ií]mite(?:\s+es)?|[uú]ltimo\s+d[ií]a(?:\s+es)?)"
)
_WEAK = r"\b(?:by|before|avant|antes\s+del?)"
_FILL = (
    r"(?:[\s:,-]+(?:on|at|is|the|le|el|midnight|noon|close\s+of\s+(?:business|play)|eod|cob|end\s+of\s+day"
    r"|11:59\s*pm|\d{1,2}(?::\d\d)?\s*[ap]m|est|cet|utc)\b)*[\s:,(-]+"
)
_DEADLINE = re.compile(rf"(?P<word>(?P<strong>{_STRONG})|{_WEAK})\b{_FILL}{_WEEKDAY_FIRST}(?:{_DATE})", re.IGNORECASE)
# "by May 5" and "before March 31" bind only what can be taken up; "grew by May" does not.
_TAKES_UP = re.compile(
    (
        r"\b(?:offer|discount|deal|sale|promo\w*|pric\w+|sav(?:e|ings?)|order|claim|book|buy|purchas\w+"
        r"|sign\w*|subscrib\w+|upgrad\w+|switch|redeem|lock|commit|register\w*|join|apply|rsvp|decide"
        r"|confirm|off|free|%|offre|remise|réduction|prix|tarif|command\w+|réserv\w+|inscri\w+|profite\w*"
        r"|oferta|descuento|precio|reserv\w+|inscr[ií]b\w+|aprovech\w+|compr[ae]\w*)"
    ),
    re.I,
)
# "open through Friday", "support until 6 pm", "I'm away until 3 May", "contract runs until": other things end too.
_OTHER_END = re.compile(
    (
        r"\b(?:open|away|out of office|ooo|vacation|holiday|leave|on site|travell?ing|busy|monday (?:to"
        r"|through)|mon|support|born|worked|employed|contract|subscription (?:ends|expires)|licen[cs]e (?:ends"
        r"|expires)|trial (?:ends|expires)|fiscal|roadmap|maintenance|outage|meeting|call"
        r"|ouverte?s?|absente?|congés?|vacances|déplacement|contrat|abonnement|essai|réunion"
        r"|abiert[oa]s?|ausente|fuera|vacaciones|viaje|contrato|suscripción|prueba|reunión)\b"
    ),
    re.I,
)


class Named(NamedTuple):
    """A deadline as a text names it: `on` says which day that is."""

    match: re.Match[str]
    about: str
    words: str

    def on(self, today: dt.date) -> Claim | None:
        """The claim, said on that day, which resolves "Friday" and a date without year. Ambiguous dates (03/04/2026, "next Friday",
        "Friday" said on a Friday) are none."""
        day = _resolve(self.match, today)
        return Claim("deadline", self.about, day.isoformat(), self.words) if day else None


def named(segment: str, fallback: str) -> Iterator[Named]:
    """What a segment may name as deadlines, on any day."""
    for match in _DEADLINE.finditer(segment):
        before = segment[: match.start()]
        if _OTHER_END.search(segment[max(0, match.start() - 40) : match.end("word")]) or (
            not match["strong"] and not _TAKES_UP.search(segment)
        ):
            continue
        if re.search(r"\b(?:not?|never|was|were)\s+(?:\w+\s+)?$", before, re.I):
            continue
        mentioned = subjects.mentions(segment)
        about = (
            subjects.apart(segment, "deadline")
            or (mentioned[0][2] if len({m[2] for m in mentioned}) == 1 else "")
            or fallback
        )
        yield Named(match, about, quote(segment, *match.span()))


def _resolve(match: re.Match[str], today: dt.date) -> dt.date | None:
    if match["iso"]:
        return _parse(match["iso"])
    for i in "12":
        if match[f"m{i}"]:
            return _in_year(f"{match[f'd{i}']} {_english(match[f'm{i}'])}", match[f"y{i}"], today)
    if match["m3"]:
        first = _in_year(f"1 {_english(match['m3'])}", match["y3"], today)
        return first and _month_end(first)
    if match["nd"]:
        return _numeric(int(match["nd"]), int(match["nm"]), match["ny"], match["sep"])
    if match["end"]:
        return _period_end(match["end"].lower(), today)
    if match["n"]:
        count = whole(match["n"])
        return (
            None
            if count is None
            else today + dt.timedelta(days=count * (7 if match["unit"].lower().startswith("w") else 1))
        )
    word = match["day"].lower().removeprefix("this").strip()
    if word in ("today", "tonight"):
        return today
    if word == "tomorrow":
        return today + dt.timedelta(days=1)
    ahead = (_WEEKDAYS.index(word) - today.weekday()) % 7
    return today + dt.timedelta(days=ahead) if ahead else None


def _english(month: str) -> str:
    """The month's English abbreviation, as dateutil knows it."""
    start = month[:3].lower()
    return "jul" if month[:4].lower() == "juil" else _ABROAD.get(start, start)


_ABROAD = {"mär": "mar", "mae": "mar", "mrz": "mar", "mai": "may", "okt": "oct", "dez": "dec",
           "fév": "feb", "fev": "feb", "avr": "apr", "jui": "jun", "aoû": "aug", "aou": "aug", "déc": "dec",
           "ene": "jan", "abr": "apr", "ago": "aug", "set": "sep", "dic": "dec"}  # fmt: skip


# dateutil fills what a text lacks from it; every text here has day, month and year.
_DEFAULT = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)


@lru_cache(maxsize=4096)
def _parse(text: str) -> dt.date | None:
    try:
        return dates.parse(text, default=_DEFAULT).date()
    except (ValueError, OverflowError):  # 31 February, month 13: what is not a date is not a deadline
        return None


def _in_year(day_month: str, year: str | None, today: dt.date) -> dt.date | None:
    """With the year it says, else with the year that makes it nearest to now: at most three months ago, else ahead."""
    if year:
        return _parse(f"{day_month} {year}")
    for candidate in (today.year - 1, today.year, today.year + 1):
        day = _parse(f"{day_month} {candidate:04d}") if 1 < candidate < 9999 else None
        if day and day >= today - dt.timedelta(days=90):
            return day
    return None


def _numeric(first: int, second: int, year: str, separator: str) -> dt.date | None:
    full = int(year) if len(year) == 4 else 2000 + int(year)
    if separator == "/" and first <= 12 and second <= 12 and first != second:
        return None
    day, month = (second, first) if separator == "/" and second > 12 else (first, second)
    return _parse(f"{full:04d}-{month:02d}-{day:02d}")


def _period_end(text: str, today: dt.date) -> dt.date | None:
    quarter = re.search(r"q([1-4])", text)
    if quarter:
        day = _month_end(dt.date(today.year, int(quarter[1]) * 3, 1))
        return day if day >= today else None
    if "quarter" in text:
        return _month_end(dt.date(today.year, (today.month + 2) // 3 * 3, 1))
    return _month_end(today) if "month" in text else dt.date(today.year, 12, 31)


def _month_end(day: dt.date) -> dt.date:
    return day.replace(day=calendar.monthrange(day.year, day.month)[1])
