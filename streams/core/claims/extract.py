"""What a message claims: prices, discounts, deadlines and offers, from its fields and from its free text."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation
from functools import lru_cache

from streams.core.claims import offers, subjects
from streams.core.claims.deadlines import Named, named
from streams.core.claims.figures import figures
from streams.core.claims.numbers import trim
from streams.core.claims.text import MAX_TEXT, QUOTE_LENGTH, lines, sentences
from streams.core.claims.values import Price
from streams.core.touch import Claim, Message, Money

MAX_CLAIMS = 40
"""Claims of one message that are kept, the first ones: bounds the timeline's size and the time of a comparison."""

_CACHED_LENGTH = 8_000
_CACHED_LINE = 1_000
_EPOCH = dt.date(1970, 1, 1).toordinal()
_DAY_MS = 86_400_000

# Cheap, and wider than the parsers: a text with none of these states nothing that they could read. Single characters and
# substrings are searched by C loops without a regular expression, because every message passes here.
_FIGURES = "0123456789$€£¥₹%％＄"
_CUES = (
    " off", "half", "price", "cent", "save", "discount", "euro", "dollar", "pound", "buck", "quid", "franc", "rupee", " yen",
    "day", "tomorrow", "tonight", "end of", "-end", "week", "free", "offer", "sale", "deal", "promo", "special", " month", "user",
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
    for figure in _FIGURES:
        if figure in text:
            return True
    low = text.lower()
    for cue in _CUES:  # noqa: SIM110
        if cue in low:
            return True
    return False


def of_text(text: str, today: dt.date, product: str = "", limit: int = MAX_TEXT) -> Iterator[Claim]:
    """The claims of free text, in reading order. A heading line ("## Pro", or a bare plan name) rules the lines under it."""
    under, left = product, 0
    for line in lines(text, limit):
        named, segments = _line(line) if len(line) <= _CACHED_LINE else _line.__wrapped__(line)
        if named is not None:
            under, left = named or product, _LINES_UNDER_HEADING
        elif left:
            left -= 1
        else:
            under = product
        for segment in segments:
            stated, deadlines, named_offers = _undated(segment, under, product)
            yield from stated
            for deadline in deadlines:
                claim = deadline.on(today)
                if claim is not None:
                    yield claim
            yield from named_offers


# What follows is remembered, because personalised copies of a message differ in few lines, and a campaign goes on for days.
@lru_cache(maxsize=8192)
def _line(line: str) -> tuple[str | None, tuple[str, ...]]:
    """What a line makes the subject of those under it (`subjects.heading`), and its sentences that may state a claim."""
    return subjects.heading(line), tuple(segment for segment in sentences(line) if has_cue(segment))


@lru_cache(maxsize=8192)
def _undated(segment: str, under: str, product: str) -> tuple[tuple[Claim, ...], tuple[Named, ...], tuple[Claim, ...]]:
    """What a sentence states on any day: its figures, the deadlines that it names, its offers."""
    return tuple(figures(segment, under)), tuple(named(segment, product)), tuple(offers.offers(segment, product))


def _extract(message: Message, ordinal: int) -> tuple[Claim, ...]:
    return unique(_all(message, dt.date.fromordinal(ordinal)), MAX_CLAIMS)


def _all(message: Message, day: dt.date) -> Iterator[Claim]:
    product = subjects.of_product(message.product)
    yield from _fields(message, product)
    for text in (message.subject, message.text):
        if text:
            yield from of_text(text, day, product)


_remembered = lru_cache(maxsize=2048)(_extract)


def unique(claims: Iterable[Claim], limit: int) -> tuple[Claim, ...]:
    """The first of each (kind, subject, value), at most `limit`."""
    first: dict[tuple[str, str, str], Claim] = {}
    for claim in claims:
        first.setdefault((claim.kind, claim.subject, claim.value), claim)
        if len(first) == limit:
            break
    return tuple(first.values())


def _fields(message: Message, product: str) -> Iterator[Claim]:
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
