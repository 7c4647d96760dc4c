"""Finds amounts of money with their unit and billing period in a segment: "$49/user/mo", "forty-nine euros a month"."""

from __future__ import annotations

import re
from decimal import Decimal

from msgspec import Struct
from price_parser import Price as ParsedPrice

from streams.core.claims.numbers import WORD_NUMBER, trim, whole
from streams.core.claims.values import Price

_CODES = "USD|EUR|GBP|CHF|CAD|AUD|NZD|JPY|INR|SEK|NOK|DKK|PLN|CZK|SGD|HKD|BRL|ZAR|MXN|CNY|ILS|AED"
_SYMBOLS = {"$": "USD", "US$": "USD", "C$": "CAD", "CA$": "CAD", "A$": "AUD", "AU$": "AUD", "NZ$": "NZD", "HK$": "HKD",
            "S$": "SGD", "R$": "BRL", "€": "EUR", "£": "GBP", "¥": "JPY", "₹": "INR"}  # fmt: skip
_WORDS = (
    ("dollar", "USD"), ("buck", "USD"), ("euro", "EUR"), ("pound", "GBP"), ("quid", "GBP"), ("franc", "CHF"), ("yen", "JPY"),
    ("rupee", "INR"), ("canadian dollar", "CAD"), ("australian dollar", "AUD"), ("us dollar", "USD"), ("swiss franc", "CHF"),
)  # fmt: skip
_SYMBOL = r"(?:US|CA|AU|NZ|HK|[ACSR])?\$|[€£¥₹]"
_CURRENCY_WORD = (
    r"(?i:(?:US |Canadian |Australian |Swiss )?(?:dollars?|bucks?|euros?|pounds?|quid|francs?"
    r"|yen|rupees?)|eur|usd|gbp)\b"
)
DIGITS = r"(?:\d{1,3}(?:[.,'\u00a0\u202f]\d{3})+(?:[.,]\d{1,2})?|\d{1,9}(?:[.,]\d{1,2})?)(?![\d])"
# A space groups figures only where their currency follows: "€ 49 100 Nutzer" are two figures.
_SPACED = rf"(?:(?<!\d )[1-9]\d{{0,2}}(?: \d{{3}})+(?:,\d{{1,2}})?(?!\d)|{DIGITS})"
_SCALE = r"(?:\s?(?P<s{0}>[kKmMbB]|[mb]n|(?i:thousand|million|billion|mio))(?![\w/]))?"
_MONEY = re.compile(
    rf"(?<![\w$€£.,])(?:(?P<pre>{_SYMBOL}|(?:{_CODES})(?=[\s\d]))\s?(?P<d1>{DIGITS}){_SCALE.format(1)}(?:\s?(?P<code>{_CODES})\b)?"
    rf"|(?P<d2>{_SPACED}|(?i:{WORD_NUMBER})){_SCALE.format(2)}[\s-]?(?:,-\s?)?(?P<post>{_SYMBOL}"
    rf"|(?:{_CODES})\b|{_CURRENCY_WORD}))"
)
# An amount without currency is money only with a price word before it and a billing period after it.
_BARE = re.compile(
    rf"(?i:\b(?:for|at|costs?|only|just|from|is|price[ds]?|pay|now)\s+(?:(?:at|only|just|from"
    rf"|is|now)\s+)?)(?P<d>{DIGITS}|(?i:{WORD_NUMBER}))"
    r"(?=\s?(?:(?i:an?|per|every|each)\s+|/\s?)(?i:month|mo\b|year|yr\b|user|seat))"
)
_UNITS = {"contact": "contact", "lead": "contact", "message": "contact", "call": "contact", "email": "contact", "gb": "contact",
          "minute": "contact", "transaction": "contact", "click": "contact", "hire": "contact", "meeting": "contact"}  # fmt: skip
_PERIODS = {"mo": "month", "mth": "month", "month": "month", "monat": "month", "yr": "year", "year": "year", "annum": "year",
            "jahr": "year", "quarter": "quarter", "week": "week", "wk": "week", "day": "day", "hour": "hour", "hr": "hour",
            "monthly": "month", "monatlich": "month", "annually": "year", "yearly": "year", "jährlich": "year", "mois": "month",
            "mes": "month", "an": "year", "año": "year", "pcm": "month",
            "p.m": "month", "p.a": "year", "quarterly": "quarter", "weekly": "week"}  # fmt: skip
