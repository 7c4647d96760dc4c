"""Cuts text into the segments that claims are read from: lines, then sentences. Quotes are cut from segments."""

from __future__ import annotations

import re

QUOTE_LENGTH = 160
MAX_TEXT = 20_000
"""Characters of a text that are read; what a customer does not scroll to is not a promise, and the time is bounded."""

MAX_SEGMENT = 600
"""Characters of one sentence that are read together. The patterns look back and ahead, so this bounds their time."""

# One character for one character, so that offsets stay valid.
_PLAIN = str.maketrans(
    {"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-", "−": "-", "‑": "-", "％": "%", "＄": "$"}
)
_LINE = re.compile(r"[\r\n\v\f\x1c-\x1e\x85\u2028\u2029•|·▪✓✔●]+")
_SENTENCE = re.compile(r"(?<=[.!?;])[)\"']?\s+(?=[^a-z\s])")
_ABBREVIATION = re.compile(
    r"\b(?:e\.g|i\.e|approx|incl|excl|vs|no|mo|yr|p\.[amu]|inc|ltd|est|max|min)\.$", re.IGNORECASE
)
_ORDINAL = re.compile(r"(?<![\d.,])\d{1,2}\.$")
_GERMAN_MONTH = re.compile(
    r"(?:Jan(?:uar)?|Feb(?:ruar)?|März|Maerz|Mrz|Apr(?:il)?|Mai|Juni?|Juli?|Aug(?:ust)?|Sept?(?:ember)?|Okt(?:ober)?|Nov(?:ember)?|Dez(?:ember)?)\b"
)
_MONTH_BEFORE = re.compile(
    r"\b\d{1,2}\.?\s+(?:jan|feb|mar|mrz|apr|jun|jul|aug|sept?|o[ck]t|nov|de[cz])\.$", re.IGNORECASE
)
_YEAR = re.compile(r"20\d\d\b")


def words(table: str) -> frozenset[str]:
    """The words of a table that is written as running text."""
    return frozenset(table.split())


def lines(text: str, limit: int = MAX_TEXT) -> list[str]:
    """The lines and bullet items of the first `limit` characters, stripped, with typographic quotes and dashes made plain."""
    read = text[:limit]
    pieces = (piece.strip() for piece in _LINE.split(read if read.isascii() else read.translate(_PLAIN)))
    return [piece for piece in pieces if piece]


def sentences(line: str) -> list[str]:
    """The sentences of a line, cut after MAX_SEGMENT characters; the full stop of an abbreviation ("49 EUR p.m. for Pro") or of a German
    date ("bis 31. März") ends none."""
    found: list[str] = []
    for piece in _SENTENCE.split(line):
        if found and (_ABBREVIATION.search(found[-1]) or _dated(found[-1], piece)):
            found[-1] = f"{found[-1]} {piece}"
        else:
            found.append(piece)
    return [part for sentence in found for part in _cut(sentence)]


def _dated(before: str, after: str) -> bool:
    """Whether a full stop between them is of a date: "31. März", "31 Dec. 2026"."""
    if _ORDINAL.search(before):
        return _GERMAN_MONTH.match(after) is not None
    return _MONTH_BEFORE.search(before) is not None and _YEAR.match(after) is not None


def _cut(sentence: str) -> list[str]:
    parts = []
    while len(sentence) > MAX_SEGMENT:
        end = sentence.rfind(" ", MAX_SEGMENT // 2, MAX_SEGMENT) + 1 or MAX_SEGMENT
        parts.append(sentence[:end])
        sentence = sentence[end:]
    return [*parts, sentence]


def quote(segment: str, start: int, end: int) -> str:
    """The segment as one line of at most QUOTE_LENGTH characters that shows `segment[start:end]`."""
    flat = " ".join(segment.split()).lstrip("# ")
    if len(flat) <= QUOTE_LENGTH:
        return flat
    room = max(0, QUOTE_LENGTH - 2 - (end - start)) // 2
    left, right = max(0, start - room), min(len(segment), end + room)
    part = " ".join(segment[left:right].split())[: QUOTE_LENGTH - 2]
    return f"{'…' if left else ''}{part}{'…' if right < len(segment) else ''}"
