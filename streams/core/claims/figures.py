"""Decides what an amount or a percentage in a segment states: a price, a discount, or nothing (revenue, growth, savings)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

import msgspec

from streams.core.claims import money, subjects
from streams.core.claims.numbers import FRACTION, WORD_NUMBER, percent_of, trim, whole
from streams.core.claims.text import quote
from streams.core.claims.values import Price
from streams.core.touch import Claim, ClaimKind

_FEW = (
    r"(?:(?!(?:with|after|for|and|or|per|an?|including|plus|before|until|your|our|the|to|on"
    r"|in|by|of|than)\b)[\w'-]+\s+){0,3}?"
)
_OFF = (
    rf"\s*-?\s*(?:{_FEW}(?:discount|rebate|rabatt|nachlass|price (?:cut|reduction)|voucher|cash\s?back"
    rf"|markdown|réductions?|remises?|rabais|descuentos?|rebajas?)\b"
    rf"|(?:introductory |extra )?off\b(?!-\w)(?! (?:target|peak|track|course|season))"
    rf"|(?:cheaper|günstiger|billiger)\b(?!\s+than)|(?:lower|reduced) prices?\b)"
)
_IS_OFF = re.compile(_OFF, re.I)
_CREDIT = re.compile(rf"\s*-?\s*{_FEW}(?:credits?|coupon|gutschein)\b(?!\s+cards?)", re.I)
_SAVING = re.compile(
    (
        r"\b(?:save|saving|saves)\s+(?:you\s+|an?\s+)?(?:(?:extra|additional|another|further|up to"
        r"|a full|a whole|as much as)\s+){0,2}(?:an?\s+)?$"
    ),
    re.I,
)
_DISCOUNT_OF = re.compile(
    (
        r"\b(?:discounts?|rebate|reduction|rabatt|markdown|réduction|remise|rabais|descuento|rebaja)"
        r"(?:\s+(?:of|is|von|now|at|worth|for you|del?))*\s*[:(]?\s*(?:up to\s+|jusqu'à\s+|hasta\s+(?:un\s+)?"
        r"|a\s+)?$|\bdiscounts?\s+code\s+\w+\s+(?:for|gives(?: you)?)\s+$"
    ),
    re.I,
)
_PRICE_CUT = re.compile(
    (
        r"\b(?:pric(?:es?|ing)|plans?|fees?|licen[cs]es?|subscriptions?)\b[^.;,]{0,30}?\b(?:reduced"
        r"|cut|slashed|lowered|discounted|down|dropped)\s+(?:by\s+)?(?:a\s+)?$|\b(?:cut|slash|lower"
        r"|reduc|discount|dropp?)(?:e|s|es|ed|ing|ting)?\s+(?:\w+\s+){0,3}(?:pric(?:es?|ing)|fees?)\s+(?:\w+\s+){0,2}by\s+(?:a\s+)?$"
    ),
    re.I,
)
_PAY_LESS = re.compile(r"\s*less\b(?!\s+than)", re.I)
_PAYING = re.compile(r"\bpay(?:s|ing)?\s+(?:up to\s+)?$", re.I)
_UP_TO = re.compile(r"\b(?:up to|as much as|bis zu|jusqu'à|hasta(?:\s+un)?|maximum of|max\.?)\s+(?:an?\s+)?$", re.I)
# "save 20% of your time", "save 30% on support costs": what the product does, not what it costs.
_BENEFIT = re.compile(
    (
        r"\s*(?:(?:on|of|in|more|der)\s+)(?:[\w'-]+\s+){0,3}?(?:time|hours?|costs?|efforts?|work\w*"
        r"|tickets?|spend\w*|budgets?|energy|resources|payroll|staff|headcount|expenses|travel|bills?"
        r"|calls?|admin)\b"
    ),
    re.I,
)
_PRICED = re.compile(
    (
        r"\b(?:our|your (?:first|plan|subscription|licen[cs]e|order|purchase|renewal)|subscription"
        r"|plans?|first year|list price|annual)\b"
    ),
    re.I,
)
_OTHERS = re.compile(
    (
        r"\b(?:customers?|clients?|compan(?:y|ies)|teams|helps?|helped|helping|average|users|firms"
        r"|reps|typically)\b[^.;]{0,40}$"
    ),
    re.I,
)
_NEGATED = re.compile(
    (
        r"\b(?:not?|never|no longer|isn't|aren't|don't|doesn't|won't|cannot|can't|without|neither"
        r"|unlike|instead of|than|pas|plus|sans|aucune?|sin|ning[uú]n)\s+(?:\w+\s+){0,3}$|\b(?:expired|ended|is over|last year's|last year"
        r"|past)\b[^.;,]{0,40}$"
    ),
    re.I,
)
_OLD = re.compile(
    (
        r"\b(?:was|were|instead of|regular(?:ly)?|normal(?:ly)?|usual(?:ly)?|previous(?:ly)?|former(?:ly)?"
        r"|originally|old price|list(?:ed)? price|rrp|msrp|retails?|used to (?:be|cost|pay)|up from"
        r"|down from|(?:reduced|dropped|drops|lowered|cut|discounted) from|compared (?:to|with)"
        r"|vs\.?|versus|rather than|not|statt|worth|valued at|value of?|elsewhere|others?(?: \w+)? charge"
        r"|competitors?(?: \w+){0,2}|unlike|than|over|more than|about|around|roughly|approx(?:imately"
        r"|\.)?|almost|nearly|between)\W*(?:(?:price|priced|at|of|is|the|to|for|a|from|list|by|:)\W*){0,3}$"
    ),
    re.I,
)
_OLD_AFTER = re.compile(r"\s*(?:\+|(?:to|-|and)\s*[$€£]?\d|value\b|(?:-\s*)?(?:gift|amazon|budget|deal|worth))", re.I)
_NOT_PRICE = re.compile(
    (
        r"\b(?:rais(?:ed?|ing)|funding|revenues?|arr|mrr|valuation|pipeline|invest\w*|budgets?|spend(?:s"
        r"|ing)?|spent|quota|clos(?:ed?|ing)|sold|generat\w+|earn\w*|won|los[ets]\w*|loses|losing"
        r"|managed?|saved?|sav(?:es|ings?)|gr(?:ew|ow|ows|owing|own)\b|averag\w+|deal sizes?|contract values?|acv"
        r"|salary|bonus|commissions?|rewards?|gift|donat\w*|fine[sd]?|penalt\w+|wast\w+|turnover"
        r"|spar(?:en?|t)|gespart|ersparnis|économis\w+|ahorr\w+"
        r"|profits?|portfolio|p&l|book of business|refund\w*|prize|insur\w+|debt|do you (?:\w+ )?pay"
        r"|are you (?:\w+ )?paying|(?:still|currently) pay\w*|months? for)\b[^,;:(]{0,45}$"
    ),
    re.I,
)
_NOT_PRICE_AFTER = re.compile(
    (
        r"\s*\+?\s*(?:(?:in|of|worth of)\s+)?(?:(?!(?:and|for|with|now|on|if|when|a|per)\b)[\w-]+\s+){0,2}?(?:revenues?"
        r"|funding|arr|pipeline|sales|spend|savings|budgets?|quota|deals?|valuation|profits?|bonus"
        r"|prize|gift|donation|fine|series|gmv|round|business|territory|company|opportunit\w+|contracts? closed)\b"
    ),
    re.I,
)
_PRICE_BEFORE = re.compile(
    (
        r"(?:\b(?:pric(?:e|es|ed|ing)|costs?|costing|pay(?:s|ing)?|for|at|only|just|now|from|starting"
        r"|starts|is|are|to|fees?|charges?|charged|buy|get|be|kostet|nur|ab|für|offer(?:ed)?|deal"
        r"|rate|total)|[:=(]|\s-)\s*(?:(?:at|from|only|just|now|of|is|a|for|low|as|to|you|around"
        r"|[:=])\s*){0,3}$"
    ),
    re.I,
)
_LABEL_LINK = re.compile(r"[\s:(,-]*")
_FOR_LINK = re.compile(r"\s*(?:for|on)\s+(?:the\s+|our\s+)?", re.I)
_FEE = re.compile(r"\s*-?\s*(?:[\w-]+\s+){0,2}(?:fees?|charges?|flat|all[- ]in)\b", re.I)
_FROM = re.compile(
    (
        r"\b(?:from|start(?:s|ing)?(?: at| from)?|as low as|as little as|ab|beginning at|begins? at)\s+(?:only\s+"
        r"|just\s+)?$"
    ),
    re.I,
)
_UNDER = re.compile(r"\b(?:under|less than|below|up to|no more than|at most)\s+$", re.I)
_PERCENT = re.compile(
    rf"(?<![\w.,$€£/-])(?:(?P<d>\d{{1,3}}(?:[.,]\d{{1,2}})?)\s?(?:%|(?i:percent|per cent|pct"
    rf"|prozent)\b)|(?P<w>(?i:{WORD_NUMBER}))[\s-](?i:percent|per cent)\b|(?P<f>(?i:{FRACTION})))"
)
_RANGE = re.compile(r"\s*(?:-|to|and|bis)\s*\d+(?:[.,]\d+)?\s?%|\s*%?\s*-\s*\d", re.I)
_HALF_PRICE = re.compile(r"(?i:\s*-?\s*(?:the\s+)?(?:(?:usual|regular|normal|list|full)\s+)?price\b)(?!\s+of\s+[A-Z])")
_MONTHS_FREE = re.compile(
    (
        rf"\b(?P<n>\d{{1,2}}|{WORD_NUMBER})\s+(?:extra\s+|additional\s+)?months?\s+(?:free|for free"
        rf"|on us|gratis)\b|\b(?P<m>\d{{1,2}}|{WORD_NUMBER})\s+free\s+months?\b"
    ),
    re.I,
)


def figures(segment: str, fallback: str) -> Iterator[Claim]:
    """Prices and discounts of a segment, in order. `fallback` is the subject when the segment names none."""
    amounts = money.find(segment)
    percents = list(_PERCENT.finditer(segment))
    free = list(_MONTHS_FREE.finditer(segment))
    if not amounts and not percents and not free:
        return
    named = subjects.mentions(segment)
    spans = sorted([(a.start, a.end) for a in amounts] + [m.span() for m in percents])
    for amount in amounts:
        kind, value = _state_money(segment, amount, amounts, named)
        if kind:
            about = _subject(segment, named, spans, amount.start, amount.end, fallback, kind)
            yield Claim(kind, about, value, quote(segment, amount.start, amount.end))
    for match in percents:
        percent = _percent(match)
        if percent is not None and (value := _state_percent(segment, match, percent)):
            about = _subject(segment, named, spans, match.start(), match.end(), fallback, "discount")
            yield Claim("discount", about, value, quote(segment, *match.span()))
    for match in free:
        months = whole(match["n"] or match["m"])
        if months and not _NEGATED.search(segment[: match.start()]):
            about = _subject(segment, named, spans, match.start(), match.end(), fallback, "discount")
            yield Claim("discount", about, f"{months} months", quote(segment, *match.span()))


def _subject(
    segment: str,
    named: list[tuple[int, int, str]],
    spans: list[tuple[int, int]],
    start: int,
    end: int,
    fallback: str,
    kind: str,
) -> str:
    previous = max((e for s, e in spans if e <= start), default=0)
    following = min((s for s, e in spans if s >= end), default=len(segment))
    near = segment[max(previous, start - 60) : min(following, end + 45)]
    apart = subjects.apart(near, kind)
    if apart:
        return apart
    about = subjects.about(segment, named, previous, start, end, following)
    if not about and kind == "discount" and subjects.annual(segment):
        return "annual billing"
    return about or fallback


def _state_money(
    segment: str, amount: money.Amount, amounts: list[money.Amount], named: list[tuple[int, int, str]]
) -> tuple[ClaimKind | None, str]:
    before = segment[max(0, amount.start - 80) : amount.start]
    after = segment[amount.tail : amount.tail + 60]
    price = amount.price
    if amount.scale not in ("", "k", "thousand") or price.amount == 0:
        return None, ""
    if (
        _PAY_LESS.match(after)
        or _IS_OFF.match(after)
        or _CREDIT.match(after)
        or _DISCOUNT_OF.search(before)
        or _SAVING.search(before)
        or _PRICE_CUT.search(before)
    ):
        saving = _SAVING.search(before)
        if (
            saving and (_OTHERS.search(before[: saving.start()]) or _BENEFIT.match(after) or amount.scale)
        ) or _NEGATED.search(before):
            return None, ""
        return "discount", f"{'up to ' if _UP_TO.search(before) else ''}{price.amount:f} {price.currency}"
    if _OLD.search(before) or _OLD_AFTER.match(after) or _NOT_PRICE.search(before) or _NOT_PRICE_AFTER.match(after):
        return None, ""
    if any(
        a.tail <= amount.start
        and re.fullmatch(r"\s*(?:-|to|and)\s*", segment[a.tail : amount.start])
        and _starts_range(segment, a)
        for a in amounts
    ):
        return None, ""
    bound = "from" if _FROM.search(before) else "under" if _UNDER.search(before) else ""
    if not (
        price.period
        or price.unit
        or bound
        or _PRICE_BEFORE.search(before)
        or _FEE.match(after)
        or _labelled(segment, amount, named)
    ):
        return None, ""
    return "price", str(msgspec.structs.replace(price, bound=bound))


def _starts_range(segment: str, amount: money.Amount) -> bool:
    """Whether the amount begins "from $49 to $99"; "drops from $99 to $79" is no range."""
    return (
        re.search(r"\b(?:drop|reduc|discount|cut|lower|down|went|goes)\w*\b[^.;]{0,30}$", segment[: amount.start], re.I)
        is None
    )


def _labelled(segment: str, amount: money.Amount, named: list[tuple[int, int, str]]) -> bool:
    """Whether a plan's name stands at the amount ("Pro $49", "$49 for Pro"), or the segment is little more than a label and it."""
    for start, end, _ in named:
        if _LABEL_LINK.fullmatch(segment[end : amount.start]) or _FOR_LINK.fullmatch(segment[amount.tail : start]):
            return True
    rest = segment[: amount.start] + " " + segment[amount.tail :]
    return len(re.findall(r"[\w']+", rest)) <= 3


