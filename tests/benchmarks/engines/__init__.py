"""One module an engine. Each is a program: `python -m tests.benchmarks.engines.<name> <Run as JSON>`, killed when it has done its work."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def say(word: str) -> None:
    """A moment for the harness: word and UNIX time in ns, on standard output."""
    sys.stdout.write(f"{word} {time.time_ns()}\n")
    sys.stdout.flush()


def started(function: Callable[..., T]) -> Callable[..., T]:
    """The function, saying "first" when it is called first; afterwards it costs one call a record."""
    said = False

    def called(*arguments: object) -> T:
        nonlocal said
        if not said:
            said = True
            say("first")
        return function(*arguments)

    return called
