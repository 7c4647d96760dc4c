"""What a message claims: prices, discounts, deadlines and offers, from its fields and from its free text."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from itertools import islice

from streams.core.claims import offers, subjects
from streams.core.claims.deadlines import deadlines
from streams.core.claims.figures import figures
from streams.core.claims.numbers import trim
from streams.core.claims.text import QUOTE_LENGTH, lines, sentences
from streams.core.claims.values import Price
from streams.core.touch import Claim, Message, Money

MAX_CLAIMS = 40
"""Claims of one message that are kept, the first ones: bounds the timeline's size and the time of a comparison."""

_CACHED_LENGTH = 8_000
_EPOCH = dt.date(1970, 1, 1).toordinal()
_DAY_MS = 86_400_000

# Cheap, and wider than the parsers: a segment that has none of these states nothing that they could read.
_FIGURE = re.compile(r"[0-9$€£¥₹%％＄]")
_CUES = (
    "percent", "per cent", "prozent", " off", "half", "save ", "saving", "euro", "dollar", "pound", "bucks", "quid", "franc",
    "rupee", "yen", "until", "till ", "end", "expir", "deadline", "close", "last day", "last chance", "final day", "by ",
    "before ", "through", "free", "offer", "sale", "deal", "promo", "special", "discount", " month", " year",
)  # fmt: skip
_LINES_UNDER_HEADING = 6


def extract(message: Message | None, occurred_at: int) -> tuple[Claim, ...]:
    """The claims of a message sent at `occurred_at` (UTC ms), each once, at most MAX_CLAIMS; never raises on any text.

    The price, offer and product fields come first, then subject and text in reading order. `product` is the subject of
    figures whose sentence names no other. Remembered by message and day, because a campaign repeats its messages.
    """
    if message is None:
        return ()
    plain = message.offer is None and message.price is None
    if plain and not has_cue(message.subject) and not has_cue(message.text):
        return ()
    ordinal = min(max(occurred_at // _DAY_MS + _EPOCH, 400), dt.date.max.toordinal() - 400)
    if len(message.text or "") > _CACHED_LENGTH:
        return _extract(message, ordinal)
    return _remembered(message, ordinal)


def has_cue(text: str | None) -> bool:
    """Whether a text may state a claim at all."""
    if not text:
        return False
    if _FIGURE.search(text):
        return True
    low = text.lower()
    return any(cue in low for cue in _CUES)


def of_text(text: str, today: dt.date, product: str = "") -> list[Claim]:
    """The claims of free text, in reading order. A heading line ("## Pro", or a bare plan name) rules the lines under it."""
    found: list[Claim] = []
    under, left = product, 0
    for line in lines(text):
        named = subjects.heading(line)
        if named is not None:
            under, left = named or product, _LINES_UNDER_HEADING
        elif left:
            left -= 1
        else:
            under = product
        for segment in sentences(line):
            if has_cue(segment):
                found += figures(segment, under)
                found += deadlines(segment, today, product)
                found += offers.offers(segment, product)
    return found


def _extract(message: Message, ordinal: int) -> tuple[Claim, ...]:
    product = subjects.normal(message.product or "")
    found = list(_fields(message, product))
    for text in (message.subject, message.text):
        if text:
            found += of_text(text, dt.date.fromordinal(ordinal), product)
    return unique(found, MAX_CLAIMS)


_remembered = lru_cache(maxsize=2048)(_extract)


def unique(claims: Iterable[Claim], limit: int) -> tuple[Claim, ...]:
    """The first of each (kind, subject, value), at most `limit`."""
    first: dict[tuple[str, str, str], Claim] = {}
    for claim in claims:
        first.setdefault((claim.kind, claim.subject, claim.value), claim)
    return tuple(islice(first.values(), limit))


def _fields(message: Message, product: str) -> Iterable[Claim]:
    if message.price is not None:
        value = _money(message.price)
        if value is not None:
            of = f"{message.product}: " if message.product else ""
            words = f"{of}{message.price.amount} {message.price.currency}"
            yield Claim("price", product, str(value), words[:QUOTE_LENGTH])
    if message.offer is not None and (name := offers.normal(message.offer)):
        yield Claim("offer", product, name, message.offer.strip()[:QUOTE_LENGTH])


def _money(money: Money) -> Price | None:
    """The field as a price without period; None when it is no amount (ingest rejects it; a claim needs a number)."""
    try:
        amount = Decimal(money.amount)
    except InvalidOperation:
        return None
    currency = money.currency.strip().upper()
    if not amount.is_finite() or not 0 <= amount < 10**12 or not re.fullmatch("[A-Z]{3}", currency):
        return None
    return Price(trim(amount), currency)