def _percent(match: re.Match[str]) -> Decimal | None:
    if match["d"]:
        value = Decimal(match["d"].replace(",", "."))
    elif match["w"]:
        words = whole(match["w"])
        if words is None:
            return None
        value = Decimal(words)
    else:
        return percent_of(match["f"])
    return trim(value) if 0 < value <= 100 else None


def _state_percent(segment: str, match: re.Match[str], percent: Decimal) -> str:
    before = segment[max(0, match.start() - 80) : match.start()]
    after = segment[match.end() : match.end() + 70]
    if _NEGATED.search(before) or _RANGE.match(after) or (match["d"] and re.search(r"\d\s?%?\s?(?:-|to)\s?$", before)):
        return ""
    bound = "up to " if _UP_TO.search(before) else ""
    if match["f"] and percent == 50 and _HALF_PRICE.match(after):
        return "50%"
    if (
        _IS_OFF.match(after)
        or _DISCOUNT_OF.search(before)
        or _PRICE_CUT.search(before)
        or (_PAYING.search(before) and _PAY_LESS.match(after))
    ):
        return f"{bound}{percent:f}%"
    saving = _SAVING.search(before)
    if (
        saving
        and not _OTHERS.search(before[: saving.start()])
        and not (_BENEFIT.match(after) and not _PRICED.search(after))
    ):
        return f"{bound}{percent:f}%"
    return ""


def as_price(text: str) -> Price | None:
    """The one price that `text` is ("49 EUR", "49 EUR/month"), or None."""
    amounts = money.find(text)
    whole_text = len(amounts) == 1 and amounts[0].start == 0 and amounts[0].tail == len(text)
    return amounts[0].price if whole_text and not amounts[0].scale else None


def as_percent(text: str) -> Decimal | None:
    """The one percentage that `text` is ("20%", "twenty percent", "a fifth"), or None."""
    match = _PERCENT.fullmatch(text)
    return _percent(match) if match else None
