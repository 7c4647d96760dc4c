"""Bounded waiting: poll until something holds, or fail and say what did not happen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

SLOWER = 3
"""Limits of time are written for a machine with two quick cores of its own; one that is so many times slower passes, too."""


def wait_until(predicate: Callable[[], T], seconds: float, what: str) -> T:
    """Returns the predicate's first true value; AssertionError naming `what` after `seconds`, times `SLOWER`."""
    deadline = time.monotonic() + seconds * SLOWER
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds * SLOWER:g} s: {what} (last value: {value!r})")
        time.sleep(0.05)


async def wait_until_async(predicate: Callable[[], Awaitable[T]], seconds: float, what: str) -> T:
    """`wait_until` for a coroutine function, without blocking the event loop."""
    deadline = time.monotonic() + seconds * SLOWER
    while True:
        value = await predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds * SLOWER:g} s: {what} (last value: {value!r})")
        await asyncio.sleep(0.05)
