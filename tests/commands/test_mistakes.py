"""Mistakes in the lines of a file, as they are told."""

from __future__ import annotations

from streams.commands.mistakes import TOLD, Mistakes


def test_the_same_mistake_is_told_of_a_few_lines() -> None:
    """Of each the first lines, then how many more there are, and which is the last; another mistake is told all the same."""
    mistakes = Mistakes()
    lines = [f"line {n}: status: missing" for n in range(2, 10)]
    told = [line for line in (*lines, "line 11: at: missing") if mistakes.take(line)]
    assert told == [*lines[:TOLD], "line 11: at: missing"]
    assert list(mistakes.more()) == ["the same of 3 more lines, the last is line 9: status: missing"]
    assert mistakes.count == 9
