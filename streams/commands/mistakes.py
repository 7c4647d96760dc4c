"""What is said of the lines of a file that say nothing: the same mistake of a few of them, not of each of thousands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from streams.commands.rendering import counted

TOLD = 5
"""Lines of which the same mistake is told."""


class Mistakes:
    """What was wrong so far, as "line 7: what is wrong"; `count` says with how many lines."""

    def __init__(self) -> None:
        self.count = 0
        self._counts: Counter[str] = Counter()
        self._last: dict[str, str] = {}

    def take(self, problem: str) -> bool:
        """Counts one; whether it is to be told now."""
        self.count += 1
        where, _, what = problem.partition(": ")
        self._counts[what] += 1
        self._last[what] = where
        return self._counts[what] <= TOLD

    def more(self) -> Iterator[str]:
        """Of how many more lines each was not told."""
        for what, count in self._counts.items():
            if count > TOLD:
                yield f"the same of {counted(count - TOLD, 'more line')}, the last is {self._last[what]}: {what}"
