"""Expressions over what is known of a customer, in CEL (https://cel.dev): `country in ["DE", "AT"] && attributes.plan == "enterprise"`.

Names: `country` (two capital letters), `time_zone`, `account`, and `attributes.NAME` for any name. All are text, and "" where nobody has
said so; so no value is missing. Google's own CEL is what runs: types are checked when an expression is made ready, regular expressions
take linear time, and work is bounded. Measured and passed over (2026-11-28): rule-engine takes `country == 5`, and eight times as long;
`common-expression-language` checks neither names nor types. An expression that cannot be evaluated for some customer (a division by
zero) does not hold for them.

CEL bounds the steps of an expression, not what they build: twenty times `.map(x, x + x)` make a text of a million times the length. So what
may build on what was built is refused when an expression is made ready: `map` and `filter`, and a list asked within another list.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from streams.core.govern.mistakes import suggestion

_NAMES = ("country", "time_zone", "account")
_FUNCTIONS = ("startsWith", "endsWith", "contains", "matches", "size")
_ATTRIBUTE = re.compile(r"\battributes\s*\.\s*([A-Za-z_][A-Za-z0-9_]*)")
_PATTERN = re.compile(r"""\bmatches\s*\(\s*(r?"(?:[^"\\\n]|\\.)*"|r?'(?:[^'\\\n]|\\.)*')\s*\)""")
_ERROR = re.compile(r"<input>:(-?\d+):(-?\d+): (.*)")
_UNKNOWN = re.compile(r"undeclared reference to '([^']*)'")
_OVERLOAD = re.compile(r"found no matching overload for '([^']*)' applied to '(.*)'")
_WORDS = re.compile(r"'(and|or|not)'|\b(?:and|or|not)\b")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|' r"'(?:[^'\\]|\\.)*'")
# Texts and comments, in which nothing counts; brackets; what asks each of a list.
_TOKEN = re.compile(
    r"""(?P<skip>[rRbB]{0,2}(?:\"{3}(?s:.*?)\"{3}|\'{3}(?s:.*?)\'{3}|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')|//[^\n]*)"""
    r"|(?P<list>\.\s*(?P<name>map|filter|all|exists|exists_one|existsOne)\s*\()|(?P<open>\()|(?P<close>\))"
)
_LONGEST = 4_000
"""Characters of an expression: what it may build is at most as long as its own length says, times the longest value."""
_MEMORY = 10_000
"""Answers that an expression remembers: customers share countries and time zones, and an answer looked up costs a fiftieth."""
_LONG = 1_000
"""Characters of the values of an answer that is not worth remembering: whoever asks says them, and memory must have an end."""


class Mistake(NamedTuple):
    """What is wrong in an expression; line and column count from 1."""

    line: int
    column: int
    what: str


class ExpressionError(ValueError):
    """An expression that cannot be used, with all `mistakes`."""

    def __init__(self, mistakes: tuple[Mistake, ...]) -> None:
        super().__init__("; ".join(one.what for one in mistakes))
        self.mistakes = mistakes


def attributes_of(text: str) -> tuple[str, ...]:
    """The attributes that an expression asks for, each once."""
    return tuple(dict.fromkeys(_ATTRIBUTE.findall(text)))


class Expression:
    """A condition made ready. Raises `ExpressionError`."""

    def __init__(self, text: str) -> None:
        from cel_expr_python import cel  # 14 MB that policies without expressions do not load

        grows = tuple(_growing(text))
        if grows:
            raise ExpressionError(grows)
        self.attributes = attributes_of(text)
        # Each attribute is a name of its own, so that one that nobody gave can be "" instead of an error.
        self._names = (*_NAMES, *(f"attributes.{name}" for name in self.attributes))
        environment = cel.NewEnv(variables=dict.fromkeys(self._names, cel.Type.STRING))
        try:
            self._compiled: Any = environment.compile(text)
        except RuntimeError as error:
            raise ExpressionError(_mistakes(str(error), text)) from None
        given = self._compiled.return_type()
        if given != cel.Type.BOOL:
            what = f"an expression is true or false, and this one is {str(given.name()).lower()}"
            raise ExpressionError((Mistake(1, 1, what),))
        for pattern in _PATTERN.finditer(text):
            try:
                tried = environment.compile(f'"".matches({pattern[1]})').eval(data={})
            except RuntimeError:  # it stands in a comment or in a text
                continue
            if tried.type() != cel.Type.BOOL:
                line, column = _place(text, pattern.start(1))
                raise ExpressionError((Mistake(line, column, str(tried).partition(": ")[2]),))
        self._known: dict[tuple[str, ...], bool] = {}

    def holds(
        self,
        country: str | None = None,
        time_zone: str | None = None,
        account: str | None = None,
        attributes: Mapping[str, str] | None = None,
    ) -> bool:
        """Whether it holds for a customer of whom this is known. Never raises; the same values always give the same answer."""
        given = attributes or {}
        values = (country or "", time_zone or "", account or "", *(given.get(name, "") for name in self.attributes))
        known = self._known.get(values)
        if known is None:
            known = self._evaluated(values)
            if sum(map(len, values)) <= _LONG:
                if len(self._known) >= _MEMORY:
                    self._known.clear()
                self._known[values] = known
        return known

    def _evaluated(self, values: tuple[str, ...]) -> bool:
        # Half of a surrogate pair is no text for CEL.
        text = (value.encode(errors="replace").decode() for value in values)
        try:
            told = self._compiled.eval(data=dict(zip(self._names, text, strict=True)))
        except (RuntimeError, MemoryError):  # more work than its bound; other errors are values, and none is True
            return False
        return told.value() is True


@lru_cache(maxsize=256)
def expression(text: str) -> Expression:
    """The expression made ready, once for each text. Raises `ExpressionError`."""
    return Expression(text)


def _growing(text: str) -> Iterator[Mistake]:
    """What may build on what was built: see the module."""
    if len(text) > _LONGEST:
        yield Mistake(
            *_place(text, _LONGEST), f"an expression has at most {_LONGEST:,} characters, and this one {len(text):,}"
        )
        return
    within: list[bool] = []  # of each open bracket, whether a list is asked in it
    for token in _TOKEN.finditer(text):
        if token["open"]:
            within.append(False)
        elif token["close"] and within:
            within.pop()
        elif token["list"]:
            line, column = _place(text, token.start("name") - 1)
            if token["name"] in ("map", "filter"):
                yield Mistake(
                    line, column + 1, f"`{token['name']}` makes lists, which may grow without end; ask by exists or all"
                )
            elif any(within):
                yield Mistake(
                    line,
                    column + 1,
                    f"`{token['name']}` within another one takes steps without end; ask one list at a time",
                )
            within.append(True)


def _mistakes(told: str, text: str) -> tuple[Mistake, ...]:
    found = [
        Mistake(max(1, int(m[1])), max(1, int(m[2])), _in_words(m[3], text))
        for m in _ERROR.finditer(told.removesuffix(" [INVALID_ARGUMENT]"))
    ]
    return tuple(dict.fromkeys(found)) or (Mistake(1, 1, told.partition(" [")[0]),)


def _in_words(what: str, text: str) -> str:
    if unknown := _UNKNOWN.search(what):
        known = (*_NAMES, "attributes", *_FUNCTIONS)
        near = "" if unknown[1] == "attributes" else suggestion(unknown[1], known)
        hint = near or f"; known: {', '.join(_NAMES)}, attributes.NAME"
        return f"`{unknown[1]}` is unknown{hint}"
    if overload := _OVERLOAD.search(what):
        return f"`{overload[1].strip('_@')}` does not go with {overload[2]}"
    what = re.sub(r" expecting (\{.*\}|<EOF>)", "", what).replace("'<EOF>'", "the end")
    words = " (in CEL, and is written &&, or ||, not !)" if _WORDS.search(_QUOTED.sub("", text)) else ""
    return what + words


def _place(text: str, index: int) -> tuple[int, int]:
    return text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index)
