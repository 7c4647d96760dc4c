"""Where in a TOML text each key and each element stands. No kept library tells: tomllib, tomli, tomlkit and rtoml give values only.

The text must be valid TOML (tomllib has read it): so strings, brackets and comments are all that has to be told apart.
"""

from __future__ import annotations

import re

Path = tuple[str | int, ...]

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SPACE = re.compile(r"[ \t]*")
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_PLAIN = re.compile(r"[^,\]}#\n]*")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'',
    re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))")


def lines(text: str) -> dict[Path, int]:
    """Line (from 1) of each key, table and element, by its path: `("rules", 0, "window")`."""
    return _Reader(text).read()


def line_of(known: dict[Path, int], path: Path) -> int | None:
    """Line of the path, or of the nearest table around it that stands in the text."""
    for end in range(len(path), 0, -1):
        if path[:end] in known:
            return known[path[:end]]
    return None


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text.replace("\r\n", "\n")
        self.pos = 0
        self.found: dict[Path, int] = {}
        self.tables: dict[Path, int] = {}
        """How many elements each array of tables has so far."""

    def read(self) -> dict[Path, int]:
        table: Path = ()
        self._blank()
        while self.pos < len(self.text):
            if self.text[self.pos] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._blank()
        return self.found

    def _header(self) -> Path:
        start, many = self.pos, self.text.startswith("[[", self.pos)
        self.pos += 2 if many else 1
        table: Path = ()
        *outer, last = self._key()
        for part in outer:
            table = self._into((*table, part))
        table = (*table, last)
        if many:
            count = self.tables.get(table, 0)
            self.tables[table] = count + 1
            self._note(table, start)
            table = (*table, count)
        self._note(table, start)
        self.pos = self.text.index("]", self.pos) + (2 if many else 1)
        return table

    def _into(self, table: Path) -> Path:
        """The table itself, or the last element of an array of tables."""
        return (*table, self.tables[table] - 1) if table in self.tables else table

    def _pair(self, table: Path) -> None:
        start, path = self.pos, table
        for part in self._key():
            path = (*path, part)
            self._note(path, start)
        self.pos = self.text.index("=", self.pos) + 1
        self._value(path)

    def _key(self) -> list[str]:
        parts: list[str] = []
        while True:
            self._skip(_SPACE)
            quoted = _STRING.match(self.text, self.pos) if self.text[self.pos] in "\"'" else None
            if quoted:
                parts.append(_plain(quoted[0]))
                self.pos = quoted.end()
            else:
                bare = _BARE.match(self.text, self.pos)
                parts.append(bare[0] if bare else "")
                self.pos = bare.end() if bare else self.pos + 1
            self._skip(_SPACE)
            if not self.text.startswith(".", self.pos):
                return parts
            self.pos += 1

    def _value(self, path: Path) -> None:
        self._blank()
        first = self.text[self.pos : self.pos + 1]
        if first in ("[", "{"):
            self._inside(path, "]" if first == "[" else "}")
        elif first in ('"', "'"):
            self._string(path)
        else:
            self._skip(_PLAIN)

    def _string(self, path: Path) -> None:
        """Of text over several lines each line has a place, unless a backslash joins some."""
        start = self.pos
        self._skip(_STRING)
        if self.text.startswith(('"""', "'''"), start) and "\\\n" not in self.text[start : self.pos]:
            begin = (
                start + 3 + self.text.startswith("\n", start + 3)
            )  # TOML leaves out a newline right at the beginning
            for n, line in enumerate(self.text[begin : self.pos - 3].split("\n")):
                self._note((*path, n), begin)
                begin += len(line) + 1

    def _inside(self, path: Path, end: str) -> None:
        self.pos += 1
        count = 0
        self._blank()
        while self.text[self.pos] != end:
            if end == "}":
                self._pair(path)
            else:
                self._note((*path, count), self.pos)
                self._value((*path, count))
            count += 1
            self._blank()
            if self.text[self.pos] == ",":
                self.pos += 1
                self._blank()
        self.pos += 1

    def _note(self, path: Path, start: int) -> None:
        self.found.setdefault(path, self.text.count("\n", 0, start) + 1)

    def _blank(self) -> None:
        self._skip(_BLANK)

    def _skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self.text, self.pos)
        self.pos = match.end() if match else self.pos


def _plain(quoted: str) -> str:
    """What a quoted key says."""
    body = quoted[1:-1]
    if quoted[0] == "'":
        return body
    usual = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r"}
    return _ESCAPE.sub(
        lambda m: chr(int(m[1] or m[2], 16)) if m[1] or m[2] else usual.get(m[3], m[3]),
        body,
    )
