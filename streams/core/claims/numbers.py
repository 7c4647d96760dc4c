"""Numbers in words: "forty-nine", "two hundred", "a fifth", "two thirds".

A table of its own: the kept libraries for word numbers write them, or read them only as whole strings without fractions.
"""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction

_SMALL = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
    "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = {
    "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
}  # fmt: skip
_UNITS = {word: i for i, word in enumerate(_SMALL)} | _TENS
_SCALES = {"hundred": 100, "thousand": 1000}
_PARTS = {
    "half": 2, "halves": 2, "third": 3, "thirds": 3, "quarter": 4, "quarters": 4, "fourth": 4, "fifth": 5, "fifths": 5,
    "sixth": 6, "eighth": 8, "tenth": 10, "tenths": 10, "twentieth": 20,
}  # fmt: skip

_UNIT = "|".join(sorted(_UNITS, key=len, reverse=True))
WORD_NUMBER = rf"\b(?:{_UNIT})(?:(?:[\s-]+(?:and\s+)?)(?:{_UNIT}|hundred|thousand)){{0,6}}\b"
"""Pattern of a number in words, at least one word; needs `re.IGNORECASE`."""

FRACTION = (
    r"(?:\b(?:an?|one|two|three)[\s-]+)?\b(?:half|halves|thirds?|quarters?|fourth|fifths?|sixth"
    r"|eighth|tenths?|twentieth)\b"
    r"|(?<![\d/.,])[1-3]/(?:[2-68]|10|20)(?![\d/])"
)
"""Pattern of a fraction below one, in words or as "1/3"; needs `re.IGNORECASE`."""


def whole(text: str) -> int | None:
    """The number that `text` writes, in figures or in words up to 999,999; None when it is not one ("twenty hundred ten")."""
    if text.isdecimal():
        return int(text) if len(text) <= 9 else None
    total = group = 0
    last = 0
    for word in re.split(r"[\s-]+", text.lower().strip()):
        if word == "and":
            continue
        if word in _SCALES:
            if group == 0:
                return None
            group *= _SCALES[word]
            if word == "thousand":
                total, group = total + group, 0
            last = 100
        elif word in _UNITS:
            value = _UNITS[word]
            # "forty nine" adds up; "one two" and "nine forty" are lists, not numbers.
            if group and last < 100 and not (word in _SMALL[1:10] and last >= 20):
                return None
            group += value
            last = value
        else:
            return None
    return total + group


def percent_of(text: str) -> Decimal | None:
    """A fraction as percent, rounded to one decimal: "a fifth" is 20, "one third" 33.3; None when it is not below one."""
    figure = re.fullmatch(r"(\d)/(\d+)", text.strip())
    if figure:
        part = Fraction(int(figure[1]), int(figure[2]))
    else:
        words = re.split(r"[\s-]+", text.lower().strip())
        if words[-1] not in _PARTS:
            return None
        count = {"two": 2, "three": 3}.get(words[0], 1)
        part = Fraction(count, _PARTS[words[-1]])
    if part >= 1:
        return None
    hundredths = part * 100
    return trim(round(Decimal(hundredths.numerator) / Decimal(hundredths.denominator), 1))


def trim(value: Decimal) -> Decimal:
    """Without trailing zeros and exponent: 20.0 is 20, 49.90 stays 49.9."""
    whole_value = value.to_integral_value()
    return whole_value if value == whole_value else value.normalize()
