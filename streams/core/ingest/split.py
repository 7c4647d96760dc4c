"""A file of provider records to (line, record) pairs: a JSON array, one JSON object, JSON lines, or plain lines.

The forms may be mixed, as in a log with one webhook body a line where each body is an array. Arrays are opened, and so
are the pages that list APIs answer with (`{"items": [...], "paging": ...}`). The records are slices of the file: their
bytes are what the provider wrote, and a broken one ends where the next begins.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

# A string ends at its line's end even without a quote: JSON has no line breaks in strings, so what is behind belongs
# to others.
_STRING = rb'"[^"\\\n]*(?:\\[^\n][^"\\\n]*)*"?'
_TOKEN = re.compile(_STRING + rb"|[][{}]")
_GAP = re.compile(rb"[\s,]*")
_LINE = re.compile(rb"[^\n]*")
_ELEMENT = re.compile(rb"(?:" + _STRING + rb'|[^,\]\n"])+')
_OPENS_LIST = re.compile(rb"\s*:\s*\[")
_INDENT = re.compile(rb"[ \t]*")
_LINE_START = re.compile(rb"[ \t]*[,\[]?[ \t]*")
_REACH = 256
"""How far back the start of a line is looked for; an object further in is not one that begins a line."""
_BOM = b"\xef\xbb\xbf"
_OPENING = (b"{", b"[")
_CLOSING = (b"}", b"]")


def records(data: bytes, pages: tuple[str, ...] = ()) -> Iterator[tuple[int, bytes]]:
    """The records of a file in its order, each with the line (from 1) on which it begins.

    `pages` are the names under which list APIs put their records. What is neither an object nor in an array is a
    record of one line.
    """
    position = len(_BOM) if data.startswith(_BOM) else 0
    mend = not _is_json(data[position:])
    keys = frozenset(f'"{name}"'.encode() for name in pages)
    line, counted = 1, 0
    inside: list[str] = []  # the arrays and pages that hold the next record, outermost first
    while (position := _end(_GAP, data, position)) < len(data):
        mark = data[position : position + 1]
        if mark == b"[":
            inside.append("array")
            position += 1
            continue
        if mark == b"]" and inside:
            inside.pop()
            position += 1
            if inside and inside[-1] == "page":
                inside.pop()
                position, _ = _object_end(data, position, 1, frozenset(), None)
            continue
        start = position
        if mark == b"{":
            known = frozenset() if "page" in inside else keys
            position, is_page = _object_end(data, start, 0, known, _indent(data, start) if mend else None)
            if is_page:
                inside += ["page", "array"]
                continue
        else:
            position = max(_end(_ELEMENT if inside else _LINE, data, start), start + 1)
        line, counted = line + data.count(b"\n", counted, start), start
        yield line, data[start:position].rstrip(b" \t\r\n," if mark == b"{" else b" \t\r\n")


def _object_end(
    data: bytes, position: int, depth: int, pages: frozenset[bytes], indent: int | None
) -> tuple[int, bool]:
    """Where the object that opens at `position` ends, and False; or the inside of its list of records, and True.

    With `depth` 1 the object is open already. With `indent`, it breaks off where a line no further in begins another.
    """
    for token in _TOKEN.finditer(data, position):
        found = token[0]
        if found in _OPENING:
            if depth and indent is not None and found == b"{" and _begins_line(data, position, token.start(), indent):
                return token.start(), False
            depth += 1
        elif found in _CLOSING:
            depth -= 1
            if not depth:
                return token.end(), False
        elif depth == 1 and found in pages and (opening := _OPENS_LIST.match(data, token.end())):
            return opening.end(), True
    return len(data), False


def _begins_line(data: bytes, low: int, position: int, indent: int) -> bool:
    line = data.rfind(b"\n", max(low, position - _REACH), position)
    return line >= 0 and _end(_LINE_START, data, line + 1) == position and _indent(data, position) <= indent


def _indent(data: bytes, position: int) -> int:
    line = data.rfind(b"\n", max(0, position - _REACH), position)
    start = line + 1 if line >= 0 else max(0, position - _REACH)
    return _end(_INDENT, data, start) - start


def _is_json(data: bytes) -> bool:
    try:
        msgspec.json.decode(data, type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _end(pattern: re.Pattern[bytes], data: bytes, position: int) -> int:
    match = pattern.match(data, position)
    return match.end() if match else position