_TAX = re.compile(
    r"\s*\(?(?:(?:excl|incl|plus|zzgl|inkl)(?:uding|\.)?\s+(?:VAT|tax|MwSt\.?|GST)|net|netto)\)?(?=\W)", re.I
)
_PER = re.compile(
    r"[\s,]*(?:(?:per|/|an?|each|every|pro|par|por|al|im|for each|for every)\s*)"
    r"(?:(?P<unit>users?|seats?|members?|persons?|people|head|agents?|licen[cs]es?|employees?"
    r"|editors?|nutzer|utilisateurs?|usuarios?|reps?|team members?)"
    r"|(?P<item>contact|lead|message|call|email|gb|minute|transaction|click|hire|meeting)"
    r"|(?P<period>months?|mo|mth|monat|mois|mes|years?|yr|annum|jahr|an|año|quarter|weeks?|wk|days?|hours?|hr))\b\.?"
    r"|[\s,(]*(?:(?:billed|paid|charged)\s+)?(?P<adverb>monthly|annually|yearly|quarterly|weekly"
    r"|monatlich|jährlich|pcm|p\.m|p\.a)\b\.?(?!\s+(?:newsletter|report|active))"
    r"|[\s,(]*(?P<once>one-time|one-off|once|lifetime|for life)\b",
    re.IGNORECASE,
)
_BILLED = re.compile(
    (
        r"[^.;$€£\d]{0,12}?\b(?:(?:billed|paid|invoiced|pay|charged|prepaid)\s+(?:\w+\s)?(?:annually"
        r"|yearly|for the year|upfront)|(?:with|on|under)\s+(?:an?\s+|the\s+)?(?:annual|yearly|12-month)\s+(?:billing"
        r"|plan|contract|commitment|term|subscription))"
    ),
    re.I,
)
_LABEL = re.compile(
    (
        r"(?<!billed )(?<!paid )\b(?:(?P<m>monthly|per month|month-to-month)|(?P<y>annual(?:ly)?"
        r"|yearly|per year))\b(?!\s+billing)[^.;)$€£\d]{0,25}$"
    ),
    re.I,
)


class Amount(Struct, frozen=True, gc=False):
    """Money at `segment[start:end]`; `tail` is where its unit and period end; `scale` multiplied the figure ("k", "million")."""

    start: int
    end: int
    tail: int
    price: Price
    scale: str


def find(segment: str) -> list[Amount]:
    """The amounts of money in a segment, in order."""
    found = [
        _amount(segment, m, m["pre"] or m["post"], m["d1"] or m["d2"], m["s1"] or m["s2"] or "", m["code"])
        for m in _MONEY.finditer(segment)
    ]
    amounts = [amount for amount in found if amount]
    for match in _BARE.finditer(segment):
        start, end = match.span("d")
        if all(end <= a.start or start >= a.end for a in amounts):
            bare = _build(segment, start, end, match["d"], "", "XXX")
            amounts += [bare] if bare else []
    return sorted(amounts, key=lambda a: a.start)


def _amount(segment: str, match: re.Match[str], sign: str, digits: str, scale: str, code: str | None) -> Amount | None:
    word = sign.lower()
    currency = code or _SYMBOLS.get(sign) or next((c for w, c in reversed(_WORDS) if word.startswith(w)), sign.upper())
    return _build(segment, match.start(), match.end(), digits, scale.lower(), currency)


def _build(segment: str, start: int, end: int, digits: str, scale: str, currency: str) -> Amount | None:
    value = number(digits)
    if value is None:
        return None
    if scale in ("k", "thousand"):
        value *= 1000
    taxed = _TAX.match(segment, end)
    tail, unit, period = taxed.end() if taxed else end, "", ""
    for _ in range(3):
        match = _PER.match(segment, tail)
        if match is None or (period and not match["unit"]):
            break
        if match["unit"]:
            unit = "user"
        elif match["item"]:
            unit = _UNITS[match["item"].lower()]
        elif match["once"]:
            period = "once"
        else:
            word = (match["period"] or match["adverb"]).lower()
            period = _PERIODS.get(word) or _PERIODS[word.rstrip("s")]
        tail = match.end()
    if not period and (label := _LABEL.search(segment[:start])):
        period = "month" if label["m"] else "year"
    billed = _BILLED.match(segment, tail)
    return Amount(
        start,
        end,
        billed.end() if billed else tail,
        Price(trim(value), currency, unit, period, bool(billed) and period == "month"),
        scale,
    )


def number(digits: str) -> Decimal | None:
    """The decimal behind figures in any usual grouping ("1.299,00", "1,299.00") or words; None when there is none."""
    if digits[0].isalpha():
        words = whole(digits)
        return None if words is None else Decimal(words)
    if digits.startswith("0"):  # price-parser takes "0.029" for thousands
        return (
            Decimal(re.sub(r"\D", ".", digits, count=1))
            if re.fullmatch(r"0[.,]\d+", digits)
            else Decimal(0)
            if digits == "0"
            else None
        )
    amount: Decimal | None = ParsedPrice.fromstring(re.sub("[ \u00a0\u202f]", "", digits)).amount
    return amount
