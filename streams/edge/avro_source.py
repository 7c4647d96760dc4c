"""Python source that is generated from a schema: what the reader's and the writer's generators share.

Schemas may come from a registry, so nothing of them becomes code: names are reduced to ASCII words, values go in as objects.
"""

from __future__ import annotations

import keyword
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from streams.edge.avro_guard import UnsafeSchema


class Source:
    """Lines of a module that grows, and the objects that its code may use by name (`names`)."""

    def __init__(self, names: dict[str, Any]) -> None:
        self.names = dict(names)
        self._taken = set(names)
        self._repeated: Counter[str] = Counter()
        self._functions: list[list[str]] = []
        self._lines: list[str] = []
        self._indent = 0

    def word(self, text: str) -> str:
        """A name that nothing else in the module has, as like the text as can be."""
        base = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_")[:80] or "value"
        if base[0].isdigit() or keyword.iskeyword(base):
            base = f"_{base}"
        word = base
        while word in self._taken:
            self._repeated[base] += 1
            word = f"{base}_{self._repeated[base] + 1}"
        self._taken.add(word)
        return word

    def constant(self, text: str, value: Any) -> str:
        """A name for an object."""
        word = self.word(text.upper())
        self.names[word] = value
        return word

    def add(self, *lines: str) -> None:
        """Lines at the present depth."""
        self._lines += ["    " * self._indent + line for line in lines]

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """What is added inside is indented below `head`."""
        self.add(head)
        self._indent += 1
        yield
        self._indent -= 1

    @contextmanager
    def function(self, head: str) -> Iterator[None]:
        """As `block`, for a function of the module; one may be begun within another, whose lines go on afterwards."""
        outer = self._lines, self._indent
        self._lines, self._indent = [], 0
        self._functions.append(self._lines)
        with self.block(head):
            yield
        self._lines, self._indent = outer

    def text(self) -> str:
        """The module."""
        return "\n\n\n".join("\n".join(lines) for lines in self._functions) + "\n"

    def run(self, title: str) -> dict[str, Any]:
        """What the module defines. `title` stands in tracebacks and profiles instead of a file name.

        Raises:
            UnsafeSchema: Python cannot compile it: the schema is too large.
        """
        try:
            code = compile(self.text(), f"<{title}>", "exec")
        except (RecursionError, MemoryError, SyntaxError) as error:
            raise UnsafeSchema(f"too large: {error}") from None
        defined = dict(self.names)
        exec(code, defined)  # noqa: S102 - our own text; see the module on what of a schema comes into it
        return defined
